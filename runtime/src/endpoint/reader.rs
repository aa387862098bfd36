//! Inputs that cut a stream of bytes into elements.
//!
//! Bytes are read directly into a block, and elements are slices of it. A partial element at the end of a block is copied to
//! the beginning of the next one: that is the only copy, and it is recorded.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::FileType;

use super::{Input, Pull, PullParts, Pulled};
use crate::base::plural::counted;
use crate::base::text::format_bytes;
use crate::ledger::Kernel;
use crate::payload::{Block, MAX_ELEMENT_BYTES, Payload, Reads};

/// Bytes that one read asks for.
pub(super) const READ_BYTES: usize = 128 << 10;
/// Bytes of the length prefix: a 32-bit big-endian number.
pub(crate) const LENGTH_BYTES: usize = 4;

/// How bytes are cut into elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Each line; the last one may lack its `\n`. A `\r` before the `\n` belongs to the line.
    Lines {
        /// The `\n` is part of the element.
        keep_newline: bool,
    },
    /// Chunks of this many bytes; the last element may be shorter.
    Chunks(usize),
    /// A length in bytes, as a 32-bit big-endian number, and then that many bytes.
    LengthPrefixed,
    /// Everything is one element.
    Whole,
}

impl Default for Framing {
    /// Lines without their `\n`.
    fn default() -> Self {
        Framing::Lines { keep_newline: false }
    }
}

/// What the available bytes contain.
enum Cut {
    /// An element at this place. The next one begins at `next`.
    Element { start: usize, end: usize, next: usize },
    /// No complete element; one needs at least this many bytes.
    Partial { needed: usize },
}

impl Framing {
    /// Looks for an element at the beginning of `bytes`. The first `seen` bytes are known to contain no end, and are not searched
    /// again.
    fn cut(self, bytes: &[u8], seen: usize) -> Cut {
        match self {
            Framing::Lines { keep_newline } => match memchr::memchr(b'\n', &bytes[seen..]) {
                Some(end) => {
                    let end = seen + end;
                    Cut::Element { start: 0, end: end + usize::from(keep_newline), next: end + 1 }
                }
                None => Cut::Partial { needed: bytes.len() + 1 },
            },
            Framing::Chunks(size) if bytes.len() >= size => Cut::Element { start: 0, end: size, next: size },
            Framing::Chunks(size) => Cut::Partial { needed: size },
            Framing::LengthPrefixed => match bytes.first_chunk::<LENGTH_BYTES>() {
                Some(length) => {
                    let end = LENGTH_BYTES + u32::from_be_bytes(*length) as usize;
                    if bytes.len() >= end {
                        Cut::Element { start: LENGTH_BYTES, end, next: end }
                    } else {
                        Cut::Partial { needed: end }
                    }
                }
                None => Cut::Partial { needed: LENGTH_BYTES },
            },
            Framing::Whole => Cut::Partial { needed: bytes.len() + 1 },
        }
    }
}

/// Cuts a stream of bytes into elements.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    framing: Framing,
    /// The bytes read last, from one block.
    block: Payload,
    /// How many of them were returned in elements.
    given: usize,
    /// How many of the rest are known to contain no complete element.
    seen: usize,
    /// Bytes read so far.
    read: u64,
    /// The least number of bytes in the stream, if known; otherwise 0.
    promised: u64,
    ended: bool,
    reads: Reads,
}

/// Something to read that can say whether data is available.
pub trait Ready: AsFd {
    /// Whether a read would return at once.
    ///
    /// # Errors
    ///
    /// If that cannot be determined; reading fails with it.
    fn ready(&mut self) -> io::Result<bool>;
}

impl<R> Reader<R> {
    /// Cuts what is read `from` into elements. A stream of fewer bytes than `promised` is an error.
    pub fn new(from: R, framing: Framing, promised: u64) -> Self {
        let (block, reads) = (Payload::default(), Reads::default());
        Reader { from, framing, block, given: 0, seen: 0, read: 0, promised, ended: false, reads }
    }

    /// Counts the reads in `reads`.
    #[must_use]
    pub(super) fn counted(self, reads: Reads) -> Self {
        Reader { reads, ..self }
    }

    /// Bytes that were read and are in no element yet.
    fn rest(&self) -> &[u8] {
        &self.block.as_slice().expect("a block is one piece of memory")[self.given..]
    }

    /// Returns the complete elements at hand. Returns whether there was room for all.
    fn give(&mut self, pull: &mut Pull<'_>) -> bool {
        if self.block.is_empty() {
            return pull.has_room();
        }
        let parts = pull.parts(&self.block);
        let had_room = match self.framing {
            Framing::Lines { keep_newline } => self.give_lines(parts, keep_newline),
            _ => self.give_others(parts),
        };
        if self.given == self.block.len() {
            // Only the elements keep the block now.
            (self.block, self.given, self.seen) = (Payload::default(), 0, 0);
        } else if had_room {
            self.seen = self.rest().len();
        }
        had_room
    }

    /// The line ends of a block are found in one pass: beginning anew for each line costs more than a short line.
    fn give_lines(&mut self, mut parts: PullParts<'_>, keep_newline: bool) -> bool {
        let bytes = self.block.as_slice().expect("a block is one piece of memory");
        let searched = self.given + self.seen;
        let mut has_room = parts.has_room();
        for end in memchr::memchr_iter(b'\n', &bytes[searched..]) {
            if !has_room {
                return false;
            }
            let end = searched + end;
            has_room = parts.give(self.given, end + usize::from(keep_newline) - self.given);
            (self.given, self.seen) = (end + 1, 0);
        }
        has_room
    }

    fn give_others(&mut self, mut parts: PullParts<'_>) -> bool {
        while parts.has_room() {
            match self.framing.cut(self.rest(), self.seen) {
                Cut::Element { start, end, next } => {
                    parts.give(self.given + start, end - start);
                    (self.given, self.seen) = (self.given + next, 0);
                }
                Cut::Partial { .. } => return true,
            }
        }
        false
    }

    /// The bytes from `start` to `end` of the rest.
    fn part(&self, start: usize, end: usize) -> Payload {
        self.block.slice(self.given + start, end - start).expect("the element is within the block")
    }

    /// Returns the last element at the end of the stream.
    fn give_last(&mut self, pull: &mut Pull<'_>) -> io::Result<()> {
        if self.read < self.promised {
            let message =
                format!("it was truncated while it was read: {} of {}", counted(self.read, "byte"), self.promised);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        let left = self.rest().len();
        match self.framing.cut(self.rest(), self.seen) {
            Cut::Partial { needed } if self.framing == Framing::LengthPrefixed && left > 0 => {
                let message = format!("the last element is incomplete: {} of {needed}", counted(left as u64, "byte"));
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            _ if left > 0 || self.framing == Framing::Whole => _ = pull.give(self.part(0, left)),
            _ => {}
        }
        (self.block, self.given, self.seen) = (Payload::default(), 0, 0);
        Ok(())
    }

    /// Takes a block that begins with the rest, and has room for what is missing.
    fn next_block(&mut self, pull: &mut Pull<'_>) -> io::Result<Block> {
        let Cut::Partial { needed } = self.framing.cut(self.rest(), self.seen) else {
            unreachable!("complete elements were returned before");
        };
        if needed > MAX_ELEMENT_BYTES {
            let message = format!(
                "the element at byte {} is longer than {}",
                self.position(),
                format_bytes(MAX_ELEMENT_BYTES as u64)
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        // If the end is not known yet, the block is at least twice as large as the rest: a long element is copied a few times, and
        // not once per read.
        let wanted = match self.framing {
            Framing::Lines { .. } => 2 * self.rest().len(),
            Framing::Whole => (2 * self.rest().len()).max(usize::try_from(self.promised).unwrap_or(usize::MAX)),
            Framing::Chunks(_) | Framing::LengthPrefixed => needed,
        };
        let wanted = wanted.min(MAX_ELEMENT_BYTES) + 1;
        let mut block = pull.pool.take(wanted.max(READ_BYTES));
        let rest = self.rest();
        if !rest.is_empty() {
            block.append(rest).map_err(io::Error::other)?;
            pull.host_serialize.record(rest.len() as u64);
        }
        (self.block, self.given) = (Payload::default(), 0);
        Ok(block)
    }

    /// Where the bytes come from.
    pub(super) fn source(&self) -> &R {
        &self.from
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Returns what is left as the last element: nothing more is read.
    ///
    /// # Errors
    ///
    /// If it is an incomplete element.
    pub(super) fn end(&mut self, pull: &mut Pull<'_>) -> io::Result<()> {
        self.ended = true;
        self.give_last(pull)
    }

    /// The position in the stream where the next element begins.
    pub(super) fn position(&self) -> u64 {
        self.read - self.rest().len() as u64
    }
}

impl<R: Ready> Input for Reader<R> {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        loop {
            if !self.give(pull) {
                return Ok(Pulled::More);
            }
            if self.ended {
                return Ok(Pulled::End);
            }
            if !pull.is_empty() {
                return Ok(Pulled::More);
            }
            if !self.from.ready()? {
                return Ok(Pulled::Idle);
            }
            self.read_more(pull)?;
            if self.ended {
                self.give_last(pull)?;
            }
        }
    }

    fn drain(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        Ok(if self.can_read_again() || self.give(pull) { Pulled::End } else { Pulled::More })
    }

    fn left_over(&self) -> u64 {
        if self.can_read_again() { 0 } else { self.rest().len() as u64 }
    }

    fn kernel(&self) -> Kernel {
        Kernel { reads: self.reads.count(), ..Kernel::default() }
    }
}

impl<R: Ready> Reader<R> {
    /// Whether others can still read what was read. A pipe cannot be read again.
    fn can_read_again(&self) -> bool {
        let stat = rustix::fs::fstat(&self.from);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    /// Reads into a new block until it contains a complete element, is full, or no more data is available.
    fn read_more(&mut self, pull: &mut Pull<'_>) -> io::Result<()> {
        let mut block = self.next_block(pull)?;
        loop {
            let read = match block.read_from(&self.from) {
                // Another process has read the available data.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => read?,
            };
            self.reads.record(read);
            self.read += read as u64;
            self.ended = read == 0;
            let partial = matches!(self.framing.cut(block.written(), self.seen), Cut::Partial { .. });
            if !partial || self.ended || block.room() == 0 || !self.from.ready()? {
                break;
            }
            self.seen = block.written().len();
        }
        self.block = block.freeze();
        Ok(())
    }
}
