//! Files as outputs that elements are appended to, where attributes of an element choose the file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Output;
use super::append_settings::{AppendSettings, Flush};
use super::append_stream::{AppendStream, Totals};
use super::log_file::LogFile;
use super::path_template::{PathTemplate, Unfit};
use super::rotation;
use crate::base::clock::Clock;
use crate::base::cut::{Cut, CutOff};
use crate::ledger::{Count, Kernel};
use crate::payload::run::Run;
use crate::payload::{Batch, ElementRef, Unreadable};

/// Bytes of each file that are written before any further element is gathered: many files can be open.
const MANY_BYTES: usize = 64 << 10;
/// Bytes of a value that an error shows.
const SHOWN_BYTES: usize = 80;

/// What an output does besides [`AppendSettings`] if attributes choose its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByAttribute {
    /// The value of an attribute that an element does not have; without it, such an element is an error.
    pub missing: Option<String>,
    /// Stands for all attributes of an element if one of them cannot be part of a file name; without it, such an element is an
    /// error.
    pub unfit: Option<String>,
    /// The most files that are open at once, at least 1.
    pub open_files: usize,
    /// The most files in all.
    pub files: usize,
}

/// Opens an output whose files are chosen by attributes. Its folder must exist; nothing outside of it is ever written.
///
/// # Errors
///
/// If the folder cannot be opened.
pub fn append_by_attribute(
    template: &PathTemplate,
    settings: &AppendSettings,
    by: &ByAttribute,
) -> io::Result<Box<dyn Output>> {
    let folder = open_folder(rustix::fs::CWD, template.folder().as_os_str(), OFlags::empty())?;
    Ok(Box::new(AppendByAttribute {
        template: template.clone(),
        settings: settings.clone(),
        by: by.clone(),
        folder,
        places: HashMap::new(),
        streams: Vec::new(),
        open: Vec::new(),
        path: String::new(),
        last: None,
        closed: Totals::default(),
        copied: Count::default(),
        cut: Cut::default(),
        clock: Clock::default(),
    }))
}

struct AppendByAttribute {
    template: PathTemplate,
    settings: AppendSettings,
    by: ByAttribute,
    folder: File,
    /// The place of each path in `streams`.
    places: HashMap<String, usize>,
    /// `None` for a file that is closed.
    streams: Vec<Option<AppendStream>>,
    /// The files that are open, the one that was used last at the end.
    open: Vec<usize>,
    /// The path of the last element; its memory is reused.
    path: String,
    /// The file of the last element.
    last: Option<usize>,
    /// What was done with files that are closed.
    closed: Totals,
    /// Payload bytes that were copied to gather elements.
    copied: Count,
    cut: Cut,
    clock: Clock,
}

impl AppendByAttribute {
    /// The file of a run, whose elements have the same attributes.
    fn place_of(&mut self, run: &Run) -> io::Result<usize> {
        let before = std::mem::take(&mut self.path);
        self.fill(run.get(0))?;
        let place = match self.last.filter(|_| before == self.path).or_else(|| self.places.get(&self.path).copied()) {
            Some(place) => place,
            None if self.places.len() >= self.by.files => {
                let message = format!("`{}` would be one file more than {} (`files`)", self.path, self.by.files);
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
            }
            None => {
                self.places.insert(self.path.clone(), self.streams.len());
                self.streams.push(None);
                self.streams.len() - 1
            }
        };
        if self.last != Some(place) || self.streams[place].is_none() {
            self.make_open(place)?;
        }
        self.last = Some(place);
        Ok(place)
    }

    /// Writes the path of an element's file to `path`.
    fn fill(&mut self, element: ElementRef<'_>) -> io::Result<()> {
        let filled = self.template.fill(element.attributes(), self.by.missing.as_deref(), &mut self.path);
        let is_rotated = || self.settings.rotation.is_some() && rotation::is_numbered(OsStr::new(&self.path));
        let problem = match filled {
            Ok(()) if !is_rotated() => return Ok(()),
            Ok(()) => format!("`{}` would be the name of a rotated file", self.path),
            Err(Unfit::Missing(name)) => format!("it has no attribute `{name}` (`missing` can stand for it)"),
            Err(Unfit::Value { name, reason }) => {
                let value = element.attributes().get(name).unwrap_or_default();
                let shown = value.floor_char_boundary(SHOWN_BYTES);
                let dots = if shown < value.len() { "…" } else { "" };
                format!("its attribute `{name}`, {:?}{dots}, {reason}", &value[..shown])
            }
        };
        match (&self.by.unfit, filled) {
            (Some(unfit), Ok(()) | Err(Unfit::Value { .. })) => {
                self.template.fill_with(unfit, &mut self.path);
                Ok(())
            }
            _ => {
                let message = format!("element {} has no file: {problem}", element.sequence());
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    /// Opens a file if it is closed, and notes that it is used. Closes the one that was not used for the longest time if there
    /// are too many.
    fn make_open(&mut self, place: usize) -> io::Result<()> {
        if self.streams[place].is_some() {
            self.open.retain(|open| *open != place);
            self.open.push(place);
            return Ok(());
        }
        while self.open.len() >= self.by.open_files {
            let oldest = self.open.remove(0);
            if let Some(mut stream) = self.streams[oldest].take() {
                stream.flush().map_err(|error| self.add_path(oldest, error))?;
                self.closed += stream.totals();
            }
        }
        let mut stream = self.open_stream().map_err(|error| self.add_path(place, error))?;
        stream.give_up_at(&self.cut);
        stream.use_clock(&self.clock);
        self.streams[place] = Some(stream);
        self.open.push(place);
        Ok(())
    }

    /// Opens the file at `path`. No link is followed on the way.
    fn open_stream(&self) -> io::Result<AppendStream> {
        let mut folder = self.folder.try_clone()?;
        let mut rest = self.path.as_str();
        while let Some((name, below)) = rest.split_once('/') {
            folder = self.open_or_create_folder(&folder, name)?;
            rest = below;
        }
        let log = LogFile::open_in(folder, OsStr::new(rest), self.settings.sync)?;
        AppendStream::new(log, &self.settings, MANY_BYTES)
    }

    fn open_or_create_folder(&self, parent: &File, name: &str) -> io::Result<File> {
        let open = || open_folder(parent, OsStr::new(name), OFlags::NOFOLLOW);
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) if self.settings.sync => parent.sync_all()?,
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open()
            }
            opened => opened,
        };
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotADirectory => {
                io::Error::new(error.kind(), format!("`{name}` is not a directory; links are not followed here"))
            }
            _ => error,
        })
    }

    /// Flushes the files that are open. Returns the first that could not be, with its error.
    fn flush_open(&mut self) -> Result<(), (usize, io::Error)> {
        for place in &self.open {
            if let Some(stream) = &mut self.streams[*place] {
                stream.flush().map_err(|error| (*place, error))?;
            }
        }
        Ok(())
    }

    fn flush_all(&mut self) -> io::Result<()> {
        self.flush_open().map_err(|(place, error)| self.add_path(place, error))
    }

    fn open_streams(&self) -> impl Iterator<Item = &AppendStream> {
        self.open.iter().filter_map(|place| self.streams[*place].as_ref())
    }

    /// Adds the path of a file to its error, unless that says who failed already.
    fn add_path(&self, place: usize, error: io::Error) -> io::Error {
        let path = self.places.iter().find(|(_, other)| **other == place).map(|(path, _)| path);
        match path {
            Some(path) if !CutOff::is(&error) && Unreadable::from_error(&error).is_none() => {
                io::Error::new(error.kind(), format!("`{path}`: {error}"))
            }
            _ => error,
        }
    }

    fn totals(&self) -> Totals {
        self.open_streams().fold(self.closed, |mut all, stream| {
            all += stream.totals();
            all
        })
    }
}

fn open_folder(at: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let name = if name.is_empty() { OsStr::new(".") } else { name };
    let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?.into())
}

impl Output for AppendByAttribute {
    fn give_up_at(&mut self, cut: &Cut) {
        self.cut = cut.clone();
    }

    fn use_clock(&mut self, clock: &Clock) {
        self.clock = clock.clone();
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        for run in batch.runs() {
            let place = self.place_of(run)?;
            if let Some(stream) = &mut self.streams[place] {
                stream.add_run(run).map_err(|error| self.add_path(place, error))?;
            }
        }
        self.copied.record(1, batch.bytes());
        if self.settings.flush == Flush::Element { self.flush_all() } else { Ok(()) }
    }

    fn settle(&mut self) -> io::Result<bool> {
        Ok(self.open_streams().all(AppendStream::is_flushed))
    }

    fn flush_delay(&self) -> Option<Duration> {
        self.settings.flush.delay()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_all()
    }

    fn complete(&mut self) -> io::Result<()> {
        self.flush_all()
    }

    fn written(&self) -> u64 {
        self.totals().bytes
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.settings.framing.end_of_element()
    }

    fn host_copies(&self) -> Count {
        self.copied
    }

    fn kernel(&self) -> Kernel {
        Kernel { writes: self.totals().writes, ..Kernel::default() }
    }
}

impl Drop for AppendByAttribute {
    /// A flow that fails keeps what was pushed before, as far as it can be written.
    fn drop(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            stream.flush().ok();
        }
    }
}
