//! Files that somebody else reads while they are written: pipes, FIFOs, terminals, sockets. A write waits for the reader, but
//! gives up when its flow is cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::base::cut::{Cut, CutOff, LOOK};

/// Bytes per write if a write cannot be kept from blocking: whatever is ready takes at least as many.
const SHARED_BYTES: usize = 4096;

/// Waits until something can be written, or gives up.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteWaiter {
    how: How,
    cut: Cut,
}

/// How a write is kept from blocking forever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum How {
    /// The file never blocks.
    #[default]
    AtOnce,
    /// A write that would block fails instead.
    NonBlocking,
    /// The open file is shared with others, and so are its flags. Readiness is checked before each write, which is short.
    Shared,
}

/// A file whose writes wait for a reader and give up when a cut is due.
#[derive(Debug)]
pub struct InterruptibleFile {
    file: File,
    patience: WriteWaiter,
}

/// The error for a FIFO that cannot be opened for writing, because no process has it open for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReader;

impl fmt::Display for NoReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no process reads this FIFO")
    }
}

impl std::error::Error for NoReader {}

impl NoReader {
    /// Whether an error has this cause.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<NoReader>())
    }
}

impl WriteWaiter {
    /// Chooses how to write to this file.
    pub(super) fn new(fd: BorrowedFd<'_>) -> WriteWaiter {
        let how = match can_block(fd) {
            false => How::AtOnce,
            true if rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)) => How::NonBlocking,
            true => How::Shared,
        };
        WriteWaiter { how, cut: Cut::default() }
    }

    /// Gives up waiting when this cut is due.
    pub(super) fn give_up_at(&mut self, cut: &Cut) {
        self.cut = cut.clone();
    }

    /// Waits until the file is ready for writing.
    ///
    /// # Errors
    ///
    /// [`CutOff`] if the cut is due first.
    pub(super) fn wait(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
        while !self.cut.is_due() {
            match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&look)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(CutOff.into())
    }

    /// The most bytes for the next write or kernel copy. Waits first if the write itself could block.
    pub(super) fn ready(&self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        if self.how != How::Shared {
            return Ok(usize::MAX);
        }
        self.wait(fd)?;
        Ok(SHARED_BYTES)
    }

    /// Writes some of the slices, one of which must not be empty. Waits until something is written.
    pub(super) fn write<W: Write + AsFd>(&self, to: &mut W, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let most = self.ready(to.as_fd())?;
            let written = match slices.iter().find(|slice| !slice.is_empty()) {
                Some(first) if most != usize::MAX => to.write(&first[..first.len().min(most)]),
                _ => to.write_vectored(slices),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(to.as_fd())?,
                written => return written,
            }
        }
    }
}

impl InterruptibleFile {
    /// A file that is open for writing.
    pub fn new(file: File) -> InterruptibleFile {
        InterruptibleFile { patience: WriteWaiter::new(file.as_fd()), file }
    }

    /// Gives up waiting when this cut is due.
    pub fn give_up_at(&mut self, cut: &Cut) {
        self.patience.give_up_at(cut);
    }
}

/// Opens an existing file for writing, without truncating it; `append` as in [`File::options`]. Opening never waits.
/// [`InterruptibleFile`] is for writing to the result without waiting forever.
///
/// # Errors
///
/// The error of the system; [`NoReader`], of kind [`io::ErrorKind::WouldBlock`], for a FIFO without a reader.
pub fn open_to_write(path: &Path, append: bool) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let flags = if append { flags | OFlags::APPEND } else { flags };
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::NXIO) if std::fs::metadata(path)?.file_type().is_fifo() => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, NoReader))
        }
        Err(error) => Err(error.into()),
    }
}

/// Shares a stream of the process that others also write to. A pipe or a terminal is opened a second time if the system allows
/// it, so that it can be made non-blocking without affecting the others.
///
/// # Errors
///
/// If it is closed.
pub fn share_to_write(fd: BorrowedFd<'_>) -> io::Result<File> {
    let file = File::from(fd.try_clone_to_owned()?);
    let is_pipe_or_terminal = file.metadata()?.file_type().is_fifo() || rustix::termios::isatty(&file);
    let again = is_pipe_or_terminal.then(|| reopen(&file)).flatten();
    Ok(again.unwrap_or(file))
}

/// Whether a write to this file can block.
fn can_block(fd: BorrowedFd<'_>) -> bool {
    let kind = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket)) || rustix::termios::isatty(fd)
}

#[cfg(target_os = "linux")]
fn reopen(file: &File) -> Option<File> {
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn reopen(_: &File) -> Option<File> {
    None
}

impl Write for InterruptibleFile {
    /// Waits until something is written, or gives up.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patience.write(&mut self.file, &[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl AsFd for InterruptibleFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn cut_in(time: Duration) -> Cut {
        Cut::default().at(Instant::now() + time)
    }

    #[test]
    fn gives_up_a_pipe_without_reader() {
        for shared in [true, false] {
            let (_reader, writer) = io::pipe().unwrap();
            let mut patient = match shared {
                true => InterruptibleFile::new(File::from(std::os::fd::OwnedFd::from(writer))),
                false => InterruptibleFile::new(share_to_write(writer.as_fd()).unwrap()),
            };
            assert_eq!(patient.patience.how, if shared { How::Shared } else { How::NonBlocking });
            patient.give_up_at(&cut_in(Duration::from_millis(120)));
            let began = Instant::now();
            let error = patient.write_all(&vec![b'x'; 1 << 20]).unwrap_err();
            assert!(CutOff::is(&error) && began.elapsed() < Duration::from_secs(2), "{error}");
        }
    }

    #[test]
    fn a_slow_reader_gets_everything() {
        let bytes: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
        for shared in [true, false] {
            let (mut reader, writer) = io::pipe().unwrap();
            let reads = thread::spawn(move || {
                let (mut all, mut some) = (Vec::new(), [0; 50_000]);
                while let Ok(read @ 1..) = reader.read(&mut some) {
                    all.extend_from_slice(&some[..read]);
                    thread::sleep(Duration::from_millis(1));
                }
                all
            });
            // The reader is at its end only once the last writer is gone.
            let writer = File::from(std::os::fd::OwnedFd::from(writer));
            let again = (!shared).then(|| share_to_write(writer.as_fd()).unwrap());
            let file = again.unwrap_or(writer);
            let mut patient = InterruptibleFile::new(file);
            patient.write_all(&bytes).unwrap();
            drop(patient);
            assert!(reads.join().unwrap() == bytes);
        }
    }

    #[test]
    fn reports_a_fifo_without_reader_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(NoReader::is(&open_to_write(&path, false).unwrap_err()));
        let _reader = crate::base::regular_file::open_any(&path).unwrap();
        assert_eq!(InterruptibleFile::new(open_to_write(&path, true).unwrap()).patience.how, How::NonBlocking);
        assert_eq!(
            InterruptibleFile::new(open_to_write(Path::new("/dev/null"), false).unwrap()).patience.how,
            How::AtOnce
        );
    }
}
