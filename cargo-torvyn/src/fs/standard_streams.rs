//! Whether the process was begun with its standard streams closed.
//!
//! The standard library opens `/dev/null` in the place of one that is closed before `main` is called. What is written there
//! is lost, and nobody is told. So they are looked at before, by a function that the system calls as it loads the program.
//!
//! Cargo is such a program too: by `cargo torvyn run >&-` this one is given a `/dev/null` which cannot be told from one that
//! was meant.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::io::{Errno, FdFlags};
use torvyn_runtime::endpoint::FileId;

/// A bit for each descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Whether standard input was closed.
///
/// # Errors
///
/// Where it was.
pub(crate) fn check_stdin() -> io::Result<()> {
    check(0)
}

/// Whether standard output was closed.
///
/// # Errors
///
/// Where it was.
pub(crate) fn check_stdout() -> io::Result<()> {
    check(1)
}

/// Has those that were closed treated as what this process was not given, by whatever name they are opened: see
/// `torvyn_runtime::endpoint`. Programs that it starts find them closed too.
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

    /// What the system calls as it loads the program.
    // SAFETY: the section is that of functions without arguments which are called once, on the only thread. This one calls
    // nothing of the standard library that would have to be set up.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        for descriptor in 0..3 {
            // SAFETY: the number is only asked about; where it is no descriptor, the system says so.
            let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
            if rustix::io::fcntl_getfd(borrowed) == Err(Errno::BADF) {
                CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
            }
        }
    }
}

/// An open file, and whether it is a regular one.
///
/// # Errors
///
/// Where it is closed.
pub(crate) fn opened(file: impl AsFd) -> io::Result<(FileId, bool)> {
    let metadata = File::from(file.as_fd().try_clone_to_owned()?).metadata()?;
    Ok((FileId::from_metadata(&metadata), metadata.is_file()))
}
