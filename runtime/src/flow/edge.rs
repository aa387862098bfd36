//! Edges: the bounded queues between nodes.

use std::collections::VecDeque;

use crate::payload::{Batch, ElementRef, MAX_BATCH, Run, run};
use crate::pipeline::graph::Capacity;

/// How many bytes of buffers the elements on an edge may keep alive: at least `KEPT_BYTES`, and at least `KEPT_SHARE` times
/// the byte capacity of the edge. Payloads that fill their buffers stay far below. Without this limit, 256 small slices
/// could keep 256 large buffers alive.
const KEPT_BYTES: usize = 16 << 20;
const KEPT_SHARE: usize = 4;

/// A bounded queue between two nodes.
pub(crate) struct Edge {
    queue: VecDeque<Run>,
    /// The number of waiting elements.
    len: usize,
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
    /// How many elements were taken so far.
    taken: u64,
    /// No further element will be sent.
    closed: bool,
}

/// What can be sent to every edge of a node's outputs, whichever output it goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
}

impl Edge {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let queue = VecDeque::new();
        Edge { queue, len: 0, bytes: 0, structures: 0, kept: 0, last: 0, capacity, taken: 0, closed: false }
    }

    /// How many elements of a run, from the first on, there is room for. An empty edge has room for one of any size.
    #[inline]
    pub(crate) fn room_for(&self, run: &Run) -> usize {
        let kept = if run.payload().address() == self.last { 0 } else { run.payload().kept_bytes() };
        let bytes = self.bytes + self.structures + run.bytes().saturating_add(run.structure_bytes());
        let fits = self.len + run.len() <= self.capacity.elements
            && bytes <= self.capacity.bytes
            && !self.is_too_much(if run.len() > 1 { self.kept + kept } else { self.kept });
        if fits { run.len() } else { self.room_for_some(run, kept) }
    }

    #[inline(never)]
    fn room_for_some(&self, run: &Run, kept: usize) -> usize {
        let structures = run.structure_bytes() / run.len();
        let (mut count, mut bytes) = (0, self.bytes + self.structures);
        for element in run.iter() {
            bytes = bytes.saturating_add(element.len()).saturating_add(structures);
            let keeps_too_much = self.is_too_much(if count > 0 { self.kept + kept } else { self.kept });
            let has_room = self.len + count < self.capacity.elements && bytes <= self.capacity.bytes && !keeps_too_much;
            if !has_room && (self.len > 0 || count > 0) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Whether waiting elements that keep this many bytes alive keep so much that no more may be added.
    #[inline]
    fn is_too_much(&self, kept: usize) -> bool {
        kept >= KEPT_BYTES && kept / KEPT_SHARE >= self.capacity.bytes
    }

    pub(crate) fn room(&self) -> Room {
        let elements = self.capacity.elements - self.len;
        let bytes = self.capacity.bytes.saturating_sub(self.bytes + self.structures);
        let is_full = (bytes == 0 || self.is_too_much(self.kept)) && self.len > 0;
        if is_full { Room { elements: 0, bytes } } else { Room { elements, bytes } }
    }

    /// Whether a large push waits here, or there might be no room for a further batch.
    pub(crate) fn has_much(&self, bytes: usize) -> bool {
        let room = self.room();
        self.closed || self.bytes >= bytes || room.elements < MAX_BATCH || room.bytes < bytes
    }

    /// Adds a run.
    #[inline]
    pub(crate) fn push(&mut self, run: Run) {
        self.len += run.len();
        self.bytes += run.bytes();
        self.structures += run.structure_bytes();
        let address = run.payload().address();
        if address != self.last {
            self.last = address;
            self.kept += run.payload().kept_bytes();
        }
        self.queue.push_back(run);
    }

    /// Marks the edge as closed: no further element will be sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of waiting elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many elements were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many elements were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.taken + self.len as u64
    }

    /// The sequence number of the waiting element at index `at`; the next one to be taken has index 0.
    pub(crate) fn sequence(&self, at: usize) -> Option<u64> {
        run::find(self.queue.iter(), at).map(|element| element.sequence())
    }

    /// Whether the edge is closed and empty.
    pub(crate) fn is_finished(&self) -> bool {
        self.closed && self.queue.is_empty()
    }

    /// The element that has waited longest.
    pub(crate) fn first(&self) -> Option<ElementRef<'_>> {
        self.queue.front().map(|run| run.get(0))
    }

    /// Moves waiting elements to the end of `batch`, as long as it has at most `max_elements` elements, and at most `max_bytes`
    /// payload bytes unless the first element alone has more. Returns the payload bytes moved.
    pub(crate) fn take(&mut self, batch: &mut Batch, max_elements: usize, max_bytes: usize) -> usize {
        let mut bytes = 0;
        loop {
            let least = usize::from(batch.is_empty());
            let most = max_elements - batch.len();
            let Some(run) = self.take_run_within(max_bytes - bytes.min(max_bytes), least, most) else { break };
            bytes += run.bytes();
            batch.push(run);
        }
        bytes
    }

    /// How many of the elements that were sent together first have numbers up to `last`.
    pub(crate) fn count_up_to(&self, last: u64) -> usize {
        let first = self.queue.front();
        first.map_or(0, |run| run.iter().take_while(|element| element.sequence() <= last).count())
    }

    /// Takes elements from the run that has waited longest, if it has any: as many as have at most `max_bytes` payload bytes,
    /// at least `least`, and at most `most`.
    #[inline]
    pub(crate) fn take_run_within(&mut self, max_bytes: usize, least: usize, most: usize) -> Option<Run> {
        let count = self.queue.front()?.count_within(max_bytes, most).max(least).min(most);
        self.take_run(count)
    }

    /// Takes the first `count` elements of the run that has waited longest, if there are any.
    fn take_run(&mut self, count: usize) -> Option<Run> {
        let first = self.queue.front_mut().filter(|_| count > 0)?;
        let is_whole = count == first.len();
        let run = if is_whole { self.queue.pop_front()? } else { first.split_to(count) };
        self.len -= run.len();
        self.taken += run.len() as u64;
        self.bytes -= run.bytes();
        if self.structures > 0 {
            self.structures -= run.structure_bytes();
        }
        match self.queue.front() {
            Some(next) if next.payload().address() == run.payload().address() => {}
            Some(_) => self.kept -= run.payload().kept_bytes(),
            None => (self.kept, self.last) = (0, 0),
        }
        Some(run)
    }
}
