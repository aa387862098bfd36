//! Elements on their way to the end of a regular file: gathered in memory, and written many at once.

use std::io;
use std::ops::AddAssign;

use super::append_settings::AppendSettings;
use super::appending::Appending;
use super::log_file::LogFile;
use super::reader::READ_BYTES;
use super::rotation::Rotation;
use super::writer::OutputFraming;
use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::ledger::Count;
use crate::payload::run::Run;
use crate::payload::{ElementRef, FileRange, Piece};

/// The longest element of a file that is gathered in memory.
const GATHERED_BYTES: usize = 1 << 20;

/// A file that elements are appended to, and those that are not written yet.
///
/// A write has whole elements and is at the end of the file, so that several processes can append to one file. Only an element
/// that is still in a file, and is long, takes several writes, during which the file is locked.
#[derive(Debug)]
pub(super) struct AppendStream {
    log: LogFile,
    framing: OutputFraming,
    is_synced: bool,
    /// Bytes that are written before any further element is gathered. They are at most as many as a longest element more.
    many: usize,
    /// Whole elements, with their framing.
    waiting: Vec<u8>,
    /// Whether something was written since the file was synced.
    is_dirty: bool,
    rotation: Option<Rotating>,
    cut: Cut,
    totals: Totals,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) writes: Count,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.bytes += other.bytes;
        self.writes += other.writes;
    }
}

/// When the file is full.
#[derive(Debug)]
struct Rotating {
    when: Rotation,
    clock: Clock,
    /// The length of the file when it was last written to.
    len: u64,
    /// The number of the period in which it was last written to.
    period: u64,
}

impl Rotating {
    /// The number of the period that holds a time.
    fn period_of(&self, unix_ns: u64) -> u64 {
        let length = self.when.every.map_or(u64::MAX, |every| u64::try_from(every.as_nanos()).unwrap_or(u64::MAX));
        unix_ns / length.max(1)
    }
}

impl AppendStream {
    /// # Errors
    ///
    /// If the file could not be rotated.
    pub(super) fn new(log: LogFile, settings: &AppendSettings, many: usize) -> io::Result<AppendStream> {
        let mut stream = AppendStream {
            log,
            framing: settings.framing,
            is_synced: settings.sync,
            many,
            waiting: Vec::new(),
            is_dirty: false,
            rotation: None,
            cut: Cut::default(),
            totals: Totals::default(),
        };
        if let Some(when) = &settings.rotation {
            stream.log.check_rotation(when.keep)?;
            let (len, modified) = stream.log.len_and_time()?;
            let mut rotating = Rotating { when: when.clone(), clock: Clock::default(), len, period: 0 };
            rotating.period = rotating.period_of(modified);
            stream.rotation = Some(rotating);
        }
        Ok(stream)
    }

    pub(super) fn give_up_at(&mut self, cut: &Cut) {
        self.cut = cut.clone();
    }

    pub(super) fn use_clock(&mut self, clock: &Clock) {
        if let Some(rotating) = &mut self.rotation {
            rotating.clock = clock.clone();
        }
    }

    pub(super) fn end_of_element(&self) -> &'static [u8] {
        self.framing.end_of_element()
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether everything that was added is written, and synced if it is to be.
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() && !self.is_dirty
    }

    /// Adds the elements of a run. Writes those that wait whenever they are many, and rotates the file when it is full.
    ///
    /// # Errors
    ///
    /// If an element cannot be read or written.
    pub(super) fn add_run(&mut self, run: &Run) -> io::Result<()> {
        self.rotate_old()?;
        let end = self.framing.end_of_element();
        if self.framing != OutputFraming::LengthPrefixed
            && self.has_room(run.bytes() + run.len() * end.len())
            && let Some((bytes, stretches)) = run.stretches_with(end)
        {
            for (part, lacks_end) in stretches {
                self.waiting.extend_from_slice(&bytes[part]);
                self.waiting.extend_from_slice(if lacks_end { end } else { &[] });
            }
            return self.write_many();
        }
        run.iter().try_for_each(|element| self.add(element))
    }

    /// Adds an element.
    fn add(&mut self, element: ElementRef<'_>) -> io::Result<()> {
        let length = self.framing.length_of(element.len())?;
        let length = length.as_slice().as_flattened();
        if !self.has_room(length.len() + element.len() + self.framing.end_of_element().len()) {
            self.rotate()?;
        }
        let is_in_memory = |part: Piece<'_>| matches!(part, Piece::Memory(_));
        if element.len() > GATHERED_BYTES && !element.parts().all(is_in_memory) {
            return self.write_long(length, element);
        }
        let start = self.waiting.len();
        self.waiting.extend_from_slice(length);
        let gathered = element.parts().try_for_each(|part| match part {
            Piece::Memory(bytes) => {
                self.waiting.extend_from_slice(bytes);
                Ok(())
            }
            Piece::File(range) => read_range(range, &mut self.waiting, |_| Ok(())),
        });
        if gathered.is_err() {
            self.waiting.truncate(start);
            return gathered;
        }
        self.waiting.extend_from_slice(self.framing.end_of_element());
        self.write_many()
    }

    /// Writes an element that is not in memory, piece by piece.
    fn write_long(&mut self, length: &[u8], element: ElementRef<'_>) -> io::Result<()> {
        self.write()?;
        let mut file = begin(&mut self.log, self.framing, &self.cut)?;
        self.waiting.extend_from_slice(length);
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
        let (bytes, len) = (file.written(), file.len());
        drop(file);
        self.note(writes, bytes, len);
        Ok(())
    }

    /// Writes the elements that wait if they are many.
    fn write_many(&mut self) -> io::Result<()> {
        if self.waiting.len() >= self.many { self.write() } else { Ok(()) }
    }

    /// Writes the elements that wait.
    fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // An error ends the flow, so that nothing is written again.
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut file = begin(&mut self.log, self.framing, &self.cut)?;
        file.write(&waiting)?;
        let (bytes, len) = (file.written(), file.len());
        drop(file);
        self.note(1, bytes, len);
        waiting.clear();
        // After a very long element.
        waiting.shrink_to(2 * self.many);
        self.waiting = waiting;
        Ok(())
    }

    /// Notes what was written, and how long the file is now.
    fn note(&mut self, writes: u64, bytes: u64, len: u64) {
        self.totals += Totals { bytes, writes: Count { ops: writes, bytes } };
        self.is_dirty = true;
        if let Some(rotating) = &mut self.rotation {
            rotating.len = len;
        }
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

    /// Whether the file does not have to be rotated before this many bytes.
    fn has_room(&self, bytes: usize) -> bool {
        let Some(Rotating { when: Rotation { bytes: Some(most), .. }, len, .. }) = &self.rotation else { return true };
        let before = len.saturating_add(self.waiting.len() as u64);
        before == 0 || before.saturating_add(bytes as u64) <= *most
    }

    /// Rotates the file if a new period has begun since it was written to.
    fn rotate_old(&mut self) -> io::Result<()> {
        let Some(rotating) = self.rotation.as_mut().filter(|rotating| rotating.when.every.is_some()) else {
            return Ok(());
        };
        let now = rotating.period_of(rotating.clock.unix_ns());
        let is_old = now > rotating.period && (rotating.len > 0 || !self.waiting.is_empty());
        // The clock of the system can be set back: then the period is as long again.
        rotating.period = now;
        if is_old { self.rotate() } else { Ok(()) }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(rotating) = &mut self.rotation else { return Ok(()) };
        self.log.rotate(rotating.when.keep, &self.cut)?;
        rotating.len = self.log.len_and_time()?.0;
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

/// Reads a part of a file. Calls `pass` after each read.
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
