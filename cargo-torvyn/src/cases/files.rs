//! The files that cases are in: `Torvyn.toml`, and those of the folder `tests` beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::case::Case;
use crate::diagnostic::{Diagnostics, Sources};
use crate::document;
use crate::manifest::Manifest;
use crate::table::{Report, Table};

/// The folder of files of cases.
const FOLDER: &str = "tests";

/// All cases of a project, those of the manifest first and then file by file.
///
/// # Errors
///
/// Everything that is wrong in the files, and two cases of one name.
pub(crate) fn load(manifest: &Manifest, sources: &mut Sources) -> Result<Vec<Case>, Diagnostics> {
    let mut cases = manifest.cases.clone();
    let mut found = Diagnostics::default();
    for path in files(&manifest.path.with_file_name(FOLDER))? {
        match document::read(&path, sources) {
            Ok(text) => cases.extend(parse(&text, &path, &mut found)),
            Err(wrong) => _ = found.push(wrong),
        }
    }
    found.append(Case::duplicates(&cases));
    // Where cases are missing because something is wrong with them, their names mean nothing yet.
    if found.is_empty() {
        found.extend(Case::unknown_others(&cases));
    }
    if found.is_empty() { Ok(cases) } else { Err(found) }
}

/// The TOML files of the folder by name; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
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
        if path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The cases of a file that has nothing else.
pub(super) fn parse(text: &str, path: &Path, found: &mut Diagnostics) -> Vec<Case> {
    let mut report = Report { file: path, found: Diagnostics::default() };
    let cases = document::parse(text, &mut report).map(|document| {
        let table = Table::new("a file of cases", 0..0, &document, &["test"], &mut report);
        table.get("test").map(|field| Case::read_all(&field, &mut report)).unwrap_or_default()
    });
    report.found.sort_by_place();
    found.append(report.found);
    cases.unwrap_or_default()
}
