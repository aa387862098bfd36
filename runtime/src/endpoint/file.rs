//! Files as inputs and outputs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Output;
use super::reader::{Framing, Reader, Ready};
use super::writer::{OutputFraming, Writer};
use crate::element::Element;

/// The file at `path` as an input. One that is shorter at its end than it was at the beginning is an error.
///
/// # Errors
///
/// Where it cannot be read, or is a directory.
pub fn open_file(path: &Path, framing: Framing) -> io::Result<Reader<File>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let promised = if metadata.is_file() { metadata.len() } else { 0 };
    Ok(Reader::new(file, framing, promised))
}

impl Ready for File {
    fn ready(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

/// A file as an output. A regular file is written beside its place and put there when the flow has succeeded; until
/// then what was there stays. What is no regular file, a device or a pipe, is written to directly.
#[derive(Debug)]
pub struct FileOutput {
    writer: Writer<File>,
    /// The file beside its place, and the place.
    pending: Option<(NamedTempFile, PathBuf)>,
}

impl FileOutput {
    /// Prepares to write to `path`.
    ///
    /// # Errors
    ///
    /// Where that is a directory, or nothing can be written there.
    pub fn create(path: &Path, framing: OutputFraming) -> io::Result<Self> {
        // A link is followed: what it points to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let existing = match fs::metadata(&path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match existing {
            Some(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Some(metadata) if !metadata.is_file() => {
                let file = File::options().write(true).open(&path)?;
                Ok(FileOutput { writer: Writer::new(file, framing), pending: None })
            }
            existing => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                // Asked first, so that an error is about the folder and not about the name of a file beside the output.
                fs::metadata(folder)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let mut builder = tempfile::Builder::new();
                let prefix = format!(".{name}.");
                builder.prefix(&prefix);
                let permissions = existing.as_ref().map(fs::Metadata::permissions).unwrap_or_else(new_file_mode);
                builder.permissions(permissions);
                // A file that may not be written is not replaced either.
                if existing.is_some() {
                    File::options().write(true).open(&path)?;
                }
                let pending = builder.tempfile_in(folder)?;
                let writer = Writer::new(pending.as_file().try_clone()?, framing);
                Ok(FileOutput { writer, pending: Some((pending, path)) })
            }
        }
    }
}

/// What a new file gets, less what the user's mask takes away.
fn new_file_mode() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

impl Output for FileOutput {
    fn push(&mut self, elements: &[Element]) -> io::Result<()> {
        self.writer.push(elements)
    }

    fn complete(&mut self) -> io::Result<()> {
        self.writer.complete()?;
        if let Some((pending, path)) = self.pending.take() {
            pending.persist(path).map_err(|error| error.error)?;
        }
        Ok(())
    }

    fn written(&self) -> u64 {
        self.writer.written()
    }
}
