//! Files that are replaced atomically: the new content appears as a whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use torvyn_runtime::endpoint::{AtomicFile as RuntimeFile, InterruptibleFile, open_to_write};

/// A file that will be replaced by [`AtomicFile::finish`]. If it is dropped before, nothing changes.
#[derive(Debug)]
pub(crate) struct AtomicFile(RuntimeFile);

impl AtomicFile {
    /// Prepares to replace the file at `path`, whose folder must exist. Links are followed; devices and pipes are written
    /// directly.
    ///
    /// # Errors
    ///
    /// If `path` is a directory or cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<AtomicFile> {
        RuntimeFile::create(path).map(AtomicFile)
    }

    /// Replaces the content of the file with `bytes`.
    ///
    /// # Errors
    ///
    /// If the system reports one.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<()> {
        // A pipe may accept the bytes only slowly.
        InterruptibleFile::new(self.0.file().try_clone()?).write_all(bytes)?;
        self.0.finish()
    }
}

/// Replaces the file at `path`, whose folder must exist.
///
/// # Errors
///
/// If the system reports one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    AtomicFile::create(path)?.finish(bytes)
}

/// Like [`write`], but replaces a link at `path` instead of following it.
///
/// # Errors
///
/// If the system reports one.
pub(crate) fn write_at(path: &Path, bytes: &[u8]) -> io::Result<()> {
    AtomicFile(RuntimeFile::create_at(path)?).finish(bytes)
}

/// Checks in advance, as far as possible, that [`write`] can replace the file.
///
/// # Errors
///
/// Why it cannot.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    RuntimeFile::check(path)
}

/// As [`check`], also for a FIFO without a reader. A FIFO stays open until the program ends:
/// otherwise its reader would see the end of the file before anything is written.
///
/// # Errors
///
/// Why it cannot.
pub(crate) fn check_and_hold(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo()) {
        std::mem::forget(open_to_write(path, false)?);
        return Ok(());
    }
    check(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn unfinished_file_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        for before in [None, Some("before")] {
            before.inspect(|text| fs::write(&path, text).unwrap());
            drop(AtomicFile::create(&path).unwrap());
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(before.is_some()));
        }
        write(&path, b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
    }

    #[test]
    fn create_rejects_paths_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| AtomicFile::create(path).unwrap_err().kind();
        assert_eq!(kind(folder.path()), io::ErrorKind::IsADirectory);
        assert_eq!(kind(&folder.path().join("no/it")), io::ErrorKind::NotFound);
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(kind(&folder.path().join("file/it")), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn follows_links_and_keeps_devices() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, null] = ["file", "link", "null"].map(|name| folder.path().join(name));
        fs::write(&file, "before").unwrap();
        symlink(&file, &link).unwrap();
        symlink("/dev/null", &null).unwrap();
        write(&link, b"after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");
        write(&null, b"gone").unwrap();
        assert!(null.is_symlink() && !fs::metadata(&null).unwrap().is_file());
    }
}
