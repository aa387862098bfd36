//! Files as outputs that elements are appended to.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Output;
use super::append_stream::AppendStream;
use super::atomic_file::open_to_append;
use super::file::not_synced;
use super::file_id::{Resolved, resolve};
use super::log_file::LogFile;
use super::writer::{OutputFraming, Writer};
use crate::base::cut::Cut;
use crate::ledger::{Count, Kernel};
use crate::payload::Batch;

/// How elements are appended to a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendSettings {
    /// How elements are separated.
    pub framing: OutputFraming,
    /// When the elements that were pushed are written.
    pub flush: Flush,
    /// Whether what is written at a flush must survive a crash of the system.
    pub sync: bool,
}

/// When the elements that were pushed are written. At the latest, they are when the flow ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flush {
    /// At the end of each push.
    #[default]
    Element,
    /// This long after the first of them was pushed, by the clock of the flow. Before, if they are many.
    Every(Duration),
    /// When they are many.
    End,
}

/// Opens a file to append elements to it, and creates it if it does not exist. Anything else than a regular file, such as a
/// device or a pipe, is written to as elements arrive.
///
/// # Errors
///
/// If it cannot be written, or is not a regular file and has to be synced; [`NoReader`](super::NoReader) for a FIFO without a
/// reader.
pub fn append_to(path: &Path, settings: &AppendSettings) -> io::Result<Box<dyn Output>> {
    if let Resolved::At { path, .. } = resolve(path)?
        && std::fs::metadata(&path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |file| file.is_file())
    {
        let log = LogFile::open(&path, settings.sync)?;
        return Ok(Box::new(AppendFile { stream: AppendStream::new(log, settings), flush: settings.flush }));
    }
    if settings.sync {
        return Err(not_synced());
    }
    Ok(Box::new(Writer::new(open_to_append(path)?, settings.framing)))
}

/// A regular file that elements are appended to.
#[derive(Debug)]
struct AppendFile {
    stream: AppendStream,
    flush: Flush,
}

impl Output for AppendFile {
    fn give_up_at(&mut self, cut: &Cut) {
        self.stream.give_up_at(cut);
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.stream.add_batch(batch)?;
        if self.flush == Flush::Element { self.stream.flush() } else { Ok(()) }
    }

    fn settle(&mut self) -> io::Result<bool> {
        Ok(self.stream.is_flushed())
    }

    fn flush_delay(&self) -> Option<Duration> {
        match self.flush {
            Flush::Every(time) => Some(time),
            Flush::Element | Flush::End => None,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    fn complete(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    fn written(&self) -> u64 {
        self.stream.written()
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.stream.end_of_element()
    }

    fn host_copies(&self) -> Count {
        self.stream.copied()
    }

    fn kernel(&self) -> Kernel {
        self.stream.kernel()
    }
}

impl Drop for AppendFile {
    /// A flow that fails keeps what was pushed before, as far as it can be written.
    fn drop(&mut self) {
        self.stream.flush().ok();
    }
}
