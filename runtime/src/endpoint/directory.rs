//! The input that takes a file as an element.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use super::reader::{Framing, Reader};
use super::{Input, Pull, Pulled, open_file};

/// The regular files in a directory, by name, each one element. What is in its subdirectories is left out.
#[derive(Debug)]
pub struct Directory {
    files: vec::IntoIter<PathBuf>,
}

impl Directory {
    /// The files that are there now.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be listed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            if fs::metadata(&path)?.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(Directory { files: files.into_iter() })
    }
}

impl Input for Directory {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        for path in self.files.by_ref() {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let mut file: Reader<File> = open_file(&path, Framing::Whole).map_err(named)?;
            let more = pull.has_room();
            debug_assert!(more, "an input is asked for one element at least");
            while file.pull(pull).map_err(named)? != Pulled::End {}
            if !pull.has_room() {
                return Ok(Pulled::More);
            }
        }
        Ok(Pulled::End)
    }
}
