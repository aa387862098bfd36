//! Opens files that must be regular: manifests, components and all others that are read whole before they are used.
//! Opening a FIFO would block until it has a writer, and reading a device may never end.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file for reading. Never blocks.
///
/// # Errors
///
/// If the file cannot be opened or is not regular: the message says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_any(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match other_than_regular(&metadata) {
        None => Ok(file),
        Some(kind) => Err(not_regular(kind)),
    }
}

/// The error for a file of another kind, which [`other_than_regular`] names.
pub fn not_regular(kind: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("expected a regular file, found {kind}"))
}

/// All bytes of a regular file.
///
/// # Errors
///
/// As [`open`], and if the file cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All text of a regular file.
///
/// # Errors
///
/// As [`read`]; [`io::ErrorKind::InvalidData`] if the file is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

/// Opens a file of any kind for reading, without blocking: a FIFO without a writer opens, and reads as empty.
pub(crate) fn open_any(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// What the file is (`a FIFO`, `a socket`, `a device`), unless it is a regular file or a directory.
pub fn other_than_regular(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match kind {
        _ if kind.is_file() || kind.is_dir() => None,
        _ if kind.is_fifo() => Some("a FIFO"),
        _ if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_files_by_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read(&fifo).unwrap_err().to_string(), "expected a regular file, found a FIFO");
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().to_string(), "expected a regular file, found a device");
        assert_eq!(open(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(open(&folder.path().join("no")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = folder.path().join("file");
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(
            (read(&file).unwrap(), read_to_string(&file).unwrap_err().kind()),
            (vec![255], io::ErrorKind::InvalidData)
        );
    }
}
