//! Files that have to be regular: manifests, components and whatever else is read whole before it is used. Opening a FIFO
//! would wait for somebody who writes to it, and reading a device may never end.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file for reading. Waits for nobody.
///
/// # Errors
///
/// Where it cannot be opened, or is something else: the message says what.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_any(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match other_than_regular(&metadata) {
        None => Ok(file),
        Some(kind) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, and has to be a regular file")))
        }
    }
}

/// All bytes of a regular file.
///
/// # Errors
///
/// As [`open`], and where it cannot be read.
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
/// As [`read`]; [`io::ErrorKind::InvalidData`] where it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Opens whatever is there for reading, and waits for nobody: a FIFO has nothing to read then until somebody writes to it.
pub(crate) fn open_any(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// What it is, where it is neither a regular file nor a directory.
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
    fn what_is_no_regular_file_is_refused_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read(&fifo).unwrap_err().to_string(), "it is a FIFO, and has to be a regular file");
        assert_eq!(
            read(Path::new("/dev/zero")).unwrap_err().to_string(),
            "it is a device, and has to be a regular file"
        );
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
