//! A ring of records. Its memory is allocated before the flow begins. When it is full, the oldest records are overwritten and
//! counted.

use super::{Copies, Record};

/// The last records of a flow.
#[derive(Debug, Clone)]
pub struct Ring {
    records: Vec<Record>,
    capacity: usize,
    /// The index of the oldest record, once the ring is full.
    oldest: usize,
    /// The number of overwritten records.
    lost: u64,
    lost_copies: Copies,
}

impl Ring {
    /// A ring for `capacity` records, and at least one.
    pub(super) fn new(capacity: usize) -> Ring {
        let capacity = capacity.max(1);
        Ring { records: Vec::with_capacity(capacity), capacity, oldest: 0, lost: 0, lost_copies: Copies::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        if self.records.len() < self.capacity {
            self.records.push(record);
            return;
        }
        let overwritten = std::mem::replace(&mut self.records[self.oldest], record);
        self.oldest = if self.oldest + 1 == self.capacity { 0 } else { self.oldest + 1 };
        self.lost += 1;
        if let Record::Transfer(copy) = overwritten {
            self.lost_copies.get_mut(copy.reason).record(1, copy.bytes);
        }
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        let (newer, older) = self.records.split_at(self.oldest);
        older.iter().chain(newer)
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The number of overwritten records.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The copies whose records were overwritten. Together with the copies of the remaining records, they are the totals.
    pub fn lost_copies(&self) -> Copies {
        self.lost_copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Count, Direction, Reason, TransferRecord};

    fn copy(bytes: u64) -> Record {
        Record::Transfer(TransferRecord::new(0, Direction::Lowered, Reason::PayloadRead, bytes, Some(bytes), None))
    }

    #[test]
    fn overwrites_and_counts_the_oldest() {
        for count in 0..20 {
            let mut ring = Ring::new(4);
            let memory = ring.records.as_ptr();
            (0..count).for_each(|bytes| ring.push(copy(bytes)));
            let kept = count.min(4);
            let expected: Vec<_> = (count - kept..count).map(copy).collect();
            assert_eq!(ring.iter().copied().collect::<Vec<_>>(), expected);
            assert_eq!((ring.len() as u64, ring.lost()), (kept, count - kept));
            let lost = Count { ops: count - kept, bytes: (0..count - kept).sum() };
            assert_eq!(ring.lost_copies(), Copies { payload_read: lost, ..Copies::default() });
            assert_eq!(ring.records.as_ptr(), memory, "no memory is taken while a flow runs");
        }
    }
}
