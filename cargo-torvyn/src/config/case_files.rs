//! The files beside a manifest that cases may be in.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::document;
use crate::output::diagnostic::Diagnostics;

/// The folder of files of cases.
const FOLDER: &str = "tests";

/// The files beside a manifest that cases may be in, as far as they can be told by their names.
pub(crate) fn beside(manifest: &Path) -> Vec<PathBuf> {
    list(manifest).unwrap_or_default()
}

/// The TOML files in the folder of cases beside a manifest, by name; none where there is no folder.
///
/// # Errors
///
/// A folder that cannot be read.
pub(crate) fn list(manifest: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let folder = &manifest.with_file_name(FOLDER);
    let unreadable = |error: &io::Error| Diagnostics::from(document::unreadable(folder, error));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        // Editors lock and save files in hidden ones beside them.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
