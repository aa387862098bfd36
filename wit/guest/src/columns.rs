//! The columns in which elements are made: one entry for each element, to be handed to the host in one crossing.

/// In `sizes`: the element is passed on by handle.
pub(crate) const BY_HANDLE: u64 = u64::MAX;
/// In `lineage`: the element comes from none of the batch.
pub(crate) const NO_LINEAGE: u32 = u32::MAX;
/// In `outputs`: the element goes to output 0 alone.
pub(crate) const OUTPUT_0: u32 = 1;
/// Capacity that is kept from one call to the next, in bytes; an element may have needed much more once.
const KEPT_CAPACITY: usize = 1 << 20;

/// Elements in the making, in order. All of them are written or passed on by handle, or all of them are parts.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<u64>,
    /// Of parts alone.
    pub(crate) offsets: Vec<u64>,
    /// Empty, or as long as `sizes`.
    pub(crate) lineage: Vec<u32>,
    /// Empty, or as long as `sizes`.
    pub(crate) outputs: Vec<u32>,
    /// The last entry is a part that stands for an element passed on whole.
    whole: bool,
}

impl Columns {
    pub(crate) fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        fill(&mut self.bytes[start..]);
    }

    #[inline]
    pub(crate) fn entry(&mut self, size: u64, lineage: u32, outputs: u32) {
        enter(&mut self.lineage, self.sizes.len(), lineage, NO_LINEAGE);
        enter(&mut self.outputs, self.sizes.len(), outputs, OUTPUT_0);
        self.sizes.push(size);
    }

    #[inline]
    pub(crate) fn part(&mut self, index: u32, offset: u64, len: u64, outputs: u32) {
        self.whole = false;
        self.offsets.push(offset);
        self.entry(len, index, outputs);
    }

    /// As [`forward`](Columns::forward), for an element of `size` bytes among parts.
    pub(crate) fn forward_entire(&mut self, index: u32, size: u64, outputs: u32) {
        self.outputs.resize(self.sizes.len(), OUTPUT_0);
        match (self.lineage.last(), self.outputs.last_mut()) {
            (Some(&from), Some(known)) if self.whole && from == index => *known |= outputs,
            _ => {
                self.part(index, 0, size, outputs);
                self.whole = true;
            }
        }
    }

    /// Passes element `index` on to one output more: by the entry that does so already, if it is the last.
    pub(crate) fn forward(&mut self, index: u32, outputs: u32) {
        self.outputs.resize(self.sizes.len(), OUTPUT_0);
        match (self.sizes.last(), self.lineage.last(), self.outputs.last_mut()) {
            (Some(&BY_HANDLE), Some(&from), Some(known)) if from == index => *known |= outputs,
            _ => self.entry(BY_HANDLE, index, outputs),
        }
    }

    /// Keeps the first `entries`, and gives the rest.
    pub(crate) fn split_off(&mut self, entries: usize) -> Columns {
        let bytes = self.bytes_of(entries);
        // A column may be empty.
        fn rest<T>(column: &mut Vec<T>, from: usize) -> Vec<T> {
            column.split_off(from.min(column.len()))
        }
        Columns {
            bytes: rest(&mut self.bytes, bytes),
            sizes: rest(&mut self.sizes, entries),
            offsets: rest(&mut self.offsets, entries),
            lineage: rest(&mut self.lineage, entries),
            outputs: rest(&mut self.outputs, entries),
            whole: std::mem::take(&mut self.whole),
        }
    }

    /// Keeps the first `entries`.
    pub(crate) fn truncate(&mut self, entries: usize) {
        self.bytes.truncate(self.bytes_of(entries));
        self.sizes.truncate(entries);
        self.offsets.truncate(entries);
        self.lineage.truncate(entries);
        self.outputs.truncate(entries);
        self.whole = false;
    }

    /// The bytes of the first `entries`, if they are written; of parts there are none.
    fn bytes_of(&self, entries: usize) -> usize {
        let written = self.sizes[..entries].iter().filter(|size| **size != BY_HANDLE);
        written.fold(0, |bytes: usize, size| bytes.saturating_add(*size as usize))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY);
        self.sizes.clear();
        self.offsets.clear();
        self.lineage.clear();
        self.outputs.clear();
        self.whole = false;
    }
}

/// Adds the entry at `len` to a column, which stays empty while all entries are what an empty one stands for.
#[inline]
fn enter(column: &mut Vec<u32>, len: usize, entry: u32, default: u32) {
    if !column.is_empty() || entry != default {
        column.resize(len, default);
        column.push(entry);
    }
}

/// The set of output `port` alone.
#[inline]
pub(crate) fn bit(port: u32) -> u32 {
    1u32.checked_shl(port).expect("outputs are numbered from 0 to 31")
}
