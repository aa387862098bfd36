//! Appends to a regular file that other processes may append to as well: whole, or not at all.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::base::cut::{Cut, CutOff};

/// How long another process may keep the file locked. It should only take as long as writing a few elements.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a lock is tried again at once, before each further try waits.
const TRIES: u32 = 100;

/// A file that is locked against other appending processes of this program until this is dropped.
#[derive(Debug)]
pub struct Appending<'a> {
    file: &'a File,
    /// The length of the file when it was locked.
    start: u64,
    written: u64,
}

impl<'a> Appending<'a> {
    /// Locks a file that is open for appending.
    ///
    /// # Errors
    ///
    /// [`CutOff`] if the cut is due first; an error of the system, or if another process keeps it locked.
    pub fn begin(file: &'a File, cut: &Cut) -> io::Result<Appending<'a>> {
        lock(file, cut)?;
        Appending::locked(file)
    }

    /// A file that was locked just before.
    pub(super) fn locked(file: &'a File) -> io::Result<Appending<'a>> {
        // Unlocks the file when it is dropped, also if the length cannot be read.
        let mut appending = Appending { file, start: 0, written: 0 };
        appending.start = file.metadata()?.len();
        Ok(appending)
    }

    /// The length of the file.
    pub fn len(&self) -> u64 {
        self.start + self.written
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the last line if it has no end, because its writer was killed. If the file cannot be read, nothing is known of it.
    ///
    /// # Errors
    ///
    /// As [`Appending::write`].
    pub fn end_torn_line(&mut self) -> io::Result<()> {
        let mut last = [b'\n'];
        if self.start == 0 || self.file.read_exact_at(&mut last, self.start - 1).is_err() || last == *b"\n" {
            return Ok(());
        }
        self.write(b"\n")
    }

    /// Appends these bytes, with one write if the system takes them at once.
    ///
    /// # Errors
    ///
    /// An error of the system. Nothing that was written since the file was locked is in it then, unless another program has
    /// appended something since.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match (&mut &*self.file).write(bytes) {
                Ok(0) => return Err(self.take_back(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.written += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.take_back(error)),
            }
        }
        Ok(())
    }

    /// Bytes written since the file was locked.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Removes what was written since the file was locked, unless another program has appended something since. Returns why it
    /// could not be completed.
    pub(super) fn take_back(&mut self, error: io::Error) -> io::Error {
        let is_last = || self.file.metadata().is_ok_and(|file| file.len() == self.len());
        if self.written > 0 && is_last() && self.file.set_len(self.start).is_ok() {
            self.written = 0;
        }
        error
    }
}

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

/// Locks a file against other processes of this program.
///
/// # Errors
///
/// [`CutOff`] if the cut is due first, or if another process keeps it locked.
pub(super) fn lock(file: &File, cut: &Cut) -> io::Result<()> {
    let mut began = None;
    for tries in 0.. {
        match file.try_lock() {
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => break,
            Err(TryLockError::WouldBlock) if cut.is_due() => return Err(CutOff.into()),
            Err(TryLockError::WouldBlock) if tries < TRIES => thread::yield_now(),
            Err(TryLockError::WouldBlock) if began.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process has kept it locked for {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::endpoint::open_to_append;

    #[test]
    fn starts_a_new_line_after_an_incomplete_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        for (before, after) in [("", "new\n"), ("old\n", "old\nnew\n"), ("to", "to\nnew\n")] {
            fs::write(&path, before).unwrap();
            let file = open_to_append(&path).unwrap();
            let mut appending = Appending::begin(&file, &Cut::default()).unwrap();
            appending.end_torn_line().unwrap();
            appending.write(b"new\n").unwrap();
            assert_eq!((appending.len(), appending.is_empty()), (after.len() as u64, false));
            drop(appending);
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn waits_for_the_lock_of_another_until_it_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let [one, other] = [(); 2].map(|()| open_to_append(&path).unwrap());
        let held = Appending::begin(&one, &Cut::default()).unwrap();
        let cut = Cut::default().at(Instant::now() + Duration::from_millis(50));
        assert!(CutOff::is(&Appending::begin(&other, &cut).unwrap_err()));
        drop(held);
        Appending::begin(&other, &cut).unwrap();
    }
}
