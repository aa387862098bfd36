//! Files that are written whole or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Puts a file with these bytes at `path`, in place of what was there. Its folder has to be there.
///
/// # Errors
///
/// What the system says; what was there is still there then.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The error of a temporary file would name a file that nobody knows.
    fs::metadata(folder)?;
    // The user's mask takes away from this what it does from any new file.
    let permissions =
        fs::metadata(path).map_or_else(|_| Permissions::from_mode(0o666), |existing| existing.permissions());
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}
