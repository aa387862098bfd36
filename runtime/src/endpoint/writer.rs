//! Outputs that write elements one after the other.
//!
//! Payloads go to the operating system from where they are, many in one call, and are not joined first. Payloads that are still
//! in a file are copied from there, by `kernel_copy.rs`.

use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;

use super::Output;
use super::interruptible_file::WriteWaiter;
use super::kernel_copy::{Copied, Way};
use super::reader::{LENGTH_BYTES, READ_BYTES};
use crate::base::cut::Cut;
use crate::ledger::Kernel;
use crate::payload::{Batch, FileRange, Piece};

/// Slices per write; Linux accepts 1,024. Many elements of one buffer take one slice, an element by itself up to three.
const SLICES_A_WRITE: usize = 192;

/// How elements are separated in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFraming {
    /// Each element is followed by `\n`.
    #[default]
    Lines,
    /// Each element follows its length in bytes, as a 32-bit big-endian number.
    LengthPrefixed,
    /// Not at all: payloads end to end.
    Raw,
}

/// Writes elements to a stream of bytes.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    framing: OutputFraming,
    written: u64,
    kernel: Kernel,
    /// Keeps writes from waiting forever.
    patience: WriteWaiter,
    /// How payloads in files are copied.
    way: Way,
    /// A buffer for payloads in files that must be read; empty until then.
    read: Vec<u8>,
}

/// What one call to the operating system writes. Bytes that follow one another in memory are one slice.
struct Slices<'a> {
    slices: [IoSlice<'a>; SLICES_A_WRITE],
    filled: usize,
    /// The last slice, and what follows it in its buffer.
    open: &'a [u8],
    /// Bytes of the last slice.
    len: usize,
}

impl Default for Slices<'_> {
    fn default() -> Self {
        Slices { slices: [IoSlice::new(&[]); SLICES_A_WRITE], filled: 0, open: &[], len: 0 }
    }
}

impl<'a> Slices<'a> {
    fn add(&mut self, bytes: &'a [u8]) {
        if !bytes.is_empty() {
            self.add_first(bytes, bytes.len());
        }
    }

    /// Adds the first `len` of `bytes`, and then `end`. If `end` follows in `bytes`, it is written from there.
    #[inline]
    fn add_followed(&mut self, bytes: &'a [u8], len: usize, end: &'static [u8]) {
        if bytes[len..].starts_with(end) {
            self.add_first(bytes, len + end.len());
        } else {
            self.add_first(bytes, len);
            self.add(end);
        }
    }

    #[inline]
    fn add_first(&mut self, bytes: &'a [u8], len: usize) {
        let behind = &self.open[self.len..];
        if std::ptr::eq(behind.as_ptr(), bytes.as_ptr()) && behind.len() >= len {
            self.len += len;
        } else {
            self.close();
            (self.open, self.len) = (bytes, len);
        }
    }

    fn close(&mut self) {
        if self.len > 0 {
            self.slices[self.filled] = IoSlice::new(&self.open[..self.len]);
            self.filled += 1;
            (self.open, self.len) = (&[], 0);
        }
    }
}

impl<W: Write + AsFd> Writer<W> {
    /// Writes to the stream `to`.
    pub fn new(to: W, framing: OutputFraming) -> Self {
        let (patience, way) = (WriteWaiter::new(to.as_fd()), Way::default());
        Writer { to, framing, written: 0, kernel: Kernel::default(), patience, way, read: Vec::new() }
    }

    /// The length of each element as the output has it; empty unless it has lengths.
    fn lengths(&self, batch: &Batch) -> io::Result<Vec<[u8; LENGTH_BYTES]>> {
        if self.framing != OutputFraming::LengthPrefixed {
            return Ok(Vec::new());
        }
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "an element is too long for a 32-bit length");
        batch.iter().map(|element| Ok(u32::try_from(element.len()).map_err(too_long)?.to_be_bytes())).collect()
    }

    /// Writes the slices if another element might not fit.
    fn make_room<'a>(&mut self, slices: &mut Slices<'a>) -> io::Result<()> {
        if slices.filled + 3 > SLICES_A_WRITE { self.write_slices(slices) } else { Ok(()) }
    }

    fn write_slices(&mut self, slices: &mut Slices<'_>) -> io::Result<()> {
        slices.close();
        let filled = std::mem::take(&mut slices.filled);
        self.write_all(&mut slices.slices[..filled])
    }

    fn write_all(&mut self, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !left.is_empty() {
            match self.patience.write(&mut self.to, left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.written += written as u64;
                    self.kernel.writes.record(1, written as u64);
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Copies a part of a file to the output.
    fn copy(&mut self, mut range: FileRange<'_>) -> io::Result<()> {
        range.file.check()?;
        while range.len > 0 {
            let most = if self.way == Way::Neither { usize::MAX } else { self.patience.ready(self.to.as_fd())? };
            match self.way.copy(&range, self.to.as_fd(), most)? {
                Copied::Bytes(copied) => {
                    self.written += copied;
                    self.kernel.ranges.record(1, copied);
                    (range.offset, range.len) = (range.offset + copied, range.len - copied);
                }
                Copied::Interrupted => {}
                Copied::Full => self.patience.wait(self.to.as_fd())?,
                Copied::NotHere => {
                    let len = READ_BYTES.min(usize::try_from(range.len).unwrap_or(READ_BYTES));
                    let mut read = std::mem::take(&mut self.read);
                    read.resize(READ_BYTES, 0);
                    range.file.read_exact_at(&mut read[..len], range.offset)?;
                    self.write_all(&mut [IoSlice::new(&read[..len])])?;
                    self.read = read;
                    (range.offset, range.len) = (range.offset + len as u64, range.len - len as u64);
                }
            }
        }
        // If the file changed before now, the changed bytes may have been copied.
        Ok(range.file.check()?)
    }
}

impl<W: Write + AsFd> Output for Writer<W> {
    fn give_up_at(&mut self, cut: &Cut) {
        self.patience.give_up_at(cut);
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let lengths = self.lengths(batch)?;
        let mut lengths = lengths.iter();
        let mut slices = Slices::default();
        for element in batch.iter() {
            self.make_room(&mut slices)?;
            slices.add(lengths.next().map_or(&[], |length| length));
            let end: &[u8] = if self.framing == OutputFraming::Lines { b"\n" } else { b"" };
            if let Some(bytes) = element.bytes_from_start() {
                slices.add_followed(bytes, element.len(), end);
                continue;
            }
            for part in element.parts() {
                self.make_room(&mut slices)?;
                match part {
                    Piece::Memory(bytes) => slices.add(bytes),
                    Piece::File(range) => {
                        self.write_slices(&mut slices)?;
                        self.copy(range)?;
                    }
                }
            }
            slices.add(end);
        }
        self.write_slices(&mut slices)
    }

    fn complete(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn kernel(&self) -> Kernel {
        self.kernel
    }
}
