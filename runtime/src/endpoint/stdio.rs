//! Standard input and output of the process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::interruptible_file::share_to_write;
use super::reader::{Framing, Reader, Ready};
use super::writer::{OutputFraming, Writer};

/// How long an input without data is waited for before the flow does something else.
const PATIENCE: Duration = Duration::from_millis(20);

/// Standard input, unbuffered: it is read directly into payload memory.
#[derive(Debug)]
pub struct Stdin(File);

/// Standard input as an input.
///
/// # Errors
///
/// If it is closed or a directory.
pub fn open_stdin(framing: Framing) -> io::Result<Reader<Stdin>> {
    let file = File::from(duplicate(io::stdin().as_fd())?);
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Reader::new(Stdin(file), framing, 0))
}

/// Standard output as an output, unbuffered: every push is written at once.
///
/// # Errors
///
/// If it is closed.
pub fn open_stdout(framing: OutputFraming) -> io::Result<Writer<File>> {
    Ok(Writer::new(share_to_write(io::stdout().as_fd())?, framing))
}

fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Ready for Stdin {
    fn ready(&mut self) -> io::Result<bool> {
        can_read(&self.0)
    }
}

/// Whether a read would return at once, now or after a short wait.
pub(super) fn can_read(from: impl AsFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(&from, PollFlags::IN)];
    let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE.subsec_nanos().into() };
    match poll(&mut fds, Some(&patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
