//! Edges: the bounded queues between nodes.

use std::collections::VecDeque;

use crate::payload::element::Element;
use crate::pipeline::graph::Capacity;

/// Elements for which an edge reserves memory at the start. Few edges ever hold as many as they may.
const FIRST_ELEMENTS: usize = 1024;
/// How many bytes of buffers the elements on an edge may keep alive: at least `KEPT_BYTES`, and at least `KEPT_SHARE` times
/// the byte capacity of the edge. Payloads that fill their buffers stay far below. Without this limit, 256 small slices
/// could keep 256 large buffers alive.
const KEPT_BYTES: usize = 16 << 20;
const KEPT_SHARE: usize = 4;

/// A bounded queue between two nodes.
pub(crate) struct Edge {
    queue: VecDeque<Element>,
    /// Payload bytes of the waiting elements.
    bytes: usize,
    /// Bytes of their attributes and piece lists.
    structures: usize,
    /// Bytes of the buffers that they keep alive. A buffer shared by consecutive elements counts once.
    kept: usize,
    /// The address of the payload that was sent last, while the edge is not empty; see [`Payload::address`].
    ///
    /// [`Payload::address`]: crate::payload::Payload::address
    last: usize,
    capacity: Capacity,
    /// No further element will be sent.
    closed: bool,
}

/// What can be sent to every edge of a node's outputs, whichever output it goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
}

/// The size of an element, as edges count it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    payload: usize,
    structures: usize,
}

impl Size {
    #[inline]
    pub(crate) fn from_element(element: &Element) -> Size {
        Size { payload: element.payload.len(), structures: element.structure_bytes() }
    }
}

impl Edge {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let queue = VecDeque::with_capacity(capacity.elements.min(FIRST_ELEMENTS));
        Edge { queue, bytes: 0, structures: 0, kept: 0, last: 0, capacity, closed: false }
    }

    #[inline]
    pub(crate) fn has_room(&self, size: Size) -> bool {
        let bytes = self.bytes + self.structures + size.payload.saturating_add(size.structures);
        self.queue.is_empty()
            || (self.queue.len() < self.capacity.elements && bytes <= self.capacity.bytes && !self.keeps_too_much())
    }

    /// Whether the waiting elements keep so much memory alive that no more may be added.
    #[inline]
    fn keeps_too_much(&self) -> bool {
        self.kept >= KEPT_BYTES && self.kept / KEPT_SHARE >= self.capacity.bytes
    }

    pub(crate) fn room(&self) -> Room {
        let elements = self.capacity.elements - self.queue.len();
        let bytes = self.capacity.bytes.saturating_sub(self.bytes + self.structures);
        let is_full = (bytes == 0 || self.keeps_too_much()) && !self.queue.is_empty();
        if is_full { Room { elements: 0, bytes } } else { Room { elements, bytes } }
    }

    /// Adds an element of this size.
    #[inline]
    pub(crate) fn push(&mut self, element: Element, size: Size) {
        self.bytes += size.payload;
        self.structures += size.structures;
        let address = element.payload.address();
        if address != self.last {
            self.last = address;
            self.kept += element.payload.kept_bytes();
        }
        self.queue.push_back(element);
    }

    /// Marks the edge as closed: no further element will be sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The sequence number of the waiting element at index `at`; the next one to be taken has index 0.
    pub(crate) fn sequence(&self, at: usize) -> Option<u64> {
        self.queue.get(at).map(|element| element.sequence)
    }

    /// Whether the edge is closed and empty.
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
        if self.structures > 0 {
            self.structures -= element.structure_bytes();
        }
        let address = element.payload.address();
        match self.queue.front() {
            Some(next) if next.payload.address() == address => {}
            Some(_) => self.kept -= element.payload.kept_bytes(),
            None => (self.kept, self.last) = (0, 0),
        }
        Some(element)
    }

    /// Moves waiting elements into `batch`, which must be empty: at most `max_elements`, and at most `max_bytes` payload bytes
    /// unless the first element alone has more. Returns the payload bytes moved.
    pub(crate) fn take(&mut self, batch: &mut Vec<Element>, max_elements: usize, max_bytes: usize) -> usize {
        debug_assert!(batch.is_empty(), "the batch must be empty");
        if self.queue.len() <= max_elements && self.bytes <= max_bytes {
            // Queue and batch exchange their memory; no element moves.
            let queue = std::mem::replace(&mut self.queue, std::mem::take(batch).into());
            *batch = queue.into();
            (self.structures, self.kept, self.last) = (0, 0, 0);
            return std::mem::take(&mut self.bytes);
        }
        let mut bytes = 0;
        while batch.len() < max_elements {
            let Some(size) = self.queue.front().map(|element| element.payload.len()) else { break };
            if bytes + size > max_bytes && !batch.is_empty() {
                break;
            }
            bytes += size;
            batch.extend(self.pop());
        }
        bytes
    }
}
