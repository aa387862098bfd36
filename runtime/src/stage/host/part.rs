//! What one host call made: elements that were written, or made of others.

use crate::payload::Payload;
use crate::payload::element::Element;
use crate::payload::run::has_parts;

/// Elements made by one host call.
pub(crate) enum Part {
    Written(Written),
    Views(Vec<View>),
}

/// Elements that were written, or passed on in between, as the stage described them.
pub(crate) struct Written {
    /// The new payloads, each followed by `end`.
    pub(crate) bytes: Payload,
    /// Bytes after each payload that are part of none.
    pub(crate) end: usize,
    pub(crate) sizes: Vec<u64>,
    pub(crate) lineage: Vec<u32>,
    pub(crate) outputs: Vec<u32>,
    /// How many of them have new bytes.
    pub(crate) written: u64,
}

impl Written {
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.bytes.len() as u64 - self.written * self.end as u64
    }

    /// Bytes of the columns that describe the elements.
    pub(super) fn column_bytes(&self) -> usize {
        size_of_val(&self.sizes[..]) + size_of_val(&self.lineage[..]) + size_of_val(&self.outputs[..])
    }

    /// Whether all payloads are new and go to the first output, one for one element of a batch of `lent` elements after the other;
    /// or from a source, which has no batch. And whether there are so few bytes that they can be one run.
    pub(crate) fn is_in_order(&self, lent: usize, is_source: bool) -> bool {
        let one_for_one = || self.lineage.iter().zip(0..).all(|(index, entry)| *index == entry);
        let is_in_order = if is_source {
            self.lineage.is_empty()
        } else {
            self.lineage.len() == self.sizes.len() && self.sizes.len() <= lent && one_for_one()
        };
        is_in_order && self.outputs.is_empty() && self.written == self.sizes.len() as u64 && has_parts(&self.bytes)
    }
}

/// An element made of others without a copy.
pub(crate) struct View {
    pub(crate) element: Element,
    pub(crate) outputs: u32,
    pub(crate) origin: Origin,
}

/// What an element was made of.
pub(crate) enum Origin {
    /// An element of the batch, by its index.
    Lent(u32),
    /// A held element, by its place.
    Held(u32),
    /// Several held elements.
    Joined(Box<[u32]>),
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{BY_HANDLE, NO_LINEAGE};
    use super::*;
    use crate::payload::Pool;

    #[test]
    fn knows_what_was_written_in_order() {
        let is_in_order = |sizes: &[u64], lineage: &[u32], outputs: &[u32], lent| {
            let written = sizes.iter().filter(|size| **size != BY_HANDLE).count() as u64;
            let (sizes, lineage, outputs) = (sizes.to_vec(), lineage.to_vec(), outputs.to_vec());
            let bytes = Pool::default().adopt(Bytes::from_static(b"abc"));
            let made = Written { bytes, end: 0, sizes, lineage, outputs, written };
            (made.is_in_order(lent, false), made.is_in_order(lent, true))
        };
        assert_eq!(is_in_order(&[1, 2], &[0, 1], &[], 3), (true, false));
        assert_eq!(is_in_order(&[1, 2], &[], &[], 0), (false, true));
        for lineage in [[1, 0], [0, 0], [0, NO_LINEAGE], [0, 2]] {
            assert_eq!(is_in_order(&[1, 2], &lineage, &[], 3), (false, false), "{lineage:?}");
        }
        assert_eq!(is_in_order(&[1, 2], &[0, 1], &[1, 2], 3), (false, false), "two outputs");
        assert_eq!(is_in_order(&[3, BY_HANDLE], &[0, 1], &[], 3), (false, false), "one is passed on");
        assert_eq!(is_in_order(&[1, 2], &[0, 1], &[], 1), (false, false), "more than were lent");
    }
}
