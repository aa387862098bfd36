//! Detects identity writes: a stage that writes payloads equal to those they were written from.

use crate::payload::{Batch, ElementRef};
use crate::stage::host::{BY_HANDLE, Written};

/// The number of payloads that are compared. This many equal ones are enough evidence.
const COMPARED: u64 = 1024;

/// Counts payloads that equal their origin; `None` once one differed.
#[derive(Debug)]
pub(crate) struct IdentityWrites(Option<u64>);

impl IdentityWrites {
    pub(crate) fn new() -> IdentityWrites {
        IdentityWrites(Some(0))
    }

    /// Compares the payloads in `made` with the elements of `batch` they were written from, by lineage, until enough are known.
    #[inline]
    pub(crate) fn observe(&mut self, made: &Written, batch: &Batch) {
        if self.0.is_some_and(|equal| equal < COMPARED) {
            self.compare_all(made, batch);
        }
    }

    fn compare_all(&mut self, made: &Written, batch: &Batch) {
        let mut rest = made.bytes.as_slice().unwrap_or_default();
        for (&size, &lineage) in made.sizes.iter().zip(&made.lineage).filter(|(size, _)| **size != BY_HANDLE) {
            let written;
            (written, rest) = rest.split_at(size as usize);
            rest = &rest[made.end..];
            if let Some(element) = batch.get(lineage as usize) {
                self.compare(written, element);
            }
        }
    }

    fn compare(&mut self, written: &[u8], from: ElementRef<'_>) {
        let Some(equal) = self.0.filter(|equal| *equal < COMPARED) else { return };
        if from.len() != written.len() || from.payload() != *written {
            self.0 = None;
        } else if !from.is_empty() {
            self.0 = Some(equal + 1);
        }
    }

    /// How many payloads were compared, if all were equal; 0 once one differed.
    pub(crate) fn count(&self) -> u64 {
        self.0.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::payload::Pool;
    use crate::payload::element::Element;

    fn count(payloads: &[(&str, &str)]) -> u64 {
        let mut writes = IdentityWrites::new();
        let pool = Pool::default();
        payloads.iter().for_each(|(written, from)| {
            let payload = pool.adopt(Bytes::copy_from_slice(from.as_bytes()));
            let from = Element { payload, sequence: 0, timestamp: 0, context: None };
            writes.compare(written.as_bytes(), (&from).into());
        });
        writes.count()
    }

    #[test]
    fn counts_equal_payloads_until_one_differs() {
        assert_eq!(count(&[("a", "a"), ("bc", "bc")]), 2);
        for differs in [("a", "b"), ("a", "ab"), ("ab", "a"), ("", "a"), ("a", "")] {
            assert_eq!(count(&[("a", "a"), differs, ("a", "a")]), 0, "{differs:?}");
        }
    }

    #[test]
    fn ignores_empty_payloads() {
        assert_eq!(count(&[("", ""), ("a", "a"), ("", "")]), 1);
    }

    #[test]
    fn compares_only_the_first_payloads() {
        let equal = vec![("a", "a"); COMPARED as usize];
        assert_eq!(count(&equal), COMPARED);
        assert_eq!(count(&[&equal[..], &[("a", "a"), ("a", "b")]].concat()), COMPARED);
        assert_eq!(count(&[&equal[1..], &[("a", "b")]].concat()), 0);
    }
}
