//! Files whose ranges are payloads. They are read on demand and never mapped: a file that is truncated or written to meanwhile
//! causes an error with the reason, not a signal.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::base::plural::counted;
use crate::ledger::Count;

/// A file, identified by its state when it was opened.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    path: PathBuf,
    identity: Identity,
    reads: Reads,
}

/// Identifies the content of a file: a file with the same name but another content is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since the Unix epoch.
    modified: (i64, i64),
}

impl Identity {
    fn from_metadata(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Counts the system calls that read the files of one input, whoever needs the bytes, and their bytes.
#[derive(Debug, Clone, Default)]
pub struct Reads(Arc<[AtomicU64; 2]>);

impl Reads {
    /// Counts a call.
    pub(crate) fn record(&self, bytes: usize) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The number of open files that count their reads here.
    pub(crate) fn files(&self) -> usize {
        // The input itself has one.
        Arc::strong_count(&self.0) - 1
    }

    /// The reads so far.
    pub fn count(&self) -> Count {
        Count { ops: self.0[0].load(Ordering::Relaxed), bytes: self.0[1].load(Ordering::Relaxed) }
    }
}

/// A part of a file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` {reason}", path = path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub reason: UnreadableReason,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableReason {
    /// Its size has changed.
    #[error("was changed while it was read: expected {}, found {found}", counted(*expected, "byte"))]
    Size {
        /// Its size when it was opened.
        expected: u64,
        /// Its size now.
        found: u64,
    },
    /// It was written to, and its size has not changed.
    #[error("was modified while it was read: its size is still {}", counted(*size, "byte"))]
    Written {
        /// Its size.
        size: u64,
    },
    /// It ends too early, although the system says that its size has not changed.
    #[error("ends at byte {found}: expected {}", counted(*expected, "byte"))]
    Short {
        /// Its size when it was opened.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
    /// The error of the system.
    #[error("cannot be read: {0}")]
    System(io::Error),
}

impl Unreadable {
    /// The cause of an I/O error, if it is one of these.
    pub fn from_error(error: &io::Error) -> Option<&Unreadable> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Unreadable> for io::Error {
    fn from(unreadable: Unreadable) -> io::Error {
        let kind = match &unreadable.reason {
            UnreadableReason::Size { expected, found } if found < expected => io::ErrorKind::UnexpectedEof,
            UnreadableReason::Short { .. } => io::ErrorKind::UnexpectedEof,
            UnreadableReason::Size { .. } | UnreadableReason::Written { .. } => io::ErrorKind::InvalidData,
            UnreadableReason::System(error) => error.kind(),
        };
        io::Error::new(kind, unreadable)
    }
}

impl SourceFile {
    /// A regular file that is open for reading. Reads from it are counted in `reads`.
    pub fn new(file: File, metadata: &Metadata, path: &Path, reads: Reads) -> SourceFile {
        SourceFile { file, path: path.to_path_buf(), identity: Identity::from_metadata(metadata), reads }
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// Checks that the file is unchanged since it was opened.
    ///
    /// # Errors
    ///
    /// If it has changed.
    pub fn check(&self) -> Result<(), Unreadable> {
        let found = Identity::from_metadata(&self.file.metadata().map_err(|error| self.failed(error))?);
        let expected = self.identity;
        if found.size != expected.size {
            return Err(self.unreadable(UnreadableReason::Size { expected: expected.size, found: found.size }));
        }
        if found != expected {
            return Err(self.unreadable(UnreadableReason::Written { size: found.size }));
        }
        Ok(())
    }

    /// Reads once from `offset` and appends as much as `memory` has room for. Returns the number of bytes read.
    pub(super) fn read_at(&self, memory: &mut Vec<u8>, offset: u64) -> Result<usize, Unreadable> {
        loop {
            match rustix::io::pread(&self.file, spare_capacity(memory), offset) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed(error)),
                Ok(read) => {
                    self.reads.record(read);
                    return Ok(read);
                }
            }
        }
    }

    /// Reads into all of `bytes` from `offset`. The caller must call [`SourceFile::check`] afterwards to see whether the file was
    /// still unchanged: a writer changes its times before its bytes.
    ///
    /// # Errors
    ///
    /// If the bytes are not there. The content of `bytes` is undefined then.
    pub fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), Unreadable> {
        while !bytes.is_empty() {
            match self.file.read_at(bytes, offset) {
                Ok(0) => return Err(self.short(offset)),
                Ok(read) => {
                    self.reads.record(read);
                    bytes = &mut bytes[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    /// The error for a file that ends at `offset`, where it should continue.
    pub fn short(&self, offset: u64) -> Unreadable {
        let short = UnreadableReason::Short { expected: self.identity.size, found: offset };
        self.check().err().unwrap_or_else(|| self.unreadable(short))
    }

    /// The error of the system.
    pub fn failed(&self, error: impl Into<io::Error>) -> Unreadable {
        self.unreadable(UnreadableReason::System(error.into()))
    }

    fn unreadable(&self, reason: UnreadableReason) -> Unreadable {
        Unreadable { path: self.path.clone(), reason }
    }
}

impl AsFd for SourceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
