//! Payload memory: what elements carry, and where its bytes are.
//!
//! A [`Block`] is memory of the [`Pool`] that one owner writes. Freezing it makes a [`Payload`] of it, which is shared by
//! views and can no longer be written; when the last view is dropped the memory returns to the pool. Only bytes that
//! were written can be reached, so what a block held before can be read by nobody.

use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;

pub use block::{Block, Refused};
pub use pool::{Pool, PoolUse};

use buffer::Buffer;
use view::{Rope, View};

mod block;
mod buffer;
mod pool;
mod view;

/// The bytes of an element: a view of a buffer, or several of them end to end. Cloning, slicing and joining copy nothing.
#[derive(Clone)]
pub struct Payload(Repr);

/// Three words, whichever it is: an element is moved more often than anything else.
#[derive(Clone)]
enum Repr {
    /// Not an empty one.
    View(View),
    /// None, or at least two.
    Views(Option<Arc<Rope>>),
}

const _: () = assert!(size_of::<Payload>() == 3 * size_of::<usize>());

impl Payload {
    /// Bytes in it.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::View(view) => view.len,
            Repr::Views(rope) => rope.as_ref().map_or(0, |rope| rope.len),
        }
    }

    /// Whether it has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `len` bytes of it from `offset`, as another payload that shares them; `None` where it does not have them.
    #[inline]
    pub fn slice(&self, offset: usize, len: usize) -> Option<Payload> {
        if offset.checked_add(len)? > self.len() {
            return None;
        }
        Some(match &self.0 {
            Repr::View(view) if len > 0 => Payload(Repr::View(view.slice(offset, len))),
            Repr::Views(Some(rope)) if len > 0 => rope.slice(offset, len).collect(),
            _ => Payload::default(),
        })
    }

    /// All of `payloads`, end to end.
    pub fn join<'a>(payloads: impl IntoIterator<Item = &'a Payload>) -> Payload {
        payloads.into_iter().flat_map(|payload| payload.views().iter().cloned()).collect()
    }

    /// The views it is made of, in order; none of them is empty.
    fn views(&self) -> &[View] {
        match &self.0 {
            Repr::View(view) => std::slice::from_ref(view),
            Repr::Views(rope) => rope.as_ref().map_or(&[], |rope| &rope.views),
        }
    }

    /// Its bytes, where they lie in memory in one piece.
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::View(view) => view.bytes(),
            Repr::Views(rope) => rope.is_none().then_some(&[]),
        }
    }

    /// Its pieces as they lie in memory, in order; `None` where a part of it is not in memory.
    pub fn pieces(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let views = self.views();
        views.iter().all(|view| view.bytes().is_some()).then(|| views.iter().filter_map(View::bytes))
    }

    /// `len` bytes of it from `offset` in one piece. Where they are not, they are copied, into memory of `pool`, and
    /// `copied` says so.
    ///
    /// # Errors
    ///
    /// Where a part of it has to be read from a file, and cannot be.
    ///
    /// # Panics
    ///
    /// Where it does not have these bytes.
    #[inline]
    pub fn gather(&self, offset: usize, len: usize, pool: &Pool) -> io::Result<Gathered> {
        match &self.0 {
            Repr::View(view) if let Some(shared) = view.shared(offset, len) => {
                Ok(Gathered { bytes: shared, copied: false })
            }
            _ => self.gather_pieces(offset, len, pool),
        }
    }

    fn gather_pieces(&self, offset: usize, len: usize, pool: &Pool) -> io::Result<Gathered> {
        let part = self.slice(offset, len).expect("the payload has the bytes that are asked for");
        Payload::gather_all(std::iter::once(&part), pool)
    }

    /// The bytes of all of `payloads`, end to end, in one piece. Where they do not lie so, they are copied, as in
    /// [`Payload::gather`].
    ///
    /// # Errors
    ///
    /// As [`Payload::gather`].
    pub fn gather_all<'a>(payloads: impl Iterator<Item = &'a Payload> + Clone, pool: &Pool) -> io::Result<Gathered> {
        let mut views = payloads.flat_map(Payload::views);
        let all = views.clone();
        let Some(first) = views.next() else { return Ok(Gathered { bytes: Bytes::new(), copied: false }) };
        let mut last = first;
        let mut len = first.len;
        let in_one_piece = views.all(|view| {
            len += view.len;
            std::mem::replace(&mut last, view).precedes(view)
        });
        if in_one_piece && let Some(bytes) = first.shared(0, len) {
            return Ok(Gathered { bytes, copied: false });
        }
        let len = all.clone().map(|view| view.len).sum();
        let mut block = pool.take(len);
        all.clone().try_for_each(|view| view.append_to(&mut block))?;
        Ok(Gathered { bytes: block.into_bytes(), copied: true })
    }

    /// A copy of it.
    ///
    /// # Errors
    ///
    /// As [`Payload::gather`].
    pub fn to_vec(&self, pool: &Pool) -> io::Result<Vec<u8>> {
        Ok(self.gather(0, self.len(), pool)?.bytes.to_vec())
    }
}

/// Bytes of a payload in one piece.
#[derive(Debug)]
pub struct Gathered {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they were copied for it.
    pub copied: bool,
}

impl Default for Payload {
    fn default() -> Payload {
        Payload(Repr::Views(None))
    }
}

impl From<View> for Payload {
    fn from(view: View) -> Payload {
        if view.len == 0 { Payload::default() } else { Payload(Repr::View(view)) }
    }
}

/// Joins the views end to end. Those that lie behind one another in one buffer become one.
impl FromIterator<View> for Payload {
    fn from_iter<I: IntoIterator<Item = View>>(views: I) -> Payload {
        let mut joined: Vec<View> = Vec::new();
        for view in views.into_iter().filter(|view| view.len > 0) {
            match joined.last_mut() {
                Some(last) if last.precedes(&view) => last.len += view.len,
                _ => joined.push(view),
            }
        }
        match joined.len() {
            0 | 1 => joined.pop().map_or_else(Payload::default, Payload::from),
            _ => Payload(Repr::Views(Some(Arc::new(Rope::new(joined))))),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes in {} pieces)", self.len(), self.views().len())
    }
}

/// Equal where the bytes are equal and in memory: what is in a file is equal to nothing.
impl PartialEq<[u8]> for Payload {
    fn eq(&self, other: &[u8]) -> bool {
        let Some(mut pieces) = self.pieces().filter(|_| self.len() == other.len()) else { return false };
        let mut rest = other;
        pieces.all(|piece| {
            let (same, after) = rest.split_at(piece.len());
            rest = after;
            piece == same
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(pool: &Pool, bytes: &[u8]) -> Payload {
        let mut block = pool.take(bytes.len());
        block.append(bytes).unwrap();
        block.freeze()
    }

    fn bytes(payload: &Payload, pool: &Pool) -> Vec<u8> {
        payload.to_vec(pool).unwrap()
    }

    #[test]
    fn slices_share() {
        let pool = Pool::default();
        let whole = payload(&pool, b"0123456789");
        let part = whole.slice(2, 5).unwrap();
        assert_eq!((part.len(), bytes(&part.slice(1, 3).unwrap(), &pool)), (5, b"345".to_vec()));
        assert!(part.slice(3, 3).is_none() && part.slice(usize::MAX, 2).is_none());
        assert!(part.slice(5, 0).unwrap().is_empty());
        assert!(!part.gather(0, 5, &pool).unwrap().copied);
        assert_eq!(pool.usage().allocated, 1);
    }

    #[test]
    fn joined_payloads_are_one() {
        let pool = Pool::default();
        let (one, two) = (payload(&pool, b"one "), payload(&pool, b"two "));
        let rope = Payload::join([&one, &two, &Payload::default(), &one]);
        assert_eq!((rope.len(), rope.views().len()), (12, 3));
        assert!(rope == *b"one two one ".as_slice() && rope != *b"one two two ".as_slice());
        for (from, to) in (0..=12).flat_map(|from| (from..=12).map(move |to| (from, to))) {
            let part = rope.slice(from, to - from).unwrap();
            assert_eq!(bytes(&part, &pool), b"one two one "[from..to], "{from}..{to}");
            assert!(part == b"one two one "[from..to]);
        }
        assert!(rope.gather(0, 12, &pool).unwrap().copied);
        assert!(!rope.gather(4, 4, &pool).unwrap().copied, "what lies in one piece is not copied");
    }

    #[test]
    fn neighbours_become_one_again() {
        let pool = Pool::default();
        let whole = payload(&pool, b"a\nbb\nccc\n");
        let lines = [(0, 2), (2, 3), (5, 4)].map(|(offset, len)| whole.slice(offset, len).unwrap());
        let joined = Payload::join(&lines);
        assert_eq!((joined.len(), joined.views().len()), (9, 1));
        let backwards = Payload::join(lines.iter().rev());
        assert_eq!((bytes(&backwards, &pool), backwards.views().len()), (b"ccc\nbb\na\n".to_vec(), 3));
    }
}
