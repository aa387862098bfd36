//! The handle through which the nodes, stores and pool of a flow write records. When it is off, each possible record costs one
//! branch.

use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::record::NodeIndex;
use super::{Copies, Count, Direction, Reason, Record, Ring, TransferRecord, TransitionRecord};
use crate::ledger::ownership::{BufferId, Transition};

/// The default number of kept records. They take 3.5 MiB.
pub const DEFAULT_CAPACITY: usize = 1 << 16;

/// Receives the records of a flow; off unless made with [`Recorder::new`]. Clones share the records.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Mutex<Sheet>>>);

/// The shared state of a recorder.
pub(crate) struct Sheet {
    ring: Ring,
    /// Timestamps count from here.
    origin: Instant,
    /// When the current call began.
    now: u64,
    flow: u32,
    /// Whether only calls and hand-offs are recorded.
    only_calls: bool,
    recount: Option<Recount>,
}

/// Repeats the counting of totals this many times, in place of writing records.
struct Recount {
    times: u32,
    copies: Copies,
}

impl Recorder {
    /// Records the flow with this number, and keeps the last `capacity` records.
    pub fn new(flow: u32, capacity: usize) -> Recorder {
        Recorder::from_sheet(Sheet::new(flow, capacity))
    }

    /// Like [`Recorder::new`], but records only calls and hand-offs: two records for each batch, and none for each element.
    pub fn of_calls(flow: u32, capacity: usize) -> Recorder {
        Recorder::from_sheet(Sheet { only_calls: true, ..Sheet::new(flow, capacity) })
    }

    fn from_sheet(sheet: Sheet) -> Recorder {
        Recorder(Some(Arc::new(Mutex::new(sheet))))
    }

    /// Records nothing.
    pub fn off() -> Recorder {
        Recorder(None)
    }

    /// Writes no records. Instead, wherever totals are counted, counts them `times` more into a discarded total. The additional
    /// time of a flow, divided by `times`, is the cost of the totals.
    #[doc(hidden)]
    pub fn recounting(times: u32) -> Recorder {
        let recount = Some(Recount { times, copies: Copies::default() });
        Recorder::from_sheet(Sheet { recount, ..Sheet::new(0, 1) })
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A copy of what was recorded so far; `None` if the recorder is off.
    pub fn ring(&self) -> Option<Ring> {
        self.sheet().map(|sheet| sheet.ring.clone())
    }

    /// The boundary of a node.
    pub fn at(&self, node: usize) -> Boundary {
        Boundary { recorder: self.clone(), node: index(node), next: None }
    }

    /// Records a transition of a buffer.
    #[inline]
    pub(crate) fn transition(&self, transition: Transition) {
        if let Some(mut sheet) = self.sheet()
            && !sheet.only_calls
        {
            let (timestamp, flow) = (sheet.now, sheet.flow);
            sheet.push(Record::Transition(TransitionRecord { timestamp, flow, ..TransitionRecord::new(transition) }));
        }
    }

    /// Locks the state. This happens once per call or copy, on the one thread of the flow.
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

/// The number of a node or an edge. All numbers beyond 16 bits become the largest one.
pub(crate) fn index(of: usize) -> NodeIndex {
    NodeIndex::try_from(of).unwrap_or(NodeIndex::MAX)
}

impl Sheet {
    fn new(flow: u32, capacity: usize) -> Sheet {
        let (ring, origin) = (Ring::new(capacity), Instant::now());
        Sheet { ring, origin, now: 0, flow, only_calls: false, recount: None }
    }

    /// Begins a call. Everything recorded until the next call has its time.
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

    /// Repeats the counting of copies if asked to. Returns whether it was.
    fn recount(&mut self, reason: Reason, ops: u64, bytes: u64) -> bool {
        let Some(Recount { times, copies }) = &mut self.recount else { return false };
        (0..*times).for_each(|_| black_box(copies.get_mut(reason)).record(ops, bytes));
        true
    }

    /// Repeats the counting of moved elements if asked to.
    pub(crate) fn recount_moved(&mut self, moved: Count) {
        self.recount(Reason::PayloadRead, moved.ops, moved.bytes);
    }

    #[inline]
    fn transfer(&mut self, copy: TransferRecord) {
        if self.only_calls || self.recount(copy.reason, 1, copy.bytes) {
            return;
        }
        self.record(copy);
    }

    /// Records a copy, whatever else is asked for.
    #[inline]
    fn record(&mut self, copy: TransferRecord) {
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
    /// Sets the sequence number of the first element that a source makes in the next call.
    #[inline]
    pub(crate) fn makes_from(&mut self, sequence: u64) {
        self.next = Some(sequence);
    }

    /// Records a read from the payload of the element with this sequence number.
    #[inline]
    pub(crate) fn read(&self, sequence: u64, buffer: Option<BufferId>, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lowered, Reason::PayloadRead, bytes, Some(sequence), buffer));
        }
    }

    /// Records that whole payloads were read. The items are sequence number, buffer and bytes of each element.
    #[inline]
    pub(crate) fn read_all(&self, elements: impl Iterator<Item = (u64, Option<BufferId>, u64)>) {
        let Some(mut sheet) = self.recorder.sheet().filter(|sheet| !sheet.only_calls) else { return };
        if sheet.recount.is_some() {
            // The totals count a whole batch at once.
            let (ops, bytes) = elements.fold((0, 0), |(ops, sum), (_, _, bytes)| (ops + 1, sum + bytes));
            sheet.recount(Reason::PayloadRead, ops, bytes);
            return;
        }
        for (sequence, buffer, bytes) in elements {
            sheet.record(self.copy(Direction::Lowered, Reason::PayloadRead, bytes, Some(sequence), buffer));
        }
    }

    /// Records a copy within the host.
    #[inline]
    pub(crate) fn joined(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Within, Reason::HostSerialize, bytes, None, None));
        }
    }

    /// Records metadata that was lowered to the component.
    #[inline]
    pub(crate) fn lowered(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lowered, Reason::MetadataMarshal, bytes, None, None));
        }
    }

    /// Records metadata that was lifted from the component.
    #[inline]
    pub(crate) fn lifted(&self, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lifted, Reason::MetadataMarshal, bytes, None, None));
        }
    }

    /// Records a piece that was written to a payload.
    #[inline]
    pub(crate) fn wrote_piece(&self, buffer: BufferId, bytes: u64) {
        if let Some(mut sheet) = self.recorder.sheet() {
            sheet.transfer(self.copy(Direction::Lifted, Reason::PayloadWrite, bytes, None, Some(buffer)));
        }
    }

    /// Records written elements. The items are the place of each element among those that the call makes, its bytes, and the
    /// sequence number of the element it comes from, if any. The bytes are in `buffer`.
    #[inline]
    pub(crate) fn wrote(&self, elements: impl Iterator<Item = (usize, u64, Option<u64>)>, buffer: Option<BufferId>) {
        let Some(mut sheet) = self.recorder.sheet().filter(|sheet| !sheet.only_calls) else { return };
        if sheet.recount.is_some() {
            let (ops, bytes) = elements.fold((0, 0), |(ops, sum), (_, bytes, _)| (ops + 1, sum + bytes));
            sheet.recount(Reason::PayloadWrite, ops, bytes);
            return;
        }
        for (place, bytes, origin) in elements {
            let sequence = origin.or(self.next.map(|next| next + place as u64));
            sheet.record(self.copy(Direction::Lifted, Reason::PayloadWrite, bytes, sequence, buffer));
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
