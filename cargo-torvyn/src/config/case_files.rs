//! The files beside a manifest that may contain test cases.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::document;
use crate::output::diagnostic::Diagnostics;

/// The folder of case files.
const FOLDER: &str = "tests";

/// The possible case files beside a manifest, judged by their names; empty if the folder cannot be read.
pub(crate) fn beside(manifest: &Path) -> Vec<PathBuf> {
    list(manifest).unwrap_or_default()
}

/// Lists the TOML files in the case folder beside a manifest, sorted by name; empty if there is no folder.
///
/// # Errors
///
/// If the folder cannot be read.
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
        // Editors put hidden lock and backup files beside the edited file.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
