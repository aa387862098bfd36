//! Reports in JUnit XML, which most CI services read.
//!
//! Written here, because `quick-junit` has one failure per case, writes line ends in attributes as they are, which XML turns
//! into spaces, and writes U+FFFE and U+FFFF, which no XML may have.

use std::ops::AddAssign;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use crate::exit::Exit;
use crate::fs::atomic_file;
use crate::output::codes;
use crate::output::failure::{self, FailureRecord};
use crate::output::result_file::ResultFile;
use crate::output::timestamp::rfc3339;

/// The name in the report.
const NAME: &str = "cargo-torvyn";

/// The totals of a suite, or of all suites.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) tests: usize,
    pub(crate) failures: usize,
    pub(crate) errors: usize,
    pub(crate) skipped: usize,
    pub(crate) time: Duration,
}

/// Writes a report of cases that could not be run, with an error for each of `failures`. A failed command without failures
/// gets a general one.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn write_failures(
    path: &Path,
    exit: Exit,
    failures: &[FailureRecord],
    began: SystemTime,
) -> anyhow::Result<()> {
    // The report may be one of the conflicting files.
    if failures.iter().any(|failure| failure.code == codes::SAME_FILE) {
        return Ok(());
    }
    ResultFile::Junit.check_replaceable(path)?;
    let unknown = [FailureRecord::new(failure::COMMAND_FAILED, exit.outcome())];
    let failures = if failures.is_empty() && exit != Exit::Ok { &unknown } else { failures };
    let count = failures.len();
    let totals = Totals { tests: count, errors: count, time: began.elapsed().unwrap_or_default(), ..Totals::default() };
    let cases: String = failures.iter().map(error_case).collect();
    save(path, totals, began, &suite(NAME, totals, began, &cases))
}

fn error_case(failure: &FailureRecord) -> String {
    let (message, code, text) = (escape_attribute(&failure.message), failure.code, escape_text(&describe(failure)));
    format!(
        "    <testcase name=\"the cases can run\" classname=\"{NAME}\" time=\"0.000000\">\n      \
         <error message=\"{message}\" type=\"{code}\">{text}</error>\n    </testcase>\n"
    )
}

/// The message, place, causes, notes and help of a failure, one per line.
fn describe(failure: &FailureRecord) -> String {
    let place = failure.place.iter().map(|place| match (place.line, place.column) {
        (Some(line), Some(column)) => format!("at {}:{line}:{column}", place.file),
        _ => format!("at {}", place.file),
    });
    let causes = failure.causes.iter().map(|cause| format!("caused by: {cause}"));
    let notes = failure.notes.iter().map(|note| format!("note: {note}"));
    let help = failure.help.iter().map(|help| format!("help: {help}"));
    let lines = [failure.message.clone()].into_iter().chain(place).chain(causes).chain(notes).chain(help);
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes a report.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn save(path: &Path, totals: Totals, began: SystemTime, suites: &str) -> anyhow::Result<()> {
    let totals = attributes(totals, began);
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{NAME}\" {totals}>\n{suites}</testsuites>\n"
    );
    atomic_file::write(path, text.as_bytes()).with_context(|| failure::not_written(path, ""))
}

/// The XML of a suite; `cases` is the XML of its cases.
pub(crate) fn suite(name: &str, totals: Totals, began: SystemTime, cases: &str) -> String {
    let (name, totals) = (escape_attribute(name), attributes(totals, began));
    format!("  <testsuite name=\"{name}\" {totals}>\n{cases}  </testsuite>\n")
}

fn attributes(Totals { tests, failures, errors, skipped, time }: Totals, began: SystemTime) -> String {
    let (time, began) = (time.as_secs_f64(), rfc3339(began));
    format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time:.6}\" \
         timestamp=\"{began}\""
    )
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Totals) {
        self.tests += more.tests;
        self.failures += more.failures;
        self.errors += more.errors;
        self.skipped += more.skipped;
        self.time += more.time;
    }
}

/// Escapes an attribute. Line ends and tabs need escapes too, because XML turns them into spaces.
pub(crate) fn escape_attribute(text: &str) -> String {
    escape_text(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// Escapes text. Characters that XML 1.0 does not allow are replaced.
pub(crate) fn escape_text(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => escaped.push(letter),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_cases_that_could_not_run_as_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.xml");
        let written = |exit, failures: &[FailureRecord]| {
            write_failures(&path, exit, failures, SystemTime::now()).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        let failure = FailureRecord {
            causes: vec!["]]> & <\u{1b}>".to_string()],
            ..FailureRecord::new(failure::BUILD_FAILED, "a \"build\"\nfailed")
        };
        let text = written(Exit::Failed, &[failure]);
        for part in [
            "<testsuites name=\"cargo-torvyn\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"",
            "<testsuite name=\"cargo-torvyn\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"",
            "<error message=\"a &quot;build&quot;&#10;failed\" type=\"build-failed\">a \"build\"\nfailed\ncaused by: ]]&gt; &amp; &lt;\u{fffd}&gt;</error>",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // A failed command without failures gets a general one; a successful command has none.
        assert!(written(Exit::Interrupted, &[]).contains("<error message=\"interrupted\" type=\"command-failed\">"));
        assert!(written(Exit::Ok, &[]).contains("tests=\"0\""));
    }

    #[test]
    fn escapes_and_replaces_characters() {
        assert_eq!(
            escape_text("<a & \"b\">\u{1b}[2J\r\u{fffe}ä😀"),
            "&lt;a &amp; \"b\"&gt;\u{fffd}[2J\u{fffd}\u{fffd}ä😀"
        );
        assert_eq!(escape_attribute("\"a\"\n\tb"), "&quot;a&quot;&#10;&#9;b");
    }
}
