//! A TOML file that a person wrote: its text, kept for the places of diagnostics, and what the text is as TOML. What its
//! keys mean is told by `manifest` and `settings`, which read them through `table`.

use std::path::Path;
use std::{fs, io};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use torvyn_runtime::base::regular_file;

use crate::config::toml_reader::Report;
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Sources};

/// Reads a file, whose text is kept in `sources` for the places of this and later diagnostics.
///
/// # Errors
///
/// Where it cannot be read, or is not UTF-8.
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

/// The table that the text of a document is; none where it is not TOML, for what is left of broken TOML says little about
/// what was meant.
pub(crate) fn parse<'a>(text: &'a str, report: &mut Report) -> Option<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        report.found.push(Diagnostic::error(codes::SYNTAX, error.message()).label(report.file, span, ""));
    }
    let mut document = errors.is_empty().then(|| document.into_inner())?;
    if text.contains("\r\n") {
        document.iter_mut().for_each(|(_, value)| with_line_feeds(value, text));
    }
    Some(document)
}

/// Makes of texts over several lines what they would be in a file whose lines end as they do on Unix: what a file says must
/// not depend on how git has checked it out. A `\r` that is written as such stays.
fn with_line_feeds(value: &mut Spanned<DeValue<'_>>, text: &str) {
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
        DeValue::Array(items) => items.iter_mut().for_each(|item| with_line_feeds(item, text)),
        DeValue::Table(entries) => entries.iter_mut().for_each(|(_, value)| with_line_feeds(value, text)),
        _ => {}
    }
}

/// What is wrong with a path that has to be a regular file, for it is read before anything runs; without a place.
pub(crate) fn check_regular(path: &Path) -> Option<Diagnostic> {
    check_path(path, false).or_else(|| {
        let kind = regular_file::other_than_regular(&fs::metadata(path).ok()?)?;
        Some(unreadable(path, &regular_file::not_regular(kind)))
    })
}

/// What is wrong with a path that has to be a file, or else a folder; without a place.
pub(crate) fn check_path(path: &Path, wants_folder: bool) -> Option<Diagnostic> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() == wants_folder => None,
        Ok(_) if wants_folder => Some(not_a_directory(path)),
        Ok(_) => Some(is_a_directory(path)),
        Err(error) => Some(unreadable(path, &error)),
    }
}

/// A directory where a file is needed; without a place.
pub(crate) fn is_a_directory(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::IS_A_DIRECTORY, format!("`{}` is a directory", path.display()))
}

/// A file where a directory is needed; without a place.
pub(crate) fn not_a_directory(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::NOT_A_DIRECTORY, format!("`{}` is not a directory", path.display()))
}

/// A path that the system does not let us read; without a place.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(codes::NOT_FOUND, format!("`{name}` is not there")),
        io::ErrorKind::IsADirectory => is_a_directory(path),
        _ => Diagnostic::error(codes::UNREADABLE, format!("`{name}` cannot be read: {error}")),
    }
}
