//! Payload memory: what elements carry, and where its bytes are.
//!
//! A [`Block`] is memory of the [`Pool`] that one owner writes. Freezing it makes a [`Payload`], which views share and nobody
//! can write any more; when the last view is dropped, the memory returns to the pool. Only bytes that were written can be
//! accessed, so nobody can read what a block held before. A payload can also be a range of a [`SourceFile`], which takes no
//! memory until it is read.

use std::sync::Arc;
use std::{fmt, io};

use buffer::Buffer;
use bytes::Bytes;
use view::{Rope, View};

use crate::ledger::ownership::BufferId;

pub use batch::Batch;
pub use block::{Block, Refused};
pub use classes::{ClassUse, PoolSettings, PoolUse, Shortage};
pub(crate) use element_set::{ElementSet, MAX_BATCH};
pub use file::{Reads, SourceFile, Unreadable, UnreadableReason};
pub use pinned::Pinned;
pub use pool::Pool;
pub use run::ElementRef;
pub(crate) use run::{Run, SPAN_BYTES};
pub(crate) use view::PIECE_BYTES;
pub use view::{FileRange, Piece};

pub mod attributes;
mod batch;
mod block;
mod buffer;
mod classes;
pub mod element;
mod element_set;
mod file;
mod pinned;
mod pool;
#[cfg(test)]
mod residue;
pub(crate) mod run;
mod view;

/// The most payload bytes of an element that an input cuts out of memory; a longer one is an error of the input. An element
/// that is a range of a file can have more, and is read in parts of at most this many bytes.
pub const MAX_ELEMENT_BYTES: usize = 64 << 20;

/// The bytes of an element: a view of a buffer, or several views end to end. Cloning, slicing and joining copy no bytes.
#[derive(Clone)]
pub struct Payload(Repr);

/// Three words in either case: elements are moved more often than anything else.
#[derive(Clone)]
enum Repr {
    /// A view that is not empty.
    View(View),
    /// No views, or at least two.
    Views(Option<Arc<Rope>>),
}

const _: () = assert!(size_of::<Payload>() == 3 * size_of::<usize>());

impl Payload {
    /// The number of bytes.
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

    /// A part of the payload, `len` bytes from `offset`, that shares its bytes; `None` if it is out of bounds.
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

    /// All of `payloads`, end to end, without a copy.
    pub fn join<'a>(payloads: impl IntoIterator<Item = &'a Payload>) -> Payload {
        payloads.into_iter().flat_map(|payload| payload.views().iter().cloned()).collect()
    }

    /// The number of pieces; 0 for an empty payload.
    pub fn piece_count(&self) -> usize {
        self.views().len()
    }

    /// Bytes of host memory that the list of its pieces takes; 0 for a payload in one piece.
    #[inline]
    pub fn structure_bytes(&self) -> usize {
        match &self.0 {
            Repr::View(_) | Repr::Views(None) => 0,
            Repr::Views(Some(rope)) => rope.structure_bytes(),
        }
    }

    /// Bytes of the buffers that the payload keeps in memory, however small its parts of them are. A buffer of several
    /// consecutive pieces counts once.
    pub(crate) fn kept_bytes(&self) -> usize {
        match &self.0 {
            Repr::View(view) => view.buffer().kept(),
            Repr::Views(rope) => rope.as_ref().map_or(0, |rope| rope.kept),
        }
    }

    /// The address of its buffer or of its list of pieces: live payloads with the same address keep the same buffers. 0 for an
    /// empty payload.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        match &self.0 {
            Repr::View(view) => Arc::as_ptr(view.buffer()).addr(),
            Repr::Views(rope) => rope.as_ref().map_or(0, |rope| Arc::as_ptr(rope).addr()),
        }
    }

    /// Whether both are the same part of the same buffer, or empty.
    #[inline]
    pub(crate) fn is_same(&self, other: &Payload) -> bool {
        match (&self.0, &other.0) {
            (Repr::View(one), Repr::View(other)) => one.is_same(other),
            (Repr::Views(one), Repr::Views(other)) => one.is_none() && other.is_none(),
            _ => false,
        }
    }

    /// Whether other payloads, or another part of this one, are views of one of its buffers.
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Repr::View(view) => view.is_shared(),
            Repr::Views(rope) => {
                rope.as_ref().is_some_and(|rope| Arc::strong_count(rope) > 1 || rope.views.iter().any(View::is_shared))
            }
        }
    }

    /// Copies the payload into a separate buffer of `pool`. Returns the copy, and how many bytes were copied, as in
    /// [`Gathered::copied`].
    ///
    /// # Errors
    ///
    /// As [`Payload::gather`].
    pub fn copied(&self, pool: &Pool) -> io::Result<(Payload, u64)> {
        let mut block = pool.take(self.len());
        let copied = self.append_views_to(&mut block)?;
        Ok((block.freeze(), copied))
    }

    /// Whether byte `start` of `next` follows the byte before `end` of this payload in the same buffer.
    fn continues_in(&self, end: usize, next: &Payload, start: usize) -> bool {
        match (&self.0, &next.0) {
            (Repr::View(view), Repr::View(next)) => view.continues_in(end, next, start),
            _ => false,
        }
    }

    /// Shares `len` bytes of its buffer from `start` on, if they are in memory in one piece. The buffer must have them.
    fn shared(&self, start: usize, len: usize) -> Option<Bytes> {
        match &self.0 {
            Repr::View(view) => view.shared(start, len),
            Repr::Views(_) => None,
        }
    }

    /// Appends it to `block`, which must have room for it, piece by piece. Returns how many of the bytes were in memory.
    fn append_views_to(&self, block: &mut Block) -> io::Result<u64> {
        self.views().iter().map(|view| view.append_to(block)).sum()
    }

    /// The buffer that holds all its bytes, if there is one.
    pub(crate) fn buffer(&self) -> Option<BufferId> {
        match self.views() {
            [view] => Some(view.buffer().id()),
            _ => None,
        }
    }

    /// Its views, in order; none is empty.
    fn views(&self) -> &[View] {
        match &self.0 {
            Repr::View(view) => std::slice::from_ref(view),
            Repr::Views(rope) => rope.as_ref().map_or(&[], |rope| &rope.views),
        }
    }

    /// Its bytes, if they are in memory in one piece.
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::View(view) => view.bytes(),
            Repr::Views(rope) => rope.is_none().then_some(&[]),
        }
    }

    /// Its pieces in memory, in order; `None` if a part of it is not in memory.
    pub fn pieces(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let views = self.views();
        views.iter().all(|view| view.bytes().is_some()).then(|| views.iter().filter_map(View::bytes))
    }

    /// Its parts, in order, wherever they are. A part in a file that nobody has read can be copied from there.
    pub fn parts(&self) -> impl Iterator<Item = Piece<'_>> {
        self.views().iter().map(View::piece)
    }

    /// Checks that the files of its parts are unchanged since they were opened.
    ///
    /// # Errors
    ///
    /// If a file has changed; see [`Unreadable`].
    pub fn check(&self) -> io::Result<()> {
        self.parts().try_for_each(|part| match part {
            Piece::File(range) => Ok(range.file.check()?),
            Piece::Memory(_) => Ok(()),
        })
    }

    /// Returns `len` bytes from `offset` in one piece. Bytes that are not in one piece are copied into memory of `pool`, and
    /// counted in `copied`.
    ///
    /// # Errors
    ///
    /// If a part of the payload must be read from a file and cannot be.
    ///
    /// # Panics
    ///
    /// If it does not have these bytes.
    #[inline]
    pub fn gather(&self, offset: usize, len: usize, pool: &Pool) -> io::Result<Gathered> {
        match &self.0 {
            Repr::View(view) if let Some(shared) = view.shared(offset, len) => {
                Ok(Gathered { bytes: shared, copied: 0 })
            }
            _ => self.gather_pieces(offset, len, pool),
        }
    }

    fn gather_pieces(&self, offset: usize, len: usize, pool: &Pool) -> io::Result<Gathered> {
        let part = self.slice(offset, len).expect("the payload has the bytes that are asked for");
        let shared = match part.views() {
            [] => Some(Bytes::new()),
            [view] => view.shared(0, len),
            _ => None,
        };
        if let Some(bytes) = shared {
            return Ok(Gathered { bytes, copied: 0 });
        }
        let mut block = pool.take(len);
        let copied = part.append_views_to(&mut block)?;
        Ok(Gathered { bytes: block.into_bytes(), copied })
    }

    /// Copies the payload into a vector.
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
    /// How many of them were copied within host memory. Bytes from a file were read, not copied.
    pub copied: u64,
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

/// Joins the views end to end. Consecutive views of one buffer become one.
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

/// Equal if the bytes are equal and in memory: a payload in a file equals nothing.
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
        assert_eq!(part.gather(0, 5, &pool).unwrap().copied, 0);
        assert_eq!(pool.usage().allocated, 1);
    }

    #[test]
    fn joins_payloads() {
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
        assert_eq!(rope.gather(0, 12, &pool).unwrap().copied, 12);
        assert_eq!(rope.gather(4, 4, &pool).unwrap().copied, 0, "what lies in one piece is not copied");
    }

    #[test]
    fn knows_whether_a_payload_is_shared() {
        let pool = Pool::default();
        let (one, two) = (payload(&pool, b"one "), payload(&pool, b"two "));
        assert!(!one.is_shared() && !Payload::default().is_shared());
        let part = one.slice(0, 2).unwrap();
        assert!(one.is_shared() && part.is_shared());
        drop(one);
        assert!(!part.is_shared());
        let rope = Payload::join([&part, &two]);
        drop(part);
        assert!(rope.is_shared(), "`two` is there twice");
        drop(two);
        assert!(!rope.is_shared());
        let again = rope.clone();
        assert!(rope.is_shared());
        let (own, copied) = again.copied(&pool).unwrap();
        assert_eq!(copied, 6);
        assert_eq!((bytes(&own, &pool), own.is_shared(), own.piece_count()), (b"ontwo ".to_vec(), false, 1));
    }

    #[test]
    fn joins_neighbouring_slices_into_one_view() {
        let pool = Pool::default();
        let whole = payload(&pool, b"a\nbb\nccc\n");
        let lines = [(0, 2), (2, 3), (5, 4)].map(|(offset, len)| whole.slice(offset, len).unwrap());
        let joined = Payload::join(&lines);
        assert_eq!((joined.len(), joined.views().len()), (9, 1));
        let backwards = Payload::join(lines.iter().rev());
        assert_eq!((bytes(&backwards, &pool), backwards.views().len()), (b"ccc\nbb\na\n".to_vec(), 3));
    }

    #[test]
    fn reads_files_on_demand() {
        let pool = Pool::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789").unwrap();
        let (opened, metadata) = (file.reopen().unwrap(), file.as_file().metadata().unwrap());
        let reads = Reads::default();
        let whole = pool.adopt_file(SourceFile::new(opened, &metadata, file.path(), reads.clone()));
        assert_eq!((whole.len(), whole.as_slice(), whole.pieces().is_none()), (10, None, true));
        let memory = payload(&pool, b"abc");
        let rope = Payload::join([&whole.slice(2, 3).unwrap(), &memory, &whole.slice(7, 3).unwrap()]);
        let gathered = rope.gather(1, 7, &pool).unwrap();
        assert_eq!((&gathered.bytes[..], gathered.copied, reads.count().bytes), (&b"34abc78"[..], 3, 4));
        assert_eq!(bytes(&Payload::join([&whole, &whole]), &pool), b"01234567890123456789");
        std::fs::write(file.path(), "0123456").unwrap();
        let error = whole.gather(0, 10, &pool).unwrap_err();
        assert!(
            matches!(Unreadable::from_error(&error).unwrap().reason, UnreadableReason::Size { expected: 10, found: 7 }),
            "{error}"
        );
        assert!(whole.check().is_err() && memory.check().is_ok());
    }
}
