//! The handle by which nodes, stores and the pool of a flow leave records. Where it is off, each place that could leave
//! one costs a branch.

use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::record::NodeIndex;
use super::{Copies, Count, Direction, Reason, Record, Ring, TransferRecord, TransitionRecord};
use crate::ledger::ownership::{BufferId, Transition};

/// Records that are kept unless something else is asked for: 3.5 MiB.
pub const DEFAULT_CAPACITY: usize = 1 << 16;

/// Where the records of a flow go; off unless made with [`Recorder::new`]. Clones share the records.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Mutex<Sheet>>>);

/// What a flow writes on.
pub(crate) struct Sheet {
    ring: Ring,
    /// From when time is counted.
    origin: Instant,
    /// When the current call began.
    now: u64,
    flow: u32,
    recount: Option<Recount>,
}

/// Keeps the totals so many times more, in place of records.
struct Recount {
    times: u32,
    copies: Copies,
}

impl Recorder {
    /// Records the flow of this number, and keeps the last `capacity` records.
    pub fn new(flow: u32, capacity: usize) -> Recorder {
        let sheet = Sheet { ring: Ring::new(capacity), origin: Instant::now(), now: 0, flow, recount: None };
        Recorder(Some(Arc::new(Mutex::new(sheet))))
    }

    /// Records nothing.
    pub fn off() -> Recorder {
        Recorder(None)
    }

    /// Leaves no records. Wherever totals are kept they are kept so many times more, for nobody: what a flow takes
    /// longer then, divided by `times`, is what totals cost.
    #[doc(hidden)]
    pub fn recounting(times: u32) -> Recorder {
        let recount = Some(Recount { times, copies: Copies::default() });
        let sheet = Sheet { ring: Ring::new(1), origin: Instant::now(), now: 0, flow: 0, recount };
        Recorder(Some(Arc::new(Mutex::new(sheet))))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What was recorded until now; `None` where it is off.
    pub fn ring(&self) -> Option<Ring> {
        self.sheet().map(|sheet| sheet.ring.clone())
    }

    /// The boundary of a node.
    pub fn at(&self, node: usize) -> Boundary {
        Boundary { recorder: self.clone(), node: index(node), next: None }
    }

    /// Something happened to a buffer.
    #[inline]
    pub(crate) fn transition(&self, transition: Transition) {
        if let Some(mut sheet) = self.sheet() {
            let (timestamp, flow) = (sheet.now, sheet.flow);
            sheet.push(Record::Transition(TransitionRecord { timestamp, flow, ..TransitionRecord::new(transition) }));
        }
    }

    /// Taken once a call or a copy, by the one thread of the flow.
    #[inline]
    pub(crate) fn sheet(&self) -> Option<MutexGuard<'_, Sheet>> {
        self.0.as_ref().map(|sheet| sheet.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Recorder(on)" } else { "Recorder(off)" })
    }
}

/// Nodes and edges beyond what 16 bits tell apart share the last number.
pub(crate) fn index(of: usize) -> NodeIndex {
    NodeIndex::try_from(of).unwrap_or(NodeIndex::MAX)
}

impl Sheet {
    /// A call begins. What is recorded until the next one has this time.
    pub(crate) fn begin(&mut self, at: Instant) -> u64 {
        self.now = self.time(at);
        self.now
    }

    pub(crate) fn time(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.origin).as_nanos() as u64
    }

    pub(crate) fn flow(&self) -> u32 {
        self.flow
    }

    #[inline]
    pub(crate) fn push(&mut self, record: Record) {
        if self.recount.is_none() {
            self.ring.push(record);
        }
    }

    /// Keeps the totals of one copy, or of a batch of them, as often as asked. Tells whether that is asked at all.
    fn recount(&mut self, reason: Reason, ops: u64, bytes: u64) -> bool {
        let Some(Recount { times, copies }) = &mut self.recount else { return false };
        (0..*times).for_each(|_| black_box(copies.get_mut(reason)).record(ops, bytes));
        true
    }

    /// Counts what a node took or made in a call, as often as asked.
    pub(crate) fn recount_moved(&mut self, moved: Count) {
        self.recount(Reason::PayloadRead, moved.ops, moved.bytes);
    }

    #[inline]
    fn transfer(&mut self, copy: TransferRecord) {
        if self.recount(copy.reason, 1, copy.bytes) {
            return;
        }
        let (timestamp, flow) = (self.now, self.flow);
        self.ring.push(Record::Transfer(TransferRecord { timestamp, flow, ..copy }));
    }
}

/// The boundary of one node, where its copies are recorded.
#[derive(Debug, Clone, Default)]
pub struct Boundary {
    recorder: Recorder,
    node: NodeIndex,
    /// For a source, the sequence number of the next element that it makes.
    next: Option<u64>,
}

impl Boundary {
    /// The sequence number that the first element gets which a source makes in the next call.
    #[inline]
    pub(crate) fn makes_from(&mut self, sequence: u64) {
        self.next = Some(sequence);
    }

    /// A part of the payload of the element of this sequence number was read.
    #[inline]
    pub(crate) fn read(&self, sequence: u64, buffer: Option<BufferId>, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lowered, Reason::PayloadRead, bytes, Some(sequence), buffer));
        }
    }

    /// The payloads of elements were read whole: of each its sequence number, its buffer and its bytes.
    #[inline]
    pub(crate) fn read_all(&self, elements: impl Iterator<Item = (u64, Option<BufferId>, u64)>) {
        let Some(mut sheet) = self.recorder.sheet() else { return };
        if sheet.recount.is_some() {
            // The totals count a batch at once.
            let (ops, bytes) = elements.fold((0, 0), |(ops, sum), (_, _, bytes)| (ops + 1, sum + bytes));
            sheet.recount(Reason::PayloadRead, ops, bytes);
            return;
        }
        for (sequence, buffer, bytes) in elements {
            sheet.transfer(self.copy(Direction::Lowered, Reason::PayloadRead, bytes, Some(sequence), buffer));
        }
    }

    /// Payloads, or a part of one, were copied within the host, together.
    #[inline]
    pub(crate) fn joined(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Within, Reason::HostSerialize, bytes, None, None));
        }
    }

    /// Metadata was lowered to the component.
    #[inline]
    pub(crate) fn lowered(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lowered, Reason::MetadataMarshal, bytes, None, None));
        }
    }

    /// Metadata was lifted from the component.
    #[inline]
    pub(crate) fn lifted(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lifted, Reason::MetadataMarshal, bytes, None, None));
        }
    }

    /// A piece of a payload was written.
    #[inline]
    pub(crate) fn wrote_piece(&self, buffer: BufferId, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lifted, Reason::PayloadWrite, bytes, None, Some(buffer)));
        }
    }

    /// Elements were written: of each its place among those that the call makes, its bytes, and the sequence number of the
    /// element that it comes from, if it comes from one. Their bytes are in `buffer`.
    #[inline]
    pub(crate) fn wrote(&self, elements: impl Iterator<Item = (usize, u64, Option<u64>)>, buffer: Option<BufferId>) {
        let Some(mut sheet) = self.recorder.sheet() else { return };
        if sheet.recount.is_some() {
            let (ops, bytes) = elements.fold((0, 0), |(ops, sum), (_, bytes, _)| (ops + 1, sum + bytes));
            sheet.recount(Reason::PayloadWrite, ops, bytes);
            return;
        }
        for (place, bytes, origin) in elements {
            let sequence = origin.or(self.next.map(|next| next + place as u64));
            sheet.transfer(self.copy(Direction::Lifted, Reason::PayloadWrite, bytes, sequence, buffer));
        }
    }

    fn copy(
        &self,
        direction: Direction,
        reason: Reason,
        bytes: u64,
        sequence: Option<u64>,
        buffer: Option<BufferId>,
    ) -> TransferRecord {
        TransferRecord::new(self.node, direction, reason, bytes, sequence, buffer)
    }
}
