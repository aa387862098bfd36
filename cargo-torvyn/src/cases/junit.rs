//! What came of cases as JUnit XML, which most services for continuous integration read: a suite for each file of cases,
//! with what was copied as properties.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::case::Case;
use super::plan::Plan;
use super::run::Outcome;
use crate::diagnostic::Sources;
use crate::whole;

/// Writes a report of what was run; a case of `plans` that was not is skipped.
///
/// # Errors
///
/// Where the file cannot be written.
pub(crate) fn write(
    path: &Path,
    outcomes: &[(&Case, Outcome)],
    plans: &[Plan<'_>],
    took: Duration,
    sources: &Sources,
) -> anyhow::Result<()> {
    let mut files: Vec<&Path> = plans.iter().map(|plan| plan.case.file()).collect();
    files.dedup();
    let suites = files.iter().map(|file| {
        let of_file = |case: &&Case| case.file() == *file;
        let cases = plans.iter().map(|plan| plan.case).filter(of_file);
        let came = |case: &Case| outcomes.iter().find(|(other, _)| other.name == case.name).map(|(_, came)| came);
        suite(file, cases.map(|case| (case, came(case))), sources)
    });
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"cargo-torvyn\" time=\"{:.6}\">\n{}</testsuites>\n",
        took.as_secs_f64(),
        suites.collect::<String>()
    );
    whole::write(path, text.as_bytes()).with_context(|| format!("could not write `{}`", path.display()))
}

fn suite<'a>(file: &Path, cases: impl Iterator<Item = (&'a Case, Option<&'a Outcome>)>, sources: &Sources) -> String {
    let (mut tests, mut failures, mut skipped, mut time, mut text) = (0, 0, 0, Duration::ZERO, String::new());
    let file = file.display().to_string();
    for (case, outcome) in cases {
        let ran = outcome.filter(|outcome| !outcome.interrupted);
        tests += 1;
        skipped += u32::from(ran.is_none());
        failures += u32::from(ran.is_some_and(|outcome| !outcome.found.is_empty()));
        time += ran.map_or(Duration::ZERO, |outcome| outcome.time);
        text += &element(&file, case, ran, sources);
    }
    let name = attribute(&file);
    let time = time.as_secs_f64();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
         time=\"{time:.6}\">\n{text}  </testsuite>\n"
    )
}

fn element(file: &str, case: &Case, outcome: Option<&Outcome>, sources: &Sources) -> String {
    let (name, class) = (attribute(&case.name), attribute(file));
    let time = outcome.map_or(Duration::ZERO, |outcome| outcome.time).as_secs_f64();
    let mut text = format!("    <testcase name=\"{name}\" classname=\"{class}\" time=\"{time:.6}\">\n");
    let Some(outcome) = outcome else {
        return text + "      <skipped/>\n    </testcase>\n";
    };
    // Writing to a string cannot fail.
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "      {line}").ok();
    if outcome.account.is_some() || outcome.seed.is_some() {
        line(format_args!("<properties>"));
    }
    if let Some(seed) = outcome.seed {
        line(format_args!("  <property name=\"seed\" value=\"{seed}\"/>"));
    }
    if let Some(account) = &outcome.account {
        let (reads, writes) = (account.copies.payload_read, account.copies.payload_write);
        let amplification = account.amplification.map(|times| ("amplification", format!("{times:.2}")));
        let properties = [
            ("reads", reads.ops.to_string()),
            ("read-bytes", reads.bytes.to_string()),
            ("writes", writes.ops.to_string()),
            ("written-bytes", writes.bytes.to_string()),
        ];
        for (name, value) in properties.into_iter().chain(amplification) {
            line(format_args!("  <property name=\"{name}\" value=\"{value}\"/>"));
        }
    }
    if outcome.account.is_some() || outcome.seed.is_some() {
        line(format_args!("</properties>"));
    }
    for found in &outcome.found {
        let (message, kind) = (attribute(&found.message), found.code);
        let rendered = escaped(&found.render(sources, false));
        line(format_args!("<failure message=\"{message}\" type=\"{kind}\">{rendered}</failure>"));
    }
    if !outcome.log.is_empty() {
        let log: String = outcome.log.iter().map(|(stage, text)| format!("{stage}: {text}\n")).collect();
        line(format_args!("<system-out>{}</system-out>", escaped(&log)));
    }
    text + "    </testcase>\n"
}

/// As an attribute has it: line ends and tabs would become spaces there.
fn attribute(text: &str) -> String {
    escaped(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// As text has it. What XML 1.0 has no letter for is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\u{20}'..='\u{fffd}' | '\u{10000}'.. => escaped.push(letter),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_have_is_not_in_it() {
        assert_eq!(escaped("<a & \"b\">\u{1b}[2J\r\u{fffe}ä😀"), "&lt;a &amp; \"b\"&gt;\u{fffd}[2J\u{fffd}\u{fffd}ä😀");
        assert_eq!(attribute("\"a\"\n\tb"), "&quot;a&quot;&#10;&#9;b");
    }
}
