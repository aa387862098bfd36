//! Files as outputs that elements are appended to.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Output;
use super::append_settings::{AppendSettings, Flush};
use super::append_stream::AppendStream;
use super::atomic_file::open_to_append;
use super::file::not_synced;
use super::file_id::{Resolved, resolve};
use super::log_file::LogFile;
use super::writer::Writer;
use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::ledger::{Count, Kernel};
use crate::payload::Batch;

/// Bytes that are written before any further element is gathered.
const MANY_BYTES: usize = 1 << 20;

/// Opens a file to append elements to it, and creates it if it does not exist. Anything else than a regular file, such as a
/// device or a pipe, is written to as elements arrive.
///
/// # Errors
///
/// If it cannot be written, or is not a regular file and has to be synced or rotated; [`NoReader`](super::NoReader) for a FIFO without a
/// reader.
pub fn append_to(path: &Path, settings: &AppendSettings) -> io::Result<Box<dyn Output>> {
    if let Resolved::At { path, .. } = resolve(path)?
        && std::fs::metadata(&path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |file| file.is_file())
    {
        let log = LogFile::open(&path, settings.sync)?;
        let stream = AppendStream::new(log, settings, MANY_BYTES)?;
        return Ok(Box::new(AppendFile { stream, flush: settings.flush, copied: Count::default() }));
    }
    if settings.sync {
        return Err(not_synced());
    }
    if settings.rotation.is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "`rotate` needs a regular file"));
    }
    Ok(Box::new(Writer::new(open_to_append(path)?, settings.framing)))
}

/// A regular file that elements are appended to.
#[derive(Debug)]
struct AppendFile {
    stream: AppendStream,
    flush: Flush,
    /// Payload bytes that were copied to gather elements.
    copied: Count,
}

impl Output for AppendFile {
    fn give_up_at(&mut self, cut: &Cut) {
        self.stream.give_up_at(cut);
    }

    fn use_clock(&mut self, clock: &Clock) {
        self.stream.use_clock(clock);
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        batch.runs().iter().try_for_each(|run| self.stream.add_run(run))?;
        self.copied.record(1, batch.bytes());
        if self.flush == Flush::Element { self.stream.flush() } else { Ok(()) }
    }

    fn settle(&mut self) -> io::Result<bool> {
        Ok(self.stream.is_flushed())
    }

    fn flush_delay(&self) -> Option<Duration> {
        self.flush.delay()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    fn complete(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    fn written(&self) -> u64 {
        self.stream.totals().bytes
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.stream.end_of_element()
    }

    fn host_copies(&self) -> Count {
        self.copied
    }

    fn kernel(&self) -> Kernel {
        Kernel { writes: self.stream.totals().writes, ..Kernel::default() }
    }
}

impl Drop for AppendFile {
    /// A flow that fails keeps what was pushed before, as far as it can be written.
    fn drop(&mut self) {
        self.stream.flush().ok();
    }
}
