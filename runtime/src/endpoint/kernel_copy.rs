//! Copies from a file to an output that the operating system does by itself, as far as it can.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::payload::FileRange;

/// How it copies. What one output cannot do it never can: the next way is taken from then on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// From file to file.
    #[default]
    CopyFileRange,
    /// From a file to a pipe or a socket.
    SendFile,
    /// Not at all: for an output that is appended to, or a terminal.
    Neither,
}

/// What came of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// So many bytes, at least one.
    Bytes(u64),
    /// It is to be called again.
    Interrupted,
    /// It is to be called again once the output takes something.
    Full,
    /// Nothing, by no way: it has to be read and written.
    NotHere,
}

impl Way {
    /// Copies some of a range that is not empty, and at most so many bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn copy(&mut self, range: &FileRange<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<Copied> {
        loop {
            let next = match self {
                Way::CopyFileRange => Way::SendFile,
                Way::SendFile => Way::Neither,
                Way::Neither => return Ok(Copied::NotHere),
            };
            match self.call(range, to, most) {
                // Some file systems say so of files that are not at their end. If it is, a read tells why.
                Ok(0) => {}
                Ok(copied) => return Ok(Copied::Bytes(copied as u64)),
                Err(Errno::INTR) => return Ok(Copied::Interrupted),
                Err(Errno::AGAIN) => return Ok(Copied::Full),
                Err(error) if is_unable(error) => {}
                Err(error) => return Err(error.into()),
            }
            *self = next;
        }
    }

    #[cfg(target_os = "linux")]
    fn call(self, range: &FileRange<'_>, to: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
        let mut from = range.offset;
        let len = usize::try_from(range.len).map_or(most, |len| len.min(most));
        match self {
            Way::CopyFileRange => rustix::fs::copy_file_range(range.file, Some(&mut from), to, None, len),
            Way::SendFile => rustix::fs::sendfile(to, range.file, Some(&mut from), len),
            Way::Neither => Ok(0),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn call(self, _: &FileRange<'_>, _: BorrowedFd<'_>, _: usize) -> Result<usize, Errno> {
        Ok(0)
    }
}

/// Whether an error says that this way cannot be taken here, rather than that the copy failed.
fn is_unable(error: Errno) -> bool {
    // `BADF` is that of a file that is appended to.
    [Errno::INVAL, Errno::XDEV, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF, Errno::PERM, Errno::TXTBSY]
        .contains(&error)
}
