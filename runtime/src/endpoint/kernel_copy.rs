//! Copies from a file to an output within the operating system, if it can.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::payload::FileRange;

/// How to copy. If a method does not work for an output, it never will: the next method is used from then on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// From file to file.
    #[default]
    CopyFileRange,
    /// From a file to a pipe or a socket.
    SendFile,
    /// Not at all: for an output in append mode, or a terminal.
    Neither,
}

/// The result of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// This many bytes were copied, at least one.
    Bytes(u64),
    /// The call was interrupted and must be repeated.
    Interrupted,
    /// The output is full: repeat the call when it is ready again.
    Full,
    /// No method works: the bytes must be read and written.
    NotHere,
}

impl Way {
    /// Copies some of a range that is not empty, at most `most` bytes.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(super) fn copy(&mut self, range: &FileRange<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<Copied> {
        loop {
            let next = match self {
                Way::CopyFileRange => Way::SendFile,
                Way::SendFile => Way::Neither,
                Way::Neither => return Ok(Copied::NotHere),
            };
            match self.call(range, to, most) {
                // Some file systems return 0 although the file is not at its end. If it is at its end, a read finds out why.
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

/// Whether an error says that the method is not available here, rather than that the copy failed.
fn is_unable(error: Errno) -> bool {
    // `BADF` is returned for a file in append mode.
    [Errno::INVAL, Errno::XDEV, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF, Errno::PERM, Errno::TXTBSY]
        .contains(&error)
}
