//! What a node counts.

use std::time::Duration;

use crate::ledger::Count;
use crate::payload::Batch;

/// What went through a node so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// What it took from its edges.
    pub(super) taken: Count,
    /// What it made. For elements that it passes on by routes, only their number.
    pub(super) made: Count,
    pub(super) dropped: u64,
    /// Delivered elements with a deadline.
    pub(super) due: u64,
    /// Those of them that were late.
    pub(super) late: u64,
    pub(super) busy: Duration,
}

impl Counters {
    /// Counts elements as not taken: the call that took them was cut off.
    pub(super) fn take_back(&mut self, elements: u64, bytes: u64) {
        self.taken = self.taken.since(Count { ops: elements, bytes });
    }

    /// Counts the elements with a deadline in a batch that is delivered now, in nanoseconds since the Unix epoch.
    pub(super) fn count_deadlines(&mut self, batch: &Batch, now: u64) {
        for deadline in batch.iter().filter_map(|element| element.deadline()) {
            self.due += 1;
            self.late += u64::from(deadline < now);
        }
    }
}
