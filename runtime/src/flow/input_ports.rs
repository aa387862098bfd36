//! The input side of a node: which edge it takes from next, and how many elements make a batch.

use crate::flow::edge::Edge;
use crate::payload::Batch;
use crate::pipeline::graph::{Graph, Merge};

/// The edges that end at a node, in the listed order, and how the node merges them.
pub(crate) struct InputPorts {
    edges: Vec<usize>,
    merge: Merge,
    /// With round-robin, the edge whose turn it is.
    turn: usize,
    /// The sources of the node's elements, by index.
    sources: Vec<usize>,
}

/// What can be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// A batch.
    Batch,
    /// Nothing yet.
    Nothing,
    /// Elements, but the merge by sequence waits for another edge. Holds the number of the first element.
    Waits(u64),
    /// Nothing, and nothing will come.
    Finished,
}

impl InputPorts {
    pub(crate) fn new(graph: &Graph, node: usize) -> Self {
        let edges = graph.edges().iter().enumerate();
        InputPorts {
            edges: edges.filter(|(_, edge)| edge.to == node).map(|(edge, _)| edge).collect(),
            merge: graph.nodes()[node].merge,
            turn: 0,
            sources: graph.sources_of(node),
        }
    }

    /// Whether the node has no incoming edges, so it is a source.
    pub(crate) fn is_none(&self) -> bool {
        self.edges.is_empty()
    }

    pub(crate) fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// The number of waiting elements.
    pub(crate) fn waiting(&self, edges: &[Edge]) -> usize {
        self.edges.iter().map(|&edge| edges[edge].len()).sum()
    }

    /// Whether one of the edges has much for a push of this many bytes, or is nearly full.
    pub(crate) fn have_much(&self, edges: &[Edge], bytes: usize) -> bool {
        self.edges.iter().any(|&edge| edges[edge].has_much(bytes))
    }

    pub(crate) fn ready(&self, edges: &[Edge]) -> Ready {
        let mut ports = self.edges.iter().map(|&edge| &edges[edge]);
        if let [only] = self.edges[..] {
            return match &edges[only] {
                edge if !edge.is_empty() => Ready::Batch,
                edge if edge.is_finished() => Ready::Finished,
                _ => Ready::Nothing,
            };
        }
        if ports.clone().all(Edge::is_empty) {
            return if ports.all(Edge::is_finished) { Ready::Finished } else { Ready::Nothing };
        }
        let lacks = |edge: &Edge| edge.is_empty() && !edge.is_finished();
        match self.first(edges) {
            Some((_, sequence)) if self.merge == Merge::Sequence && ports.any(lacks) => Ready::Waits(sequence),
            _ => Ready::Batch,
        }
    }

    /// Moves waiting elements into `batch`, which must be empty: at most `max_elements`, at most `max_bytes` payload bytes
    /// unless the first element alone has more, and with a merge by sequence none whose number is above `last`. At least one
    /// element must wait. Returns the payload bytes moved.
    pub(crate) fn take(
        &mut self,
        edges: &mut [Edge],
        batch: &mut Batch,
        max_elements: usize,
        max_bytes: usize,
        last: u64,
    ) -> usize {
        let waits = |port: usize| !edges[self.edges[port]].is_empty();
        let port = match (self.merge, self.edges.len()) {
            (_, 1) => 0,
            (Merge::RoundRobin, ports) => {
                let next = (0..ports).map(|step| (self.turn + step) % ports).find(|&port| waits(port));
                self.turn = (next.unwrap_or(self.turn) + 1) % ports;
                next.unwrap_or_default()
            }
            (Merge::Priority, ports) => (0..ports).find(|&port| waits(port)).unwrap_or_default(),
            (Merge::Sequence, _) => return self.take_by_sequence(edges, batch, max_elements, max_bytes, last),
        };
        edges[self.edges[port]].take(batch, max_elements, max_bytes)
    }

    /// Takes elements in the order of their numbers, until an open edge becomes empty: its next element may belong before the
    /// rest.
    fn take_by_sequence(
        &self,
        edges: &mut [Edge],
        batch: &mut Batch,
        max_elements: usize,
        max_bytes: usize,
        last: u64,
    ) -> usize {
        debug_assert!(batch.is_empty(), "the batch must be empty");
        let mut bytes = 0;
        while batch.len() < max_elements
            && let Some((port, sequence)) = self.first(edges)
            && sequence <= last
        {
            let last = self.last_before_others(edges, port).min(last);
            let edge = &mut edges[self.edges[port]];
            let least = usize::from(batch.is_empty());
            let most = edge.count_up_to(last).min(max_elements - batch.len());
            let Some(run) = edge.take_run_within(max_bytes - bytes.min(max_bytes), least, most) else { break };
            bytes += run.bytes();
            batch.push(run);
            if edge.is_empty() && !edge.is_finished() {
                break;
            }
        }
        bytes
    }

    /// The port whose first element has the smallest number, and that number. For equal numbers, the port listed first.
    fn first(&self, edges: &[Edge]) -> Option<(usize, u64)> {
        let heads = (0..).zip(&self.edges).filter_map(|(port, &edge)| Some((port, edges[edge].first()?.sequence())));
        heads.min_by_key(|&(_, sequence)| sequence)
    }

    /// The greatest number that `port`, which has the smallest, can give before any other port.
    fn last_before_others(&self, edges: &[Edge], port: usize) -> u64 {
        let others = self.edges.iter().enumerate().filter(|(other, _)| *other != port);
        let firsts = others.filter_map(|(other, &edge)| Some((other, edges[edge].first()?.sequence())));
        // For equal numbers, the port listed first gives its element first.
        firsts.map(|(other, first)| first - u64::from(other < port)).min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::payload::Pool;
    use crate::payload::element::Element;
    use crate::pipeline::graph::{self, Capacity, Node, Role};

    /// The ports of a node whose edges hold elements with these numbers, of ten bytes each.
    fn input_ports(merge: Merge, waiting: &[&[u64]]) -> (InputPorts, Vec<Edge>) {
        let sources = 0..waiting.len();
        let mut nodes: Vec<_> = sources.clone().map(|source| Node::new(source.to_string(), Role::Source, 1)).collect();
        nodes.push(Node { merge, ..Node::new("end", Role::Sink, 0) });
        let capacity = Capacity::default();
        let edge = |from| graph::Edge { from, output: 0, to: waiting.len(), capacity };
        let graph = Graph::new(nodes, sources.map(edge).collect()).unwrap();
        let filled = |numbers: &&[u64]| {
            let mut edge = Edge::new(capacity);
            let payload = Pool::default().adopt(Bytes::from_static(&[0; 10]));
            numbers.iter().for_each(|&sequence| {
                edge.push(Element { payload: payload.clone(), sequence, timestamp: 0, context: None }.into());
            });
            edge
        };
        (InputPorts::new(&graph, waiting.len()), waiting.iter().map(filled).collect())
    }

    /// The numbers of the next batch.
    fn take(ports: &mut InputPorts, edges: &mut [Edge], max_elements: usize, max_bytes: usize, last: u64) -> Vec<u64> {
        let mut batch = Batch::default();
        let bytes = ports.take(edges, &mut batch, max_elements, max_bytes, last);
        assert_eq!(bytes, 10 * batch.len());
        batch.iter().map(|element| element.sequence()).collect()
    }

    #[test]
    fn takes_in_turn_by_default() {
        let (mut ports, mut edges) = input_ports(Merge::default(), &[&[0, 1, 2], &[], &[9]]);
        let mut next = || take(&mut ports, &mut edges, 2, 1000, u64::MAX);
        assert_eq!([next(), next(), next()], [vec![0, 1], vec![9], vec![2]]);
        edges.iter_mut().for_each(Edge::close);
        assert_eq!(ports.ready(&edges), Ready::Finished);
    }

    #[test]
    fn takes_the_first_listed_edge_by_priority() {
        let (mut ports, mut edges) = input_ports(Merge::Priority, &[&[5, 6, 7], &[0, 1]]);
        let mut next = || take(&mut ports, &mut edges, 2, 1000, u64::MAX);
        assert_eq!([next(), next(), next()], [vec![5, 6], vec![7], vec![0, 1]]);
        assert_eq!(ports.ready(&edges), Ready::Nothing);
    }

    #[test]
    fn merges_several_edges_by_sequence() {
        let (mut ports, mut edges) = input_ports(Merge::Sequence, &[&[0, 3, 4, 9], &[1, 3, 8], &[2, 5, 6]]);
        assert_eq!(take(&mut ports, &mut edges, 64, 1000, u64::MAX), [0, 1, 2, 3, 3, 4, 5, 6]);
        assert_eq!(ports.ready(&edges), Ready::Waits(8), "the third has nothing");
        edges[2].close();
        assert_eq!(ports.ready(&edges), Ready::Batch, "the third will have nothing");
        assert_eq!(take(&mut ports, &mut edges, 64, 1000, u64::MAX), [8], "the second may have one before 9");
        edges[1].close();
        assert_eq!(take(&mut ports, &mut edges, 64, 1000, u64::MAX), [9]);
        edges[0].close();
        assert_eq!(ports.ready(&edges), Ready::Finished);
    }

    #[test]
    fn limits_batches_by_sequence() {
        let (mut ports, mut edges) = input_ports(Merge::Sequence, &[&[0, 2, 4, 6, 8, 10], &[1, 3, 5, 7, 9, 11]]);
        assert_eq!(take(&mut ports, &mut edges, 3, 1000, u64::MAX), [0, 1, 2], "elements");
        assert_eq!(take(&mut ports, &mut edges, 64, 29, u64::MAX), [3, 4], "bytes");
        assert_eq!(take(&mut ports, &mut edges, 64, 9, u64::MAX), [5], "the first whatever its size");
        assert_eq!(take(&mut ports, &mut edges, 64, 1000, 8), [6, 7, 8], "numbers");
    }

    #[test]
    fn takes_equal_numbers_from_the_first_listed_edge() {
        let (mut ports, mut edges) = input_ports(Merge::Sequence, &[&[7, 7], &[7], &[7]]);
        let mut batch = Batch::default();
        edges.iter_mut().for_each(Edge::close);
        ports.take(&mut edges, &mut batch, 2, 1000, u64::MAX);
        assert_eq!(edges.iter().map(Edge::len).collect::<Vec<_>>(), [0, 1, 1]);
    }
}
