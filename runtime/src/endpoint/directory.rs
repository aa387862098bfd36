//! The input that turns each file of a directory into an element.

use std::path::{Path, PathBuf};
use std::{fs, io, vec};

use super::file::open_in_directory;
use super::{Input, Pull, Pulled};
use crate::ledger::Kernel;
use crate::payload::{Reads, Unreadable};

/// The regular files in a directory, by name, each one element. Subdirectories are skipped.
#[derive(Debug)]
pub struct Directory {
    files: vec::IntoIter<PathBuf>,
    reads: Reads,
}

impl Directory {
    /// Lists the files that exist now.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed, or a link in it is broken: a file that is meant to be an element is missing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let metadata = fs::metadata(&path).map_err(|error| match path.is_symlink() {
                true => add_path(&path, "broken symbolic link", &error),
                false => add_path(&path, "cannot read its metadata", &error),
            })?;
            if metadata.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(Directory { files: files.into_iter(), reads: Reads::default() })
    }
}

fn add_path(path: &Path, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {what}: {error}", path.display()))
}

impl Input for Directory {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let Some(path) = self.files.next() else { return Ok(Pulled::End) };
        let add_path = |error: io::Error| match Unreadable::from_error(&error) {
            Some(_) => error,
            None => io::Error::new(error.kind(), format!("`{}`: {error}", path.display())),
        };
        let mut file = open_in_directory(&path, &self.reads).map_err(add_path)?;
        let pulled = file.pull(pull).map_err(add_path)?;
        debug_assert_eq!(pulled, Pulled::End, "a file is one element");
        Ok(Pulled::More)
    }

    fn kernel(&self) -> Kernel {
        Kernel { reads: self.reads.count(), ..Kernel::default() }
    }
}
