//! Files that are written whole or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use torvyn_runtime::endpoint::{Patient, open_to_write};

/// A file that is to be. Until it is finished, what was there stays; if it never is, nothing was done.
#[derive(Debug)]
pub(crate) enum Whole {
    /// The file beside its place, and the place.
    Beside(NamedTempFile, PathBuf),
    /// A device or a pipe, which cannot be replaced.
    Direct(Patient),
}

impl Whole {
    /// Prepares to write to `path`, whose folder has to be there.
    ///
    /// # Errors
    ///
    /// Where that is a directory, or nothing can be written there.
    pub(crate) fn create(path: &Path) -> io::Result<Whole> {
        // A link is followed: what it points to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        // The user's mask takes away from this what it does from any new file.
        let mut permissions = Permissions::from_mode(0o666);
        match fs::metadata(&path) {
            Ok(existing) if existing.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) => {
                // A file that may not be written is not replaced either.
                let file = open_to_write(&path, false)?;
                if !existing.is_file() {
                    return Ok(Whole::Direct(Patient::new(file)));
                }
                permissions = existing.permissions();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The error of a temporary file would name a file that nobody knows.
        fs::metadata(folder)?;
        let file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
        Ok(Whole::Beside(file, path))
    }

    /// Puts these bytes there, in place of what was there.
    ///
    /// # Errors
    ///
    /// What the system says; what was there is still there then.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Whole::Beside(mut file, path) => {
                file.write_all(bytes)?;
                file.persist(path).map_err(|error| error.error).map(drop)
            }
            Whole::Direct(mut file) => file.write_all(bytes),
        }
    }
}

/// Puts a file with these bytes at `path`, in place of what was there. Its folder has to be there.
///
/// # Errors
///
/// What the system says; what was there is still there then.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Whole::create(path)?.finish(bytes)
}

#[cfg(test)]
mod tests {
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
