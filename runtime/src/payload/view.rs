//! Views of buffers, and ropes: several views end to end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::buffer::Memory;
use super::{Block, Buffer, SourceFile};

/// A part of a buffer.
#[derive(Clone)]
pub(super) struct View {
    buffer: Arc<Buffer>,
    start: usize,
    pub(super) len: usize,
}

impl View {
    /// All `len` bytes of a buffer.
    pub(super) fn whole(buffer: Buffer, len: usize) -> View {
        View { buffer: Arc::new(buffer), start: 0, len }
    }

    /// The buffer that it is a part of.
    pub(super) fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    #[inline]
    pub(super) fn slice(&self, offset: usize, len: usize) -> View {
        View { buffer: self.buffer.clone(), start: self.start + offset, len }
    }

    /// Whether `next` begins in the same buffer where this view ends.
    pub(super) fn precedes(&self, next: &View) -> bool {
        Arc::ptr_eq(&self.buffer, &next.buffer) && self.start + self.len == next.start
    }

    /// Whether byte `start` of `next` follows the byte before `end` of this view in the same buffer.
    pub(super) fn continues_in(&self, end: usize, next: &View, start: usize) -> bool {
        self.is_of(next) && self.start + end == next.start + start
    }

    /// Whether both views are of the same buffer.
    #[inline]
    pub(super) fn is_of(&self, other: &View) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// Whether both are the same part of the same buffer.
    #[inline]
    pub(super) fn is_same(&self, other: &View) -> bool {
        self.is_of(other) && (self.start, self.len) == (other.start, other.len)
    }

    /// Whether there are other views of its buffer.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.buffer) > 1
    }

    /// Its bytes, if they are in memory.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.buffer.memory {
            Memory::Heap(bytes) => Some(&bytes[self.start..self.start + self.len]),
            Memory::File(_) => None,
        }
    }

    /// Where its bytes are.
    pub(super) fn piece(&self) -> Piece<'_> {
        match &self.buffer.memory {
            Memory::Heap(bytes) => Piece::Memory(&bytes[self.start..self.start + self.len]),
            Memory::File(file) => Piece::File(FileRange { file, offset: self.start as u64, len: self.len as u64 }),
        }
    }

    /// Shares `len` of its bytes from `offset`, if they are in memory.
    #[inline]
    pub(super) fn shared(&self, offset: usize, len: usize) -> Option<Bytes> {
        match &self.buffer.memory {
            Memory::Heap(bytes) => Some(bytes.slice(self.start + offset..self.start + offset + len)),
            Memory::File(_) => None,
        }
    }

    /// Appends it to `block`, which must have room for it. Returns how many of the bytes were in memory.
    pub(super) fn append_to(&self, block: &mut Block) -> io::Result<u64> {
        match self.piece() {
            Piece::Memory(bytes) => {
                block.append(bytes).map_err(io::Error::other)?;
                Ok(bytes.len() as u64)
            }
            Piece::File(range) => {
                block.append_range(&range)?;
                Ok(0)
            }
        }
    }
}

/// A part of a payload, by where it is.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// In memory.
    Memory(&'a [u8]),
    /// In a file.
    File(FileRange<'a>),
}

/// A part of a file.
#[derive(Debug, Clone, Copy)]
pub struct FileRange<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// Where the part begins.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

/// Bytes of memory per piece of a rope: its view, and its end.
pub(crate) const PIECE_BYTES: usize = size_of::<View>() + size_of::<usize>();
/// Bytes of memory of a rope besides its pieces, allocator overhead included.
const ROPE_BYTES: usize = 128;

/// Several views end to end.
pub(super) struct Rope {
    pub(super) views: Box<[View]>,
    /// The end of each view. They make slicing fast: there can be many views, and a stage can cut out many parts.
    ends: Box<[usize]>,
    pub(super) len: usize,
    /// Bytes of the buffers of all views; consecutive views of one buffer count once.
    pub(super) kept: usize,
}

impl Rope {
    pub(super) fn new(views: Vec<View>) -> Rope {
        let (mut len, mut kept) = (0, 0);
        let mut last: Option<&View> = None;
        let ends = views.iter().map(|view| {
            if last.replace(view).is_none_or(|last| !last.is_of(view)) {
                kept += view.buffer.kept();
            }
            len += view.len;
            len
        });
        Rope { ends: ends.collect(), views: views.into(), len, kept }
    }

    /// Bytes of memory of the rope itself.
    pub(super) fn structure_bytes(&self) -> usize {
        ROPE_BYTES + self.views.len() * PIECE_BYTES
    }

    /// The views of `len` bytes from `offset`, which must be in bounds.
    pub(super) fn slice(&self, offset: usize, len: usize) -> impl Iterator<Item = View> {
        let first = self.ends.partition_point(|end| *end <= offset);
        let (mut at, end) = (offset, offset + len);
        self.views[first..].iter().zip(&self.ends[first..]).map_while(move |(view, &view_end)| {
            let part = (at < end).then(|| view.slice(at + view.len - view_end, view_end.min(end) - at))?;
            at += part.len;
            Some(part)
        })
    }
}
