//! [`Columns`]: the elements that a call makes, one entry for each, to be handed to the host in one crossing.

/// In `sizes`: the element is forwarded by handle.
pub(crate) const BY_HANDLE: u64 = u64::MAX;
/// In `lineage`: the element comes from no element of the batch.
pub(crate) const NO_LINEAGE: u32 = u32::MAX;
/// In `outputs`: the element goes to output 0 only.
pub(crate) const OUTPUT_0: u32 = 1;
/// Capacity in bytes that is kept from one call to the next. A single large element does not keep its memory.
const KEPT_CAPACITY: usize = 1 << 20;

/// The elements of an output, in order. Either all entries are written or forwarded by handle, or all are parts.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<u64>,
    /// Of parts only.
    pub(crate) offsets: Vec<u64>,
    /// Empty, or as long as `sizes`, once [`list_lineage`](Columns::list_lineage) was called.
    pub(crate) lineage: Vec<u32>,
    /// The first entries that are made of the element with their own index, and are not in `lineage` yet.
    in_order: usize,
    /// Empty, or as long as `sizes`.
    pub(crate) outputs: Vec<u32>,
    /// The last entry is a part that stands for a forwarded element: its whole payload.
    is_last_whole: bool,
}

impl Columns {
    pub(crate) fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        fill(&mut self.bytes[start..]);
    }

    /// Appends the bytes of `payload`, each as `map` makes it.
    #[inline(always)]
    pub(crate) fn append_mapped(&mut self, payload: &[u8], map: impl Fn(u8) -> u8) {
        self.bytes.reserve(payload.len());
        // One vector instruction for many bytes. The last ones, which do not fill a vector, are made together with some that
        // were made before: one by one would take longer than all the others.
        let has_vectors = cfg!(any(target_feature = "simd128", not(target_family = "wasm")));
        if has_vectors && let Some(last) = payload.last_chunk::<64>() {
            append_chunks(&mut self.bytes, payload, last, map);
        } else if has_vectors && let Some(last) = payload.last_chunk::<32>() {
            append_chunks(&mut self.bytes, payload, last, map);
        } else if let Some(last) = payload.last_chunk::<16>() {
            append_chunks(&mut self.bytes, payload, last, map);
        } else if let Some(last) = payload.last_chunk::<4>() {
            append_chunks(&mut self.bytes, payload, last, map);
        } else {
            self.bytes.extend(payload.iter().map(|byte| map(*byte)));
        }
    }

    #[inline]
    pub(crate) fn entry(&mut self, size: u64, lineage: u32, outputs: u32) {
        push_unless_default(&mut self.lineage, self.sizes.len(), lineage, NO_LINEAGE);
        push_unless_default(&mut self.outputs, self.sizes.len(), outputs, OUTPUT_0);
        self.sizes.push(size);
    }

    /// As [`entry`](Columns::entry), for an element made of element `index` of the batch. While every entry is made of the
    /// element with its own index and goes to output 0, only its size is noted.
    #[inline(always)]
    pub(crate) fn entry_of(&mut self, size: u64, index: u32, outputs: u32) {
        if self.in_order == self.sizes.len() && index as usize == self.in_order && outputs == OUTPUT_0 {
            self.in_order += 1;
            self.sizes.push(size);
        } else {
            self.entry_out_of_order(size, index, outputs);
        }
    }

    #[inline(never)]
    fn entry_out_of_order(&mut self, size: u64, index: u32, outputs: u32) {
        self.list_lineage();
        self.entry(size, index, outputs);
    }

    /// Lists the lineage of all entries. To be called before they are handed to the host.
    pub(crate) fn list_lineage(&mut self) {
        self.lineage.extend(0..std::mem::take(&mut self.in_order) as u32);
    }

    #[inline]
    pub(crate) fn part(&mut self, index: u32, offset: u64, len: u64, outputs: u32) {
        self.is_last_whole = false;
        self.offsets.push(offset);
        self.entry(len, index, outputs);
    }

    /// As [`forward`](Columns::forward), among parts, for an element of `size` bytes.
    pub(crate) fn forward_entire(&mut self, index: u32, size: u64, outputs: u32) {
        self.outputs.resize(self.sizes.len(), OUTPUT_0);
        match (self.lineage.last(), self.outputs.last_mut()) {
            (Some(&from), Some(known)) if self.is_last_whole && from == index => *known |= outputs,
            _ => {
                self.part(index, 0, size, outputs);
                self.is_last_whole = true;
            }
        }
    }

    /// Forwards element `index` to `outputs` as well. Extends the last entry if that forwards the element already.
    pub(crate) fn forward(&mut self, index: u32, outputs: u32) {
        self.list_lineage();
        self.outputs.resize(self.sizes.len(), OUTPUT_0);
        match (self.sizes.last(), self.lineage.last(), self.outputs.last_mut()) {
            (Some(&BY_HANDLE), Some(&from), Some(known)) if from == index => *known |= outputs,
            _ => self.entry(BY_HANDLE, index, outputs),
        }
    }

    /// Keeps the first `entries`, and returns the rest.
    pub(crate) fn split_off(&mut self, entries: usize) -> Columns {
        self.list_lineage();
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
            in_order: 0,
            is_last_whole: std::mem::take(&mut self.is_last_whole),
        }
    }

    /// Keeps the first `entries` only.
    pub(crate) fn truncate(&mut self, entries: usize) {
        self.list_lineage();
        self.bytes.truncate(self.bytes_of(entries));
        self.sizes.truncate(entries);
        self.offsets.truncate(entries);
        self.lineage.truncate(entries);
        self.outputs.truncate(entries);
        self.is_last_whole = false;
    }

    /// The number of bytes that the first `entries` have in `bytes`, if they are written entries. Parts have none
    /// there.
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
        (self.in_order, self.is_last_whole) = (0, false);
    }
}

/// Appends the bytes of `payload`, each as `map` makes it; `last` are its last ones.
#[inline(always)]
fn append_chunks<const N: usize>(bytes: &mut Vec<u8>, payload: &[u8], last: &[u8; N], map: impl Fn(u8) -> u8) {
    let (chunks, rest) = payload.as_chunks::<N>();
    for chunk in chunks {
        bytes.extend_from_slice(&chunk.map(&map));
    }
    if !rest.is_empty() {
        bytes.truncate(bytes.len() - (N - rest.len()));
        bytes.extend_from_slice(&last.map(&map));
    }
}

/// Pushes the entry at index `len` of a column. The column stays empty while all entries have the default value.
#[inline]
fn push_unless_default(column: &mut Vec<u32>, len: usize, entry: u32, default: u32) {
    if !column.is_empty() || entry != default {
        column.resize(len, default);
        column.push(entry);
    }
}

/// The set of outputs with `port` only.
#[inline]
pub(crate) fn bit(port: u32) -> u32 {
    1u32.checked_shl(port).expect("outputs are numbered from 0 to 31")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_where_entries_come_from_only_when_asked() {
        let listed = |entries: &[(u32, u32)]| {
            let mut columns = Columns::default();
            entries.iter().for_each(|(index, outputs)| columns.entry_of(1, *index, *outputs));
            columns.list_lineage();
            (columns.sizes.len(), columns.lineage, columns.outputs)
        };
        assert_eq!(listed(&[(0, 1), (1, 1), (2, 1)]), (3, vec![0, 1, 2], vec![]));
        assert_eq!(listed(&[(0, 1), (2, 1), (3, 1)]), (3, vec![0, 2, 3], vec![]));
        assert_eq!(listed(&[(1, 1), (1, 1)]), (2, vec![1, 1], vec![]));
        assert_eq!(listed(&[(0, 1), (0, 1), (1, 1)]), (3, vec![0, 0, 1], vec![]));
        assert_eq!(listed(&[(0, 1), (1, 2), (2, 1)]), (3, vec![0, 1, 2], vec![1, 2, 1]));

        let mut columns = Columns::default();
        (0..3).for_each(|index| columns.entry_of(1, index, OUTPUT_0));
        columns.forward(3, OUTPUT_0);
        assert_eq!((&columns.lineage[..], columns.sizes[3]), (&[0, 1, 2, 3][..], BY_HANDLE));
        columns.truncate(2);
        columns.entry_of(1, 7, OUTPUT_0);
        assert_eq!(columns.lineage, [0, 1, 7]);
    }

    #[test]
    fn maps_payloads_of_every_length() {
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(100).collect();
        for len in 0..=payload.len() {
            let mut columns = Columns::default();
            columns.bytes.extend_from_slice(b"before");
            columns.append_mapped(&payload[..len], |byte| byte.wrapping_mul(3));
            let mapped = payload[..len].iter().map(|byte| byte.wrapping_mul(3));
            assert_eq!(columns.bytes, b"before".iter().copied().chain(mapped).collect::<Vec<_>>(), "{len}");
        }
    }
}
