//! Outputs that write elements one after the other.
//!
//! Payloads go to the operating system from where they are, many in one call, and are not joined first. Payloads that are still
//! in a file are copied from there, by `kernel_copy.rs`.

use std::io::{self, IoSlice, Write};
use std::iter;
use std::os::fd::AsFd;

use super::Output;
use super::interruptible_file::WriteWaiter;
use super::kernel_copy::{Copied, Way};
use super::reader::{LENGTH_BYTES, READ_BYTES};
use crate::base::cut::Cut;
use crate::ledger::Kernel;
use crate::payload::element::Element;
use crate::payload::{FileRange, Piece};

/// Elements per write.
const ELEMENTS_A_WRITE: usize = 64;
/// Slices per write. An element in one piece takes two; Linux accepts 1,024.
const SLICES_A_WRITE: usize = 2 * ELEMENTS_A_WRITE;

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

impl<W: Write + AsFd> Writer<W> {
    /// Writes to the stream `to`.
    pub fn new(to: W, framing: OutputFraming) -> Self {
        let (patience, way) = (WriteWaiter::new(to.as_fd()), Way::default());
        Writer { to, framing, written: 0, kernel: Kernel::default(), patience, way, read: Vec::new() }
    }

    fn push_some(&mut self, elements: &[Element]) -> io::Result<()> {
        let mut lengths = [[0; LENGTH_BYTES]; ELEMENTS_A_WRITE];
        if self.framing == OutputFraming::LengthPrefixed {
            for (length, element) in lengths.iter_mut().zip(elements) {
                let size = u32::try_from(element.payload.len()).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "an element is too long for a 32-bit length")
                })?;
                *length = size.to_be_bytes();
            }
        }
        let mut slices = [IoSlice::new(&[]); SLICES_A_WRITE];
        let mut filled = 0;
        for (element, length) in elements.iter().zip(&lengths) {
            let (before, after): (&[u8], &[u8]) = match self.framing {
                OutputFraming::Lines => (&[], b"\n"),
                OutputFraming::LengthPrefixed => (length, &[]),
                OutputFraming::Raw => (&[], &[]),
            };
            let parts = iter::once(Piece::Memory(before)).chain(element.payload.parts()).chain([Piece::Memory(after)]);
            for part in parts {
                if filled == SLICES_A_WRITE || matches!(part, Piece::File(_)) {
                    self.write_all(&mut slices[..filled])?;
                    filled = 0;
                }
                match part {
                    Piece::Memory([]) => {}
                    Piece::Memory(bytes) => {
                        slices[filled] = IoSlice::new(bytes);
                        filled += 1;
                    }
                    Piece::File(range) => self.copy(range)?,
                }
            }
        }
        self.write_all(&mut slices[..filled])
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

    fn push(&mut self, elements: &[Element]) -> io::Result<()> {
        elements.chunks(ELEMENTS_A_WRITE).try_for_each(|some| self.push_some(some))
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
