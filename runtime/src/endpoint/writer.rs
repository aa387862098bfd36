//! Outputs that write elements one after the other.
//!
//! Payloads go to the operating system from where they are, many in one call; nothing is joined before.

use std::io::{self, IoSlice, Write};
use std::iter;

use super::Output;
use super::reader::LENGTH_BYTES;
use crate::element::Element;

/// Elements that are looked at together.
const ELEMENTS_A_WRITE: usize = 64;
/// Slices that are written in one call. An element in one piece takes two; Linux takes 1,024 at once.
const SLICES_A_WRITE: usize = 2 * ELEMENTS_A_WRITE;

/// How elements are told apart in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFraming {
    /// Each is followed by `\n`.
    #[default]
    Lines,
    /// Each follows its length in bytes, as a 32-bit number, most significant byte first.
    LengthPrefixed,
    /// Not at all: payloads end to end.
    Raw,
}

/// Elements to a stream of bytes.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    framing: OutputFraming,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes `to` that stream.
    pub fn new(to: W, framing: OutputFraming) -> Self {
        Writer { to, framing, written: 0 }
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
            let pieces = element.payload.pieces().ok_or_else(|| io::Error::other("a payload is not in memory"))?;
            for piece in iter::once(before).chain(pieces).chain([after]).filter(|piece| !piece.is_empty()) {
                if filled == SLICES_A_WRITE {
                    self.write_all(&mut slices)?;
                    filled = 0;
                }
                slices[filled] = IoSlice::new(piece);
                filled += 1;
            }
        }
        self.write_all(&mut slices[..filled])
    }

    fn write_all(&mut self, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !left.is_empty() {
            match self.to.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.written += written as u64;
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Output for Writer<W> {
    fn push(&mut self, elements: &[Element]) -> io::Result<()> {
        elements.chunks(ELEMENTS_A_WRITE).try_for_each(|some| self.push_some(some))
    }

    fn complete(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn written(&self) -> u64 {
        self.written
    }
}
