//! Elements on their way to the end of a regular file: gathered in memory, and written many at once.

use std::io;

use super::append::AppendSettings;
use super::appending::Appending;
use super::log_file::LogFile;
use super::reader::READ_BYTES;
use super::writer::OutputFraming;
use crate::base::cut::Cut;
use crate::ledger::{Count, Kernel};
use crate::payload::{Batch, ElementRef, FileRange, Piece};

/// Bytes that are written before any further element is gathered. They are at most as many as a longest element more.
const MANY_BYTES: usize = 1 << 20;

/// A file that elements are appended to, and those that are not written yet.
///
/// A write has whole elements and is at the end of the file, so that several processes can append to one file. Only an element
/// that is still in a file, and is long, takes several writes, during which the file is locked.
#[derive(Debug)]
pub(super) struct AppendStream {
    log: LogFile,
    framing: OutputFraming,
    is_synced: bool,
    /// Whole elements, with their framing.
    waiting: Vec<u8>,
    /// Whether something was written since the file was synced.
    is_dirty: bool,
    cut: Cut,
    /// Bytes written so far.
    written: u64,
    kernel: Kernel,
    /// Payload bytes that were copied to gather elements, once for each batch.
    copied: Count,
}

impl AppendStream {
    pub(super) fn new(log: LogFile, settings: &AppendSettings) -> AppendStream {
        AppendStream {
            log,
            framing: settings.framing,
            is_synced: settings.sync,
            waiting: Vec::new(),
            is_dirty: false,
            cut: Cut::default(),
            written: 0,
            kernel: Kernel::default(),
            copied: Count::default(),
        }
    }

    pub(super) fn give_up_at(&mut self, cut: &Cut) {
        self.cut = cut.clone();
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn end_of_element(&self) -> &'static [u8] {
        self.framing.end_of_element()
    }

    pub(super) fn copied(&self) -> Count {
        self.copied
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Whether everything that was added is written, and synced if it is to be.
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() && !self.is_dirty
    }

    /// Adds the elements of a batch. Writes those that wait whenever they are many.
    ///
    /// # Errors
    ///
    /// If an element cannot be read or written.
    pub(super) fn add_batch(&mut self, batch: &Batch) -> io::Result<()> {
        let end = self.framing.end_of_element();
        for run in batch.runs() {
            if self.framing != OutputFraming::LengthPrefixed
                && let Some((bytes, stretches)) = run.stretches_with(end)
            {
                for (part, lacks_end) in stretches {
                    self.waiting.extend_from_slice(&bytes[part]);
                    self.waiting.extend_from_slice(if lacks_end { end } else { &[] });
                }
                self.write_many()?;
            } else {
                run.iter().try_for_each(|element| self.add(element))?;
            }
        }
        self.copied.record(1, batch.bytes());
        Ok(())
    }

    /// Adds an element.
    fn add(&mut self, element: ElementRef<'_>) -> io::Result<()> {
        let is_in_memory = |part: &Piece| matches!(part, Piece::Memory(_));
        if element.len() > MANY_BYTES && !element.parts().all(|part| is_in_memory(&part)) {
            return self.write_long(element);
        }
        let start = self.waiting.len();
        let added = self.gather(element);
        if added.is_err() {
            self.waiting.truncate(start);
        }
        added?;
        self.write_many()
    }

    fn gather(&mut self, element: ElementRef<'_>) -> io::Result<()> {
        self.waiting.extend_from_slice(self.framing.length_of(element.len())?.as_slice().as_flattened());
        for part in element.parts() {
            match part {
                Piece::Memory(bytes) => self.waiting.extend_from_slice(bytes),
                Piece::File(range) => read_range(range, &mut self.waiting, |_| Ok(()))?,
            }
        }
        self.waiting.extend_from_slice(self.framing.end_of_element());
        Ok(())
    }

    /// Writes an element that is not in memory, piece by piece.
    fn write_long(&mut self, element: ElementRef<'_>) -> io::Result<()> {
        self.write()?;
        let length = self.framing.length_of(element.len())?;
        let mut file = begin(&mut self.log, self.framing, &self.cut)?;
        self.waiting.extend_from_slice(length.as_slice().as_flattened());
        let mut writes = 0;
        let mut write = |waiting: &mut Vec<u8>| {
            writes += 1;
            let written = file.write(waiting);
            waiting.clear();
            written
        };
        let written = element.parts().try_for_each(|part| match part {
            Piece::Memory(bytes) => {
                self.waiting.extend_from_slice(bytes);
                write(&mut self.waiting)
            }
            Piece::File(range) => read_range(range, &mut self.waiting, &mut write),
        });
        self.waiting.extend_from_slice(self.framing.end_of_element());
        let written = written.and_then(|()| write(&mut self.waiting));
        self.waiting.clear();
        if let Err(error) = written {
            return Err(file.take_back(error));
        }
        let bytes = file.written();
        self.kernel.writes += Count { ops: writes, bytes };
        self.written += bytes;
        self.is_dirty = true;
        Ok(())
    }

    /// Writes the elements that wait if they are many.
    fn write_many(&mut self) -> io::Result<()> {
        if self.waiting.len() >= MANY_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the elements that wait.
    fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // Its error ends the flow, so that nothing is written again.
        let waiting = std::mem::take(&mut self.waiting);
        let mut file = begin(&mut self.log, self.framing, &self.cut)?;
        file.write(&waiting)?;
        let bytes = file.written();
        self.kernel.writes.record(1, bytes);
        self.written += bytes;
        self.is_dirty = true;
        self.waiting = waiting;
        self.waiting.clear();
        // After a very long element.
        self.waiting.shrink_to(2 * MANY_BYTES);
        Ok(())
    }

    /// Writes the elements that wait, and syncs the file if it is to be.
    ///
    /// # Errors
    ///
    /// If they cannot be written or synced.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        if self.is_synced && self.is_dirty {
            self.log.file().sync_data()?;
        }
        self.is_dirty = false;
        Ok(())
    }
}

/// Locks the file, and ends a line that a killed process left without its end.
fn begin<'a>(log: &'a mut LogFile, framing: OutputFraming, cut: &Cut) -> io::Result<Appending<'a>> {
    let mut file = log.begin(cut)?;
    if framing == OutputFraming::Lines {
        file.end_torn_line()?;
    }
    Ok(file)
}

/// Reads a part of a file. Calls `pass` whenever there is much.
fn read_range(
    mut range: FileRange<'_>,
    to: &mut Vec<u8>,
    mut pass: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    range.file.check()?;
    while range.len > 0 {
        let len = READ_BYTES.min(usize::try_from(range.len).unwrap_or(READ_BYTES));
        let start = to.len();
        to.resize(start + len, 0);
        range.file.read_exact_at(&mut to[start..], range.offset)?;
        pass(to)?;
        (range.offset, range.len) = (range.offset + len as u64, range.len - len as u64);
    }
    // If the file changed before now, the changed bytes may have been read.
    Ok(range.file.check()?)
}
