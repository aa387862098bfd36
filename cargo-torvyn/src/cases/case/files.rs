//! Loads cases from `Torvyn.toml` and from the files of the folder `tests` beside it.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::cases::case::Case;
use crate::config::toml_reader::{Report, Table};
use crate::config::{case_files, document};
use crate::manifest::{self, Broken, Manifest};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostics, Sources};

/// Loads a manifest and all cases of the project: those of the manifest first, then file by file. Returns the valid cases,
/// and the diagnostics of broken cases and files.
///
/// # Errors
///
/// As [`Manifest::load_with`], or if the folder cannot be read.
pub(crate) fn load(path: &Path, sources: &mut Sources) -> Result<(Manifest, Vec<Case>, Vec<Broken>), Diagnostics> {
    let (manifest, of_manifest) = Manifest::load_with(path, sources, Case::read_all)?;
    let (mut cases, mut broken) = manifest::partition(of_manifest);
    for path in case_files::list(&manifest.path)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let read = match document::read(&path, sources) {
            Ok(text) if has_cases(&name, &text) => parse(&text, &path),
            Ok(_) => continue,
            // The readable part of the file shows whether it has cases.
            Err(wrong) if wrong.code == codes::NOT_UTF8 => match sources.text(&path) {
                Some(text) if has_cases(&name, text) => vec![Err(Broken { name: None, found: wrong.into() })],
                _ => continue,
            },
            Err(wrong) => vec![Err(Broken { name: None, found: wrong.into() })],
        };
        let (read, wrong) = manifest::partition(read);
        cases.extend(read);
        broken.extend(wrong);
    }
    broken.extend(Case::duplicates(&cases));
    Ok((manifest, cases, broken))
}

/// Whether a TOML file has cases: it has `test`, or a misspelling of it. Other files may belong to other programs, such as
/// a `Cargo.toml`, whose `[[test]]` is something else.
pub(crate) fn has_cases(name: &str, text: &str) -> bool {
    if name == "Cargo.toml" {
        return false;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let begins = |line: &str| ["[[test", "[test"].iter().any(|header| line.trim_start().starts_with(header));
    if !errors.is_empty() && text.lines().any(begins) {
        return true;
    }
    let is_case = |value: &DeValue<'_>| match value {
        DeValue::Table(entries) => CASE_KEYS.iter().any(|key| entries.contains_key(*key)),
        _ => false,
    };
    let is_ours = |(key, value): (&DeString<'_>, &Spanned<DeValue<'_>>)| match value.get_ref() {
        DeValue::Array(_) => key == "test" || MISSPELLINGS.contains(&&*key.to_lowercase()),
        table => key == "test" && is_case(table),
    };
    document.get_ref().iter().any(|(key, value)| is_ours((key.get_ref(), value)))
}

/// Every case has at least one of these keys.
const CASE_KEYS: [&str; 5] = ["name", "input", "expect", "stage", "pipeline"];
/// Misspellings of `test`.
const MISSPELLINGS: [&str; 6] = ["test", "tests", "tets", "case", "cases", "tset"];

/// Parses a file that has only cases. Returns its cases, and the diagnostics of the file as a whole.
pub(crate) fn parse(text: &str, path: &Path) -> Vec<Result<Case, Broken>> {
    let mut report = Report { file: path, found: Diagnostics::default() };
    let cases = document::parse(text, &mut report).map(|document| {
        let table = Table::new("a file of cases", 0..0, &document, &["test"], &mut report);
        table.get("test").map(|field| Case::read_all(&field, &mut report)).unwrap_or_default()
    });
    report.found.sort_by_place();
    let whole = (!report.found.is_empty()).then_some(Err(Broken { name: None, found: report.found }));
    cases.unwrap_or_default().into_iter().chain(whole).collect()
}
