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

impl OutputFraming {
    /// What follows each element.
    pub(super) fn end_of_element(self) -> &'static [u8] {
        if self == OutputFraming::Lines { b"\n" } else { b"" }
    }

    /// What comes before an element of this length, if anything.
    pub(super) fn length_of(self, len: usize) -> io::Result<Option<[u8; LENGTH_BYTES]>> {
        if self != OutputFraming::LengthPrefixed {
            return Ok(None);
        }
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "an element is too long for a 32-bit length");
        Ok(Some(u32::try_from(len).map_err(too_long)?.to_be_bytes()))
    }
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

    /// Adds the first `len` of `bytes`.
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
        batch.iter().filter_map(|element| self.framing.length_of(element.len()).transpose()).collect()
    }

    /// Writes the slices if another element might not fit.
    fn make_room<'a>(&mut self, slices: &mut Slices<'a>) -> io::Result<()> {
        // Up to three slices are added, and the one that is still open takes a place as well.
        if slices.filled + 4 > SLICES_A_WRITE { self.write_slices(slices) } else { Ok(()) }
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
        let end = self.end_of_element();
        for run in batch.runs() {
            if self.framing != OutputFraming::LengthPrefixed
                && let Some((bytes, stretches)) = run.stretches_with(end)
            {
                for (part, lacks_end) in stretches {
                    self.make_room(&mut slices)?;
                    slices.add_first(&bytes[part.start..], part.len());
                    slices.add(if lacks_end { end } else { &[] });
                }
                continue;
            }
            for element in run.iter() {
                self.make_room(&mut slices)?;
                slices.add(lengths.next().map_or(&[], |length| length));
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
        }
        self.write_slices(&mut slices)
    }

    fn complete(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.framing.end_of_element()
    }

    fn kernel(&self) -> Kernel {
        self.kernel
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _};

    use super::*;
    use crate::payload::element::Element;
    use crate::payload::run::{Header, Runs};
    use crate::payload::{Payload, Pool};

    /// What an output of this framing has after pushes of these batches, and the number of writes.
    fn written(framing: OutputFraming, batches: &[Batch]) -> (Vec<u8>, u64) {
        let mut file: File = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(file.try_clone().unwrap(), framing);
        batches.iter().for_each(|batch| writer.push(batch).unwrap());
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(writer.written(), bytes.len() as u64);
        (bytes, writer.kernel().writes.ops)
    }

    /// A batch of parts of one payload.
    fn parts(pool: &Pool, text: &'static str, parts: &[(usize, usize)]) -> Batch {
        let payload = pool.adopt(text.into());
        let mut runs = Runs::default();
        for (sequence, (start, len)) in (0..).zip(parts) {
            runs.add_part(&payload, *start, *len, Header { sequence, timestamp: 0, context: None });
        }
        let mut batch = Batch::default();
        runs.drain().for_each(|run| batch.push(run));
        batch
    }

    #[test]
    fn separates_elements_whatever_stands_between_them_in_memory() {
        let pool = Pool::default();
        let text = "one\ntwo\n\n\nsix\nx";
        for chosen in [
            &[(0, 3), (4, 3), (8, 0), (9, 0), (10, 3)][..],
            &[(0, 3), (10, 3)],
            &[(10, 3), (0, 3)],
            &[(0, 3), (3, 4), (3, 1)],
            &[(0, 1), (1, 1), (2, 1)],
            &[(14, 1), (8, 0)],
        ] {
            let elements = || chosen.iter().map(|(start, len)| &text[*start..start + len]);
            let batch = || [parts(&pool, text, chosen)];
            let lines: String = elements().map(|element| element.to_owned() + "\n").collect();
            assert_eq!(written(OutputFraming::Lines, &batch()).0, lines.as_bytes(), "{chosen:?}");
            assert_eq!(
                written(OutputFraming::Raw, &batch()).0,
                elements().collect::<String>().as_bytes(),
                "{chosen:?}"
            );
            let prefixed = elements().flat_map(|element| {
                let length = u32::try_from(element.len()).unwrap().to_be_bytes();
                length.into_iter().chain(element.bytes()).collect::<Vec<_>>()
            });
            assert_eq!(written(OutputFraming::LengthPrefixed, &batch()).0, prefixed.collect::<Vec<_>>(), "{chosen:?}");
        }
    }

    #[test]
    fn writes_neighbours_at_once() {
        let pool = Pool::default();
        let lines: Vec<_> = (0..4).map(|line| (4 * line, 3)).collect();
        assert_eq!(written(OutputFraming::Lines, &[parts(&pool, "one\ntwo\nsix\nten\n", &lines)]).1, 1);
    }

    /// More slices than one call takes, of elements by themselves and of joined ones.
    #[test]
    fn writes_any_number_of_slices() {
        let pool = Pool::default();
        let element = |index: usize| {
            let (one, two) = (pool.adopt(format!("{index} ").into()), pool.adopt("and more".into()));
            let payload = if index.is_multiple_of(3) { Payload::join([&one, &two, &one]) } else { one };
            Element { payload, sequence: 0, timestamp: 0, context: None }
        };
        for count in (0..8).chain([60, 61, 62, 63, 64, 95, 96, 97, 190, 191, 192, 193, 256]) {
            let batch = || [(0..count).map(element).collect::<Batch>()];
            let elements: Vec<Vec<u8>> =
                (0..count).map(|index| element(index).payload.to_vec(&pool).unwrap()).collect();
            assert_eq!(written(OutputFraming::Raw, &batch()).0, elements.concat(), "{count}");
            let lines = elements.iter().flat_map(|element| [&element[..], b"\n"].concat()).collect::<Vec<_>>();
            assert_eq!(written(OutputFraming::Lines, &batch()).0, lines, "{count}");
            let prefixed =
                elements.iter().flat_map(|element| [&(element.len() as u32).to_be_bytes()[..], element].concat());
            assert_eq!(written(OutputFraming::LengthPrefixed, &batch()).0, prefixed.collect::<Vec<_>>(), "{count}");
        }
    }
}
