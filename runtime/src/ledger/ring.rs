//! A ring of records. Its memory is allocated before the flow begins. When it is full, the oldest records are overwritten and
//! counted.

use super::{Copies, Count, Record};

/// The last records of a flow.
#[derive(Debug, Clone)]
pub struct Ring {
    records: Vec<Record>,
    capacity: usize,
    /// The index of the oldest record, once the ring is full.
    oldest: usize,
    /// The number of overwritten records.
    lost: u64,
    /// The copies of all records, also of overwritten ones: a record is overwritten without being read, which would bring it
    /// into the cache.
    all_copies: Copies,
}

impl Ring {
    /// A ring for `capacity` records, and at least one.
    pub(super) fn new(capacity: usize) -> Ring {
        let capacity = capacity.max(1);
        Ring { records: Vec::with_capacity(capacity), capacity, oldest: 0, lost: 0, all_copies: Copies::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        if let Record::Transfer(copy) = &record {
            self.all_copies.get_mut(copy.reason).record(1, copy.bytes);
        }
        if self.records.len() < self.capacity {
            self.records.push(record);
            return;
        }
        self.records[self.oldest] = record;
        self.oldest = if self.oldest + 1 == self.capacity { 0 } else { self.oldest + 1 };
        self.lost += 1;
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
        let mut lost = self.all_copies;
        for record in &self.records {
            if let Record::Transfer(copy) = record {
                let lost = lost.get_mut(copy.reason);
                *lost = lost.since(Count { ops: 1, bytes: copy.bytes });
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Direction, Reason, TransferRecord};

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
