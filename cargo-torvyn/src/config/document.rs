//! Reads a TOML file that a person wrote, keeps its text for diagnostics, and parses it. `manifest` and `settings` interpret
//! the keys through `toml_reader`.

use std::path::Path;
use std::{fs, io};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use torvyn_runtime::base::regular_file;

use crate::config::toml_reader::Report;
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Sources};

/// Reads a file and keeps its text in `sources` for this and later diagnostics.
///
/// # Errors
///
/// If the file cannot be read or is not UTF-8.
pub(crate) fn read(path: &Path, sources: &mut Sources) -> Result<String, Diagnostic> {
    let bytes = regular_file::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let span = start..start + char::REPLACEMENT_CHARACTER.len_utf8();
        sources.add(path, text);
        Diagnostic::error(codes::NOT_UTF8, format!("`{}` is not UTF-8", path.display())).label(path, span, "not UTF-8")
    })?;
    sources.add(path, text.clone());
    Ok(text)
}

/// Parses the text of a document. Returns none on a syntax error, because the rest of a broken document would only cause
/// misleading errors.
pub(crate) fn parse<'a>(text: &'a str, report: &mut Report) -> Option<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        report.found.push(Diagnostic::error(codes::SYNTAX, error.message()).label(report.file, span, ""));
    }
    let mut document = errors.is_empty().then(|| document.into_inner())?;
    if text.contains("\r\n") {
        document.iter_mut().for_each(|(_, value)| normalize_line_ends(value, text));
    }
    Some(document)
}

/// Converts the line ends of multi-line strings to `\n`, because the content of a file must not depend on how git has checked
/// it out. An escaped `\r` stays.
fn normalize_line_ends(value: &mut Spanned<DeValue<'_>>, text: &str) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(string) => {
            let written = text.get(span).unwrap_or_default();
            if written.contains("\r\n")
                && let Ok(read) = DeValue::parse(&written.replace("\r\n", "\n"))
                && let DeValue::String(read) = read.get_ref()
            {
                *string = read.to_string().into();
            }
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| normalize_line_ends(item, text)),
        DeValue::Table(entries) => entries.iter_mut().for_each(|(_, value)| normalize_line_ends(value, text)),
        _ => {}
    }
}

/// Checks that a path is a regular file, as is required of files that are read before anything runs. The diagnostic has no
/// place.
pub(crate) fn check_regular(path: &Path) -> Option<Diagnostic> {
    check_path(path, false).or_else(|| {
        let kind = regular_file::other_than_regular(&fs::metadata(path).ok()?)?;
        Some(unreadable(path, &regular_file::not_regular(kind)))
    })
}

/// Checks that a path is a file or, if `wants_folder`, a folder. The diagnostic has no place.
pub(crate) fn check_path(path: &Path, wants_folder: bool) -> Option<Diagnostic> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() == wants_folder => None,
        Ok(_) if wants_folder => Some(not_a_directory(path)),
        Ok(_) => Some(is_a_directory(path)),
        Err(error) if wants_folder && error.kind() == io::ErrorKind::NotFound => {
            let message = format!("directory `{}` does not exist", path.display());
            Some(Diagnostic::error(codes::NOT_FOUND, message))
        }
        Err(error) => Some(unreadable(path, &error)),
    }
}

/// Checks that a file can be created at a path. The diagnostic has no place.
pub(crate) fn check_written(path: &Path) -> Option<Diagnostic> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match path.is_dir() {
        true => Some(is_a_directory(path)),
        false => check_path(folder.unwrap_or(Path::new(".")), true),
    }
}

/// A directory where a file is needed. The diagnostic has no place.
pub(crate) fn is_a_directory(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::IS_A_DIRECTORY, format!("`{}` is a directory", path.display()))
}

/// A file where a directory is needed. The diagnostic has no place.
pub(crate) fn not_a_directory(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::NOT_A_DIRECTORY, format!("`{}` is not a directory", path.display()))
}

/// A path that cannot be read. The diagnostic has no place.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(codes::NOT_FOUND, format!("`{name}` does not exist")),
        io::ErrorKind::IsADirectory => is_a_directory(path),
        _ => Diagnostic::error(codes::UNREADABLE, format!("`{name}` cannot be read: {error}")),
    }
}
