//! Detects standard streams that were closed when the process started.
//!
//! Before `main`, the standard library opens `/dev/null` in place of a closed stream; output to it would be lost silently. So
//! a function that the system calls when it loads the program checks the streams earlier.
//!
//! Cargo does the same: with `cargo torvyn run >&-` this process gets a `/dev/null` that looks like an intended one.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::io::{Errno, FdFlags};
use torvyn_runtime::endpoint::FileId;

/// A bit for each descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Checks standard input.
///
/// # Errors
///
/// If it was closed at the start.
pub(crate) fn check_stdin() -> io::Result<()> {
    check(0)
}

/// Checks standard output.
///
/// # Errors
///
/// If it was closed at the start.
pub(crate) fn check_stdout() -> io::Result<()> {
    check(1)
}

/// Marks the streams that were closed at the start, so that opening them fails under any name: see
/// `torvyn_runtime::endpoint`. They are closed for child processes too.
pub(crate) fn mark_closed() {
    for (descriptor, stream) in [(0, io::stdin().as_fd()), (1, io::stdout().as_fd()), (2, io::stderr().as_fd())] {
        if check(descriptor).is_err() {
            rustix::io::fcntl_setfd(stream, FdFlags::CLOEXEC).ok();
        }
    }
}

fn check(descriptor: u8) -> io::Result<()> {
    match CLOSED.load(Ordering::Relaxed) & 1 << descriptor {
        0 => Ok(()),
        _ => Err(io::Error::new(io::Error::from(Errno::BADF).kind(), "it is closed")),
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a function that is called before `main`, and the numbers of descriptors")]
mod before_main {
    use std::os::fd::BorrowedFd;

    use super::{CLOSED, Errno, Ordering};

    /// The function pointer that the system calls when it loads the program.
    // SAFETY: the section contains functions without arguments that are called once, on the only thread. This one uses
    // nothing of the standard library that needs initialization.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        for descriptor in 0..3 {
            // SAFETY: the descriptor is only queried; if it is not open, the system returns an error.
            let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
            if rustix::io::fcntl_getfd(borrowed) == Err(Errno::BADF) {
                CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
            }
        }
    }
}

/// The identity of an open file, and whether it is a regular file.
///
/// # Errors
///
/// If the descriptor is closed.
pub(crate) fn opened(file: impl AsFd) -> io::Result<(FileId, bool)> {
    let metadata = File::from(file.as_fd().try_clone_to_owned()?).metadata()?;
    Ok((FileId::from_metadata(&metadata), metadata.is_file()))
}
