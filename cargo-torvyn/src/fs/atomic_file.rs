//! Files that are written whole or not at all, from bytes that are known.

use std::io::{self, Write as _};
use std::path::Path;

use torvyn_runtime::endpoint::{AtomicFile, InterruptibleFile};

/// A file that is to be. Until it is finished, what was there stays; if it never is, nothing was done.
#[derive(Debug)]
pub(crate) struct Whole(AtomicFile);

impl Whole {
    /// Prepares to write to `path`, whose folder has to be there. A link is followed; devices and pipes are written to
    /// directly.
    ///
    /// # Errors
    ///
    /// Where that is a directory, or nothing can be written there.
    pub(crate) fn create(path: &Path) -> io::Result<Whole> {
        AtomicFile::create(path).map(Whole)
    }

    /// Puts these bytes there, in place of what was there.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<()> {
        // A pipe takes what somebody reads.
        InterruptibleFile::new(self.0.file().try_clone()?).write_all(bytes)?;
        self.0.finish()
    }
}

/// Puts a file with these bytes at `path`, in place of what was there. Its folder has to be there.
///
/// # Errors
///
/// What the system says.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Whole::create(path)?.finish(bytes)
}

/// As [`write`], but a link at `path` is replaced, and not written through.
///
/// # Errors
///
/// What the system says.
pub(crate) fn write_at(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Whole(AtomicFile::create_at(path)?).finish(bytes)
}

/// Whether [`write`] would be able to write there, as far as it can be told before.
///
/// # Errors
///
/// Why not.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    AtomicFile::check(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_not_finished_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        for before in [None, Some("before")] {
            before.inspect(|text| fs::write(&path, text).unwrap());
            drop(Whole::create(&path).unwrap());
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(before.is_some()));
        }
        write(&path, b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| Whole::create(path).unwrap_err().kind();
        assert_eq!(kind(folder.path()), io::ErrorKind::IsADirectory);
        assert_eq!(kind(&folder.path().join("no/it")), io::ErrorKind::NotFound);
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(kind(&folder.path().join("file/it")), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn links_stay_and_devices_are_not_replaced() {
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
