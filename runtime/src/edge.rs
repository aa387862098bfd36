//! Edges, and the side of a node that sends to them. `inlet.rs` is the side that takes.

use std::collections::VecDeque;

use crate::element::Element;
use crate::graph::Capacity;

/// A bounded queue between two nodes.
pub(crate) struct Edge {
    queue: VecDeque<Element>,
    bytes: usize,
    capacity: Capacity,
    /// Nothing will be sent any more.
    closed: bool,
}

/// What can be sent to all edges of an outlet, whichever of them it goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
}

impl Edge {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Edge { queue: VecDeque::with_capacity(capacity.elements), bytes: 0, capacity, closed: false }
    }

    fn has_room(&self, size: usize) -> bool {
        self.queue.is_empty() || (self.queue.len() < self.capacity.elements && self.bytes + size <= self.capacity.bytes)
    }

    fn room(&self) -> Room {
        let elements = self.capacity.elements - self.queue.len();
        let bytes = self.capacity.bytes.saturating_sub(self.bytes);
        if bytes == 0 && !self.queue.is_empty() { Room { elements: 0, bytes } } else { Room { elements, bytes } }
    }

    /// Takes an element with a payload of `size` bytes. It is not looked at: so it is moved as a whole.
    pub(crate) fn push(&mut self, element: Element, size: usize) {
        self.bytes += size;
        self.queue.push_back(element);
    }

    /// Ends what it carries.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The sequence number of the element that waits at this place, the next to be taken being 0.
    pub(crate) fn sequence(&self, at: usize) -> Option<u64> {
        self.queue.get(at).map(|element| element.sequence)
    }

    /// Nothing waits and nothing will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.closed && self.queue.is_empty()
    }

    /// The element that has waited longest.
    pub(crate) fn first(&self) -> Option<&Element> {
        self.queue.front()
    }

    /// Takes the element that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Element> {
        let element = self.queue.pop_front()?;
        self.bytes -= element.payload.len();
        Some(element)
    }

    /// Moves what waits into `batch`, which is empty: at most `max_elements`, and after the first none that makes it
    /// more than `max_bytes`. Returns the payload bytes moved.
    pub(crate) fn take(&mut self, batch: &mut Vec<Element>, max_elements: usize, max_bytes: usize) -> usize {
        debug_assert!(batch.is_empty(), "what was there is not taken again");
        if self.queue.len() <= max_elements && self.bytes <= max_bytes {
            // Queue and batch exchange their memory; no element moves.
            let queue = std::mem::replace(&mut self.queue, std::mem::take(batch).into());
            *batch = queue.into();
            return std::mem::take(&mut self.bytes);
        }
        let mut bytes = 0;
        while batch.len() < max_elements {
            let Some(size) = self.queue.front().map(|element| element.payload.len()) else { break };
            if bytes + size > max_bytes && !batch.is_empty() {
                break;
            }
            bytes += size;
            batch.extend(self.queue.pop_front());
        }
        self.bytes -= bytes;
        bytes
    }
}

/// The outputs of a node: for each the edges that begin there.
pub(crate) struct Outlet {
    outputs: Vec<Vec<usize>>,
    /// What the node made and the edges had no room for, with the outputs it goes to. The node is not called until it
    /// is gone.
    held: VecDeque<(Element, u32)>,
    /// Elements sent, counted once an output.
    pub(crate) sent: u64,
}

impl Outlet {
    pub(crate) fn new(outputs: Vec<Vec<usize>>) -> Self {
        Outlet { outputs, held: VecDeque::new(), sent: 0 }
    }

    /// How many outputs there are.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs.len()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// What the fullest edge has room for.
    pub(crate) fn room(&self, edges: &[Edge]) -> Room {
        let rooms = self.outputs.iter().flatten().map(|&edge| edges[edge].room());
        rooms.fold(Room { elements: usize::MAX, bytes: usize::MAX }, |a, b| Room {
            elements: a.elements.min(b.elements),
            bytes: a.bytes.min(b.bytes),
        })
    }

    /// Sends `element` to the outputs in `mask`, in bits, or holds it until there is room. No bit of the mask may be
    /// above the last output.
    #[inline]
    pub(crate) fn send(&mut self, edges: &mut [Edge], element: Element, mask: u32) {
        let size = element.payload.len();
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

    /// Whether all of its edges have room: an element goes to all of them, or waits for all.
    fn has_room(&self, edges: &[Edge], element: &Element, mask: u32) -> bool {
        self.targets(mask).all(|edge| edges[edge].has_room(element.payload.len()))
    }

    /// Its edges share the element, by reference.
    fn push(&self, edges: &mut [Edge], element: &Element, mask: u32) {
        self.targets(mask).for_each(|edge| edges[edge].push(element.clone(), element.payload.len()));
    }

    /// Sends what is held, as far as there is room. Tells whether anything moved.
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

    /// Ends what the edges carry.
    pub(crate) fn close(&self, edges: &mut [Edge]) {
        self.outputs.iter().flatten().for_each(|&edge| edges[edge].close());
    }
}
