//! Files whose ranges are payloads. They are read when somebody reads them, and never mapped: a file that is cut off
//! or written to meanwhile is an error that says so, and no signal.

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

/// A file as it was when it was opened.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    path: PathBuf,
    identity: Identity,
    reads: Reads,
}

/// What a file is told by: another content under the same name is another file.
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

/// The system calls that read the files of one input, whoever they are made for, and their bytes.
#[derive(Debug, Clone, Default)]
pub struct Reads(Arc<[AtomicU64; 2]>);

impl Reads {
    /// Counts a call.
    pub(crate) fn record(&self, bytes: usize) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many files are open whose reading is counted here.
    pub(crate) fn files(&self) -> usize {
        // One is that of the input.
        Arc::strong_count(&self.0) - 1
    }

    /// So far.
    pub fn count(&self) -> Count {
        Count { ops: self.0[0].load(Ordering::Relaxed), bytes: self.0[1].load(Ordering::Relaxed) }
    }
}

/// Why a part of a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` {reason}", path = path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: UnreadableReason,
}

/// What happened to a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableReason {
    /// It has another size than it had.
    #[error("was changed while it was read: expected {}, found {found}", counted(*expected, "byte"))]
    Size {
        /// Bytes at the beginning.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// It was written to, and has the size that it had.
    #[error("was modified while it was read: its size is still {}", counted(*size, "byte"))]
    Written {
        /// Its bytes.
        size: u64,
    },
    /// It ends before it should, and the system says that it does not.
    #[error("ends at byte {found}: expected {}", counted(*expected, "byte"))]
    Short {
        /// Bytes at the beginning.
        expected: u64,
        /// Where nothing more came.
        found: u64,
    },
    /// What the system says.
    #[error("cannot be read: {0}")]
    System(io::Error),
}

impl Unreadable {
    /// What it says, where an error is one of these.
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
    /// A regular file that is open for reading. What is read of it is counted in `reads`.
    pub fn new(file: File, metadata: &Metadata, path: &Path, reads: Reads) -> SourceFile {
        SourceFile { file, path: path.to_path_buf(), identity: Identity::from_metadata(metadata), reads }
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// Whether it is as it was opened.
    ///
    /// # Errors
    ///
    /// Where it is not.
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

    /// Reads once from `offset` to the end of `memory`, as much as it has room for. Returns how many bytes came.
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

    /// Reads into all of `bytes` from `offset`. Whether the file is still as it was opened is for [`SourceFile::check`]
    /// to tell, after this: whoever writes to it changes its times before its bytes.
    ///
    /// # Errors
    ///
    /// Where they are not there. What is in `bytes` then is of no use.
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

    /// Nothing came from `offset`, where something should be.
    pub fn short(&self, offset: u64) -> Unreadable {
        let short = UnreadableReason::Short { expected: self.identity.size, found: offset };
        self.check().err().unwrap_or_else(|| self.unreadable(short))
    }

    /// What the system says.
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
