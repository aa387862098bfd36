//! Batches: the elements of one call.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::element::Element;
use super::run::{self, ElementRef, Run};
use super::{Gathered, Payload, Pool};

/// The elements of one call, in order.
#[derive(Debug, Default)]
pub struct Batch {
    runs: Vec<Run>,
    len: usize,
}

impl Batch {
    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Payload bytes of all elements.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes() as u64).sum()
    }

    /// The elements, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = ElementRef<'_>> + Clone {
        self.runs.iter().flat_map(Run::iter)
    }

    /// The element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<ElementRef<'_>> {
        if index >= self.len {
            return None;
        }
        if self.runs.len() == self.len {
            return Some(self.runs[index].get(0));
        }
        run::find(self.runs.iter(), index)
    }

    /// The last element.
    #[inline]
    pub fn last(&self) -> Option<ElementRef<'_>> {
        let run = self.runs.last()?;
        Some(run.get(run.len() - 1))
    }

    /// The payload of an element by itself, by its index; see [`Batch::separate`].
    pub(crate) fn payload(&self, index: usize) -> Option<&Payload> {
        self.runs.get(index).map(Run::payload)
    }

    /// Returns the payload bytes of all elements, end to end, in one piece. They are copied unless they already are in one piece.
    ///
    /// # Errors
    ///
    /// As [`Payload::gather`].
    pub(crate) fn gather_all(&self, pool: &Pool) -> io::Result<Gathered> {
        let stretches = self.runs.iter().flat_map(|run| run.stretches().map(|part| (run.payload(), part)));
        if let Some(bytes) = in_one_piece(stretches) {
            return Ok(Gathered { bytes, copied: 0 });
        }
        let mut block = pool.take(self.runs.iter().map(Run::bytes).sum());
        let copied = self.runs.iter().map(|run| run.append_to(&mut block)).sum::<io::Result<u64>>()?;
        Ok(Gathered { bytes: block.into_bytes(), copied })
    }

    #[inline]
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Appends a run.
    #[inline]
    pub(crate) fn push(&mut self, run: impl Into<Run>) {
        let run = run.into();
        self.len += run.len();
        self.runs.push(run);
    }

    /// Removes all elements.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }

    /// Takes the runs.
    #[inline]
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, Run> {
        self.len = 0;
        self.runs.drain(..)
    }

    /// Takes the elements from `index` on.
    pub(crate) fn split_off(&mut self, index: usize) -> Vec<Element> {
        self.separate();
        self.len = self.len.min(index);
        self.runs.drain(index..).flat_map(Run::into_elements).collect()
    }

    /// Removes the element at `index`, which must be one.
    pub(crate) fn remove(&mut self, index: usize) {
        self.separate();
        self.runs.remove(index);
        self.len -= 1;
    }

    /// The element at `index`, to change it.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Element> {
        self.divide();
        self.runs.get_mut(index).map(Run::make_alone)
    }

    /// Makes each element a run by itself, so that it can be changed, held or taken without the others.
    pub(crate) fn separate(&mut self) {
        self.divide();
        self.runs.iter_mut().for_each(|run| _ = run.make_alone());
    }

    /// Makes each element a run of one, which may still share its payload with others.
    fn divide(&mut self) {
        if self.runs.len() < self.len {
            let runs = std::mem::take(&mut self.runs);
            self.runs = runs.into_iter().flat_map(Run::into_elements).map(Run::from).collect();
        }
    }
}

impl FromIterator<Element> for Batch {
    fn from_iter<I: IntoIterator<Item = Element>>(elements: I) -> Batch {
        let mut batch = Batch::default();
        elements.into_iter().for_each(|element| batch.push(element));
        batch
    }
}

/// Shares parts of payloads that follow one another in one buffer in memory; `None` if they do not.
fn in_one_piece<'a>(mut parts: impl Iterator<Item = (&'a Payload, Range<usize>)>) -> Option<Bytes> {
    let Some((payload, first)) = parts.next() else { return Some(Bytes::new()) };
    let mut end = first.end;
    for (next, part) in parts {
        if !payload.continues_in(end, next, part.start) {
            return None;
        }
        end += part.len();
    }
    payload.shared(first.start, end - first.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::run::{Header, Runs};

    /// A batch of two elements in one buffer, one by itself, and three in another buffer.
    fn batch(pool: &Pool) -> Batch {
        let (one, two) = (pool.adopt("aabb".into()), pool.adopt("dd.ee.ff".into()));
        let header = |sequence| Header { sequence, timestamp: 0, context: None };
        let mut runs = Runs::default();
        runs.add_part(&one, 0, 2, header(0));
        runs.add_part(&one, 2, 2, header(1));
        runs.add(Element { payload: pool.adopt("cc".into()), sequence: 2, timestamp: 0, context: None });
        (0..3).for_each(|index| runs.add_part(&two, 3 * index, 2, header(3 + index as u64)));
        let mut batch = Batch::default();
        runs.drain().for_each(|run| batch.push(run));
        batch
    }

    fn shown(batch: &Batch) -> String {
        let text = |element: ElementRef<'_>| String::from_utf8(element.as_slice().unwrap().to_vec()).unwrap();
        (0..batch.len()).map(|index| text(batch.get(index).unwrap()) + " ").collect()
    }

    #[test]
    fn finds_elements_by_index() {
        let pool = Pool::default();
        let mut batch = batch(&pool);
        assert_eq!((batch.len(), batch.runs().len(), batch.bytes()), (6, 3, 12));
        assert_eq!(shown(&batch), "aa bb cc dd ee ff ");
        assert!(batch.get(6).is_none());
        assert_eq!(batch.last().unwrap().sequence(), 5);
        batch.separate();
        assert_eq!((batch.runs().len(), shown(&batch)), (6, "aa bb cc dd ee ff ".to_string()));
    }

    #[test]
    fn separates_elements_to_change_them() {
        let pool = Pool::default();
        let mut batch = batch(&pool);
        batch.get_mut(1).unwrap().payload = pool.adopt("xx".into());
        batch.remove(4);
        assert_eq!(shown(&batch), "aa xx cc dd ff ");
        let rest: Vec<_> = batch.split_off(3).iter().map(|element| element.sequence).collect();
        assert_eq!((rest, shown(&batch)), (vec![3, 5], "aa xx cc ".to_string()));
    }

    #[test]
    fn gathers_without_a_copy_only_what_is_in_one_piece() {
        let pool = Pool::default();
        let mut batch = batch(&pool);
        let gathered = batch.gather_all(&pool).unwrap();
        assert_eq!((&gathered.bytes[..], gathered.copied), (&b"aabbccddeeff"[..], 12));
        batch.split_off(2);
        let gathered = batch.gather_all(&pool).unwrap();
        assert_eq!((&gathered.bytes[..], gathered.copied), (&b"aabb"[..], 0));
        batch.clear();
        assert!(batch.gather_all(&pool).unwrap().bytes.is_empty());
    }
}
