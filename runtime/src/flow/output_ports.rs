//! The output side of a node: where its elements go, and what is held until there is room.

use std::collections::VecDeque;

use crate::flow::edge::{Edge, Room};
use crate::payload::Run;

/// The outputs of a node, with the edges that begin at each.
pub(crate) struct OutputPorts {
    outputs: Vec<Vec<usize>>,
    /// Runs that the edges had no room for, with the mask of their outputs. The node is not called until all of them are sent.
    held: VecDeque<(Run, u32)>,
    /// Elements sent, counted once per output.
    pub(crate) sent: u64,
}

impl OutputPorts {
    pub(crate) fn new(outputs: Vec<Vec<usize>>) -> Self {
        OutputPorts { outputs, held: VecDeque::new(), sent: 0 }
    }

    /// The number of outputs.
    pub(crate) fn count(&self) -> usize {
        self.outputs.len()
    }

    /// Whether elements wait for room.
    #[inline]
    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// The number of elements that wait for room.
    pub(crate) fn held(&self) -> usize {
        self.held.iter().map(|(run, _)| run.len()).sum()
    }

    /// The room that all edges have.
    pub(crate) fn room(&self, edges: &[Edge]) -> Room {
        let rooms = self.outputs.iter().flatten().map(|&edge| edges[edge].room());
        rooms.fold(Room { elements: usize::MAX, bytes: usize::MAX }, |a, b| Room {
            elements: a.elements.min(b.elements),
            bytes: a.bytes.min(b.bytes),
        })
    }

    /// Sends the run to the outputs in the bit mask `mask`, or holds what there is no room for. Every bit of the mask must be an
    /// output of the node.
    #[inline]
    pub(crate) fn send(&mut self, edges: &mut [Edge], run: Run, mask: u32) {
        self.sent += run.len() as u64 * u64::from(mask.count_ones());
        // Nearly every run goes to one edge that has room.
        if mask.is_power_of_two()
            && let [edge] = self.outputs[mask.trailing_zeros() as usize][..]
            && self.held.is_empty()
            && edges[edge].room_for(&run) == run.len()
        {
            edges[edge].push(run);
        } else {
            self.send_or_hold(edges, run, mask);
        }
    }

    /// Sends each element of the run to the outputs in its mask; no element goes nowhere.
    ///
    /// If there is room for all of them, wherever they go, those that go to the same output are sent together. Otherwise they
    /// are sent in order, so that no element is held while a later one is on an edge: a merge by sequence relies on that.
    pub(crate) fn send_each(&mut self, edges: &mut [Edge], run: &Run, masks: &[u32]) {
        let has_room =
            self.held.is_empty() && self.outputs.iter().flatten().all(|&edge| edges[edge].room_for(run) == run.len());
        let mut next = 0;
        if has_room {
            for output in (0..self.outputs.len()).map(|output| 1 << output) {
                if let Some(run) = run.select(|index| masks[index] & output != 0) {
                    self.send(edges, run, output);
                }
            }
            return;
        }
        for stretch in masks.chunk_by(|one, other| one == other) {
            let indices = next..next + stretch.len();
            next = indices.end;
            if stretch[0] != 0
                && let Some(run) = run.select(|index| indices.contains(&index))
            {
                self.send(edges, run, stretch[0]);
            }
        }
    }

    #[inline(never)]
    fn send_or_hold(&mut self, edges: &mut [Edge], mut run: Run, mask: u32) {
        if !self.held.is_empty() || !self.push(edges, &mut run, mask) {
            self.held.push_back((run, mask));
        }
    }

    /// The edges that begin at the outputs in `mask`.
    fn targets(&self, mask: u32) -> impl Iterator<Item = usize> {
        let named = self.outputs.iter().enumerate().filter(move |(output, _)| mask & (1 << output) != 0);
        named.flat_map(|(_, edges)| edges.iter().copied())
    }

    /// Adds the elements that all targeted edges have room for to those, which share the payloads. An element goes to all of
    /// them at once. Returns whether there was room for all; otherwise the rest is in `run`.
    fn push(&self, edges: &mut [Edge], run: &mut Run, mask: u32) -> bool {
        let room = self.targets(mask).map(|edge| edges[edge].room_for(run)).min().unwrap_or(run.len());
        if room == run.len() {
            self.targets(mask).for_each(|edge| edges[edge].push(run.clone()));
            return true;
        }
        if room > 0 {
            let sent = run.split_to(room);
            self.targets(mask).for_each(|edge| edges[edge].push(sent.clone()));
        }
        false
    }

    /// Sends held elements while there is room. Returns whether any was sent.
    pub(crate) fn send_held(&mut self, edges: &mut [Edge]) -> bool {
        let before = self.held();
        while let Some((mut run, mask)) = self.held.pop_front() {
            if !self.push(edges, &mut run, mask) {
                self.held.push_front((run, mask));
                break;
            }
        }
        self.held() < before
    }

    /// Closes all edges.
    pub(crate) fn close(&self, edges: &mut [Edge]) {
        self.outputs.iter().flatten().for_each(|&edge| edges[edge].close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Pool;
    use crate::payload::run::{Header, Runs};
    use crate::pipeline::graph::Capacity;

    /// A run of elements of one byte, numbered from 0.
    fn run(pool: &Pool, count: usize) -> Run {
        let payload = pool.adopt(vec![b'a'; count].into());
        let mut runs = Runs::default();
        (0..count).for_each(|index| {
            runs.add_part(&payload, index, 1, Header { sequence: index as u64, timestamp: 0, context: None });
        });
        runs.drain().next().unwrap()
    }

    fn edges(capacities: &[usize]) -> Vec<Edge> {
        let edge = |elements: &usize| Edge::new(Capacity { elements: *elements, ..Capacity::default() });
        capacities.iter().map(edge).collect()
    }

    /// The numbers of the elements on an edge, which is empty afterwards.
    fn taken(edge: &mut Edge) -> Vec<u64> {
        let mut batch = crate::payload::Batch::default();
        edge.take(&mut batch, usize::MAX, usize::MAX);
        batch.iter().map(|element| element.sequence()).collect()
    }

    #[test]
    fn sends_what_there_is_room_for_and_holds_the_rest() {
        let pool = Pool::default();
        let mut ports = OutputPorts::new(vec![vec![0, 1]]);
        let mut edges = edges(&[3, 2]);
        ports.send(&mut edges, run(&pool, 5), 1);
        assert_eq!((ports.held(), ports.sent, edges[0].len(), edges[1].len()), (3, 5, 2, 2));
        assert_eq!((taken(&mut edges[1]), ports.send_held(&mut edges)), (vec![0, 1], true));
        assert_eq!((ports.held(), taken(&mut edges[0]), taken(&mut edges[1])), (2, vec![0, 1, 2], vec![2]));
        assert!(ports.send_held(&mut edges) && !ports.has_held() && !ports.send_held(&mut edges));
        assert_eq!(taken(&mut edges[0]), [3, 4]);
    }

    #[test]
    fn sends_together_what_goes_to_the_same_output() {
        let pool = Pool::default();
        let mut ports = OutputPorts::new(vec![vec![0], vec![1]]);
        let mut edges = edges(&[8, 8]);
        ports.send_each(&mut edges, &run(&pool, 6), &[1, 2, 0, 3, 1, 2]);
        assert_eq!((taken(&mut edges[0]), taken(&mut edges[1])), (vec![0, 3, 4], vec![1, 3, 5]));
    }
}
