//! Memory that one owner writes. Only bytes that were written since the block was taken can be read.
//!
//! Cycle: with `buffer`, `pool` and `view`. A block is memory of a pool, a view is a part of a block or a buffer, and dropping
//! the last view returns the memory to the pool.

use std::os::fd::AsFd;
use std::{fmt, io};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::classes::Class;
use super::view::View;
use super::{Buffer, FileRange, Payload, Pool};
use crate::ledger::ownership::BufferId;

/// Memory that one owner writes.
pub struct Block {
    /// Never grows beyond the capacity that the pool gave it.
    memory: Vec<u8>,
    class: Option<Class>,
    buffer: BufferId,
    pool: Pool,
}

/// A write that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Where it would begin.
    pub offset: usize,
    /// The bytes to write.
    pub len: usize,
    /// Where it must end at the latest: at the capacity for `append`, at the end of the written bytes for `write_at`.
    pub end: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {} in a block of {}", self.len, self.offset, self.end)
    }
}

impl std::error::Error for Refused {}

impl Block {
    pub(super) fn new(memory: Vec<u8>, class: Option<Class>, buffer: BufferId, pool: Pool) -> Block {
        debug_assert!(memory.is_empty(), "nothing is written yet");
        Block { memory, class, buffer, pool }
    }

    /// Its id in the table of the pool.
    pub(crate) fn id(&self) -> BufferId {
        self.buffer
    }

    /// The written bytes.
    pub fn written(&self) -> &[u8] {
        &self.memory
    }

    /// The bytes that it has room for, written bytes included.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// The bytes that can still be appended.
    pub fn room(&self) -> usize {
        self.memory.capacity() - self.memory.len()
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    ///
    /// If there is no room for all of them; nothing is copied then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if bytes.len() > self.room() {
            return Err(Refused { offset: self.memory.len(), len: bytes.len(), end: self.capacity() });
        }
        self.memory.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends all `parts`, and `end` after each.
    ///
    /// # Errors
    ///
    /// If one of them does not fit. Those before it were appended.
    pub(crate) fn append_all<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, end: &[u8]) -> Result<(), Refused> {
        for part in parts {
            let len = part.len() + end.len();
            if len > self.room() {
                return Err(Refused { offset: self.memory.len(), len, end: self.capacity() });
            }
            self.memory.extend_from_slice(part);
            match end {
                [] => {}
                [byte] => self.memory.push(*byte),
                _ => self.memory.extend_from_slice(end),
            }
        }
        Ok(())
    }

    /// Overwrites written bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// If the range is beyond the written bytes; nothing is copied then.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Refused> {
        let refused = Refused { offset, len: bytes.len(), end: self.memory.len() };
        let end = offset.checked_add(bytes.len()).ok_or(refused)?;
        self.memory.get_mut(offset..end).ok_or(refused)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Reads once from `from` and appends as much as there is room for. Returns the number of bytes read: 0 at the end of `from`,
    /// or if there is no room.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn read_from(&mut self, from: impl AsFd) -> io::Result<usize> {
        loop {
            match rustix::io::read(&from, spare_capacity(&mut self.memory)) {
                Err(Errno::INTR) => {}
                read => return Ok(read?),
            }
        }
    }

    /// Reads a part of a file and appends it, if there is room.
    pub(super) fn append_range(&mut self, range: &FileRange<'_>) -> io::Result<()> {
        let (start, len) = (self.memory.len(), range.len as usize);
        if len > self.room() {
            return Err(io::Error::other(Refused { offset: start, len, end: self.capacity() }));
        }
        let mut read = Ok(());
        // If the part nearly fills the block, reading into all of its room is quicker than clearing memory for the exact size.
        let at_once =
            if self.room() - len <= len / 8 { range.file.read_at(&mut self.memory, range.offset)? } else { 0 };
        if at_once < len {
            self.memory.resize(start + len, 0);
            let rest = &mut self.memory[start + at_once..];
            read = range.file.read_exact_at(rest, range.offset + at_once as u64);
        } else {
            self.memory.truncate(start + len);
        }
        let read = read.and_then(|()| range.file.check());
        if read.is_err() {
            self.memory.truncate(start);
        }
        Ok(read?)
    }

    /// Ends the writing: from now on the written bytes can be shared and not changed.
    pub fn freeze(self) -> Payload {
        let (len, kept, buffer) = (self.memory.len(), self.memory.capacity(), self.buffer);
        View::whole(Buffer::block(self.into_bytes(), buffer, kept), len).into()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.give_back(self.buffer, std::mem::take(&mut self.memory), self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_writes_that_do_not_fit() {
        let mut block = Pool::default().take(10);
        let capacity = block.capacity();
        block.append(&vec![b'a'; capacity - 1]).unwrap();
        assert_eq!(block.append(b"bc"), Err(Refused { offset: capacity - 1, len: 2, end: capacity }));
        block.append(b"b").unwrap();
        assert_eq!((block.room(), block.written().last()), (0, Some(&b'b')));
        block.write_at(capacity - 2, b"cd").unwrap();
        for (offset, len) in [(capacity - 1, 2), (capacity, 1), (usize::MAX, 2)] {
            assert_eq!(block.write_at(offset, &b"xy"[..len]), Err(Refused { offset, len, end: capacity }));
        }
        assert_eq!(&block.written()[capacity - 3..], b"acd");
    }

    #[test]
    fn writes_leave_no_gap() {
        let mut block = Pool::default().take(10);
        assert_eq!(block.write_at(1, b"a"), Err(Refused { offset: 1, len: 1, end: 0 }));
        assert_eq!(block.write_at(0, b"a"), Err(Refused { offset: 0, len: 1, end: 0 }));
        block.write_at(0, b"").unwrap();
    }
}
