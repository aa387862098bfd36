//! Files as inputs and outputs.

use std::fs::File;
use std::io;
use std::path::Path;

use super::atomic_file::AtomicFile;
use super::file_id::check_given;
use super::range::Ranges;
use super::reader::{Framing, READ_BYTES, Reader, Ready};
use super::stdio::can_read;
use super::writer::{OutputFraming, Writer};
use super::{Input, Output, Pull, Pulled};
use crate::base::cut::Cut;
use crate::base::regular_file;
use crate::ledger::Kernel;
use crate::payload::{Batch, MAX_ELEMENT_BYTES, Reads, SourceFile};

/// From this size on, an element is a range of its file. It is the size of one read: shorter elements share a block, because
/// one read for many costs less than several system calls for each.
const RANGE_BYTES: usize = READ_BYTES;
/// The most files of a directory that are open at once because ranges of them are in the flow.
const OPEN_FILES: usize = 256;

/// A file as an input.
#[derive(Debug)]
pub enum FileInput {
    /// Reads the file into blocks and cuts elements out of them.
    Read(Reader<File>),
    /// Returns ranges of the file as elements.
    Ranges(Ranges),
}

/// Opens the file at `path` as an input. It is an error if the file is shorter at the end than it was at the beginning. A
/// regular file that can be cut without looking at its bytes is read only when its elements are read, and must not change
/// before that.
///
/// # Errors
///
/// If it cannot be read, or is a directory.
pub fn open_file(path: &Path, framing: Framing) -> io::Result<FileInput> {
    open(path, framing, &Reads::default(), RANGE_BYTES)
}

/// Opens a file of a directory as one element. If many files are open already, its bytes are read at once.
pub(super) fn open_in_directory(path: &Path, reads: &Reads) -> io::Result<FileInput> {
    // A file that does not fit in memory has to stay open.
    let range_bytes = if reads.files() < OPEN_FILES { RANGE_BYTES } else { MAX_ELEMENT_BYTES + 1 };
    drop(regular_file::open(path)?);
    open(path, Framing::Whole, reads, range_bytes)
}

fn open(path: &Path, framing: Framing, reads: &Reads, range_bytes: usize) -> io::Result<FileInput> {
    check_given(path)?;
    let file = regular_file::open_any(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Other files, and those that the system generates on the fly, have no size.
    let promised = if metadata.is_file() { metadata.len() } else { 0 };
    let range = match framing {
        Framing::Chunks(size) => Some(size),
        Framing::Whole => usize::try_from(promised).ok(),
        Framing::Lines { .. } | Framing::LengthPrefixed => None,
    };
    Ok(match range.filter(|size| *size >= range_bytes && promised > 0) {
        Some(size) => {
            let file = SourceFile::new(file, &metadata, path, reads.clone());
            FileInput::Ranges(Ranges::new(file, size, reads.clone()))
        }
        None => FileInput::Read(Reader::new(file, framing, promised).counted(reads.clone())),
    })
}

impl Input for FileInput {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        match self {
            FileInput::Read(reader) => reader.pull(pull),
            FileInput::Ranges(ranges) => ranges.pull(pull),
        }
    }

    fn drain(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        match self {
            FileInput::Read(reader) => reader.drain(pull),
            FileInput::Ranges(_) => Ok(Pulled::End),
        }
    }

    fn touches_bytes(&self) -> bool {
        match self {
            FileInput::Read(reader) => reader.touches_bytes(),
            FileInput::Ranges(ranges) => ranges.touches_bytes(),
        }
    }

    fn left_over(&self) -> u64 {
        match self {
            FileInput::Read(reader) => reader.left_over(),
            FileInput::Ranges(_) => 0,
        }
    }

    fn kernel(&self) -> Kernel {
        match self {
            FileInput::Read(reader) => reader.kernel(),
            FileInput::Ranges(ranges) => ranges.kernel(),
        }
    }
}

impl Ready for File {
    /// A FIFO that nobody has written to yet is not ready; one whose writers are all gone is at its end.
    fn ready(&mut self) -> io::Result<bool> {
        can_read(self)
    }
}

/// A file as an output. A regular file shows its new content only when the flow has succeeded; until then the old content
/// stays: see [`AtomicFile`]. Anything else, such as a device or a pipe, is written to directly.
#[derive(Debug)]
pub struct FileOutput {
    writer: Writer<File>,
    /// `None` once it is finished.
    file: Option<AtomicFile>,
}

impl FileOutput {
    /// Prepares to write to `path`.
    ///
    /// # Errors
    ///
    /// If the path is a directory or cannot be written; [`NoReader`](super::NoReader), of kind [`io::ErrorKind::WouldBlock`], for a
    /// FIFO without a reader.
    pub fn create(path: &Path, framing: OutputFraming) -> io::Result<Self> {
        FileOutput::new(AtomicFile::create(path)?, framing)
    }

    /// As [`FileOutput::create`], but what appears survives a crash of the system.
    ///
    /// # Errors
    ///
    /// As [`FileOutput::create`]; if it is not a regular file.
    pub fn create_synced(path: &Path, framing: OutputFraming) -> io::Result<Self> {
        let file = AtomicFile::create(path)?;
        if !file.appears_whole() {
            return Err(not_synced());
        }
        FileOutput::new(file.synced(), framing)
    }

    fn new(file: AtomicFile, framing: OutputFraming) -> io::Result<Self> {
        Ok(FileOutput { writer: Writer::new(file.file().try_clone()?, framing), file: Some(file) })
    }
}

/// The error for a pipe, a device or a descriptor that is to be synced.
pub(super) fn not_synced() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "`sync` needs a regular file")
}

impl Output for FileOutput {
    fn give_up_at(&mut self, cut: &Cut) {
        self.writer.give_up_at(cut);
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.writer.push(batch)
    }

    fn settle(&mut self) -> io::Result<bool> {
        Ok(!self.appears_whole())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.writer.complete()?;
        self.file.take().map_or(Ok(()), AtomicFile::finish)
    }

    fn written(&self) -> u64 {
        self.writer.written()
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.writer.end_of_element()
    }

    fn appears_whole(&self) -> bool {
        self.file.as_ref().is_some_and(AtomicFile::appears_whole)
    }

    fn kernel(&self) -> Kernel {
        self.writer.kernel()
    }
}
