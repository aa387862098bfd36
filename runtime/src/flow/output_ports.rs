//! The output side of a node: where its elements go, and what is held until there is room.

use std::collections::VecDeque;

use crate::flow::edge::{Edge, Room, Size};
use crate::payload::element::Element;

/// The outputs of a node, with the edges that begin at each.
pub(crate) struct OutputPorts {
    outputs: Vec<Vec<usize>>,
    /// Elements that the edges had no room for, with the mask of their outputs. The node is not called until all of them
    /// are sent.
    held: VecDeque<(Element, u32)>,
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

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// The room that all edges have.
    pub(crate) fn room(&self, edges: &[Edge]) -> Room {
        let rooms = self.outputs.iter().flatten().map(|&edge| edges[edge].room());
        rooms.fold(Room { elements: usize::MAX, bytes: usize::MAX }, |a, b| Room {
            elements: a.elements.min(b.elements),
            bytes: a.bytes.min(b.bytes),
        })
    }

    /// Sends `element` to the outputs in the bit mask `mask`, or holds it until there is room. Every bit of the mask must be
    /// an output of the node.
    #[inline]
    pub(crate) fn send(&mut self, edges: &mut [Edge], element: Element, mask: u32) {
        let size = Size::from_element(&element);
        // Nearly every element goes to one edge that has room; it is moved there once.
        if mask.is_power_of_two()
            && let [edge] = self.outputs[mask.trailing_zeros() as usize][..]
            && self.held.is_empty()
            && edges[edge].has_room(size)
        {
            self.sent += 1;
            edges[edge].push(element, size);
        } else {
            self.sent += u64::from(mask.count_ones());
            self.send_or_hold(edges, element, mask);
        }
    }

    #[inline(never)]
    fn send_or_hold(&mut self, edges: &mut [Edge], element: Element, mask: u32) {
        if self.held.is_empty() && self.has_room(edges, &element, mask) {
            self.push(edges, &element, mask);
        } else {
            self.held.push_back((element, mask));
        }
    }

    /// The edges that begin at the outputs in `mask`.
    fn targets(&self, mask: u32) -> impl Iterator<Item = usize> {
        let named = self.outputs.iter().enumerate().filter(move |(output, _)| mask & (1 << output) != 0);
        named.flat_map(|(_, edges)| edges.iter().copied())
    }

    /// Whether all targeted edges have room. An element goes to all of them at once.
    fn has_room(&self, edges: &[Edge], element: &Element, mask: u32) -> bool {
        let size = Size::from_element(element);
        self.targets(mask).all(|edge| edges[edge].has_room(size))
    }

    /// Adds the element to all targeted edges, which share the payload.
    fn push(&self, edges: &mut [Edge], element: &Element, mask: u32) {
        let size = Size::from_element(element);
        self.targets(mask).for_each(|edge| edges[edge].push(element.clone(), size));
    }

    /// Sends held elements while there is room. Returns whether any was sent.
    pub(crate) fn send_held(&mut self, edges: &mut [Edge]) -> bool {
        let before = self.held.len();
        while let Some((element, mask)) = self.held.front()
            && self.has_room(edges, element, *mask)
        {
            self.push(edges, element, *mask);
            self.held.pop_front();
        }
        self.held.len() < before
    }

    /// Closes all edges.
    pub(crate) fn close(&self, edges: &mut [Edge]) {
        self.outputs.iter().flatten().for_each(|&edge| edges[edge].close());
    }
}
