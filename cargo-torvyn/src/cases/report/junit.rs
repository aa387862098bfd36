//! Writes the results of cases as JUnit XML: one suite for each case file, with the copies as properties.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::cases::case::Case;
use crate::cases::plan::Plan;
use crate::cases::run::Outcome;
use crate::output::diagnostic::Sources;
use crate::output::junit::{Totals, escape_attribute, escape_text, save, suite};

/// Writes a report. Cases of `plans` without an outcome are skipped. `began` is when the first case started.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn write(
    path: &Path,
    outcomes: &[(&Plan<'_>, Outcome)],
    plans: &[Plan<'_>],
    (began, took): (SystemTime, Duration),
    sources: &Sources,
) -> anyhow::Result<()> {
    let mut files: Vec<&Path> = plans.iter().map(|plan| plan.case.file()).collect();
    files.dedup();
    let mut all = Totals::default();
    let suites = files.iter().map(|file| {
        let of_file = |case: &&Case| case.file() == *file;
        let cases = plans.iter().map(|plan| plan.case).filter(of_file);
        let came = |case: &Case| outcomes.iter().find(|(plan, _)| plan.case.name == case.name).map(|(_, came)| came);
        let (totals, cases) = cases_of_file(file, cases.map(|case| (case, came(case))), sources);
        all += totals;
        suite(&file.to_string_lossy(), totals, began, &cases)
    });
    let suites: String = suites.collect();
    save(path, Totals { time: took, ..all }, began, &suites)
}

fn cases_of_file<'a>(
    file: &Path,
    cases: impl Iterator<Item = (&'a Case, Option<&'a Outcome>)>,
    sources: &Sources,
) -> (Totals, String) {
    let (mut totals, mut text) = (Totals::default(), String::new());
    let file = file.to_string_lossy();
    for (case, outcome) in cases {
        let ran = outcome.filter(|outcome| !outcome.interrupted);
        totals += Totals {
            tests: 1,
            failures: usize::from(ran.is_some_and(|outcome| !outcome.found.is_empty())),
            errors: 0,
            skipped: usize::from(ran.is_none()),
            time: ran.map_or(Duration::ZERO, |outcome| outcome.time),
        };
        text += &element(&file, case, ran, sources);
    }
    (totals, text)
}

fn element(file: &str, case: &Case, outcome: Option<&Outcome>, sources: &Sources) -> String {
    let (name, class) = (escape_attribute(&case.name), escape_attribute(file));
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
        let ratio = outcome.speed.as_ref().map(|speed| ("speed-ratio", format!("{:.2}", speed.ratio)));
        for (name, value) in properties.into_iter().chain(amplification).chain(ratio) {
            line(format_args!("  <property name=\"{name}\" value=\"{value}\"/>"));
        }
    }
    if outcome.account.is_some() || outcome.seed.is_some() {
        line(format_args!("</properties>"));
    }
    // As in nextest: if every attempt failed, the first is the failure and the others are its reruns.
    let (first, reruns, again) = match (outcome.passed(), &outcome.failed[..]) {
        (true, failed) => (None, failed.iter().collect(), "flakyFailure"),
        (false, []) => (Some(outcome), Vec::new(), ""),
        (false, [first, rest @ ..]) => (Some(first), rest.iter().chain([outcome]).collect::<Vec<_>>(), "rerunFailure"),
    };
    for found in first.iter().flat_map(|first| &first.found) {
        let (message, kind) = (escape_attribute(&found.message), found.code);
        let rendered = escape_text(&found.render(sources, false));
        line(format_args!("<failure message=\"{message}\" type=\"{kind}\">{rendered}</failure>"));
    }
    for rerun in reruns {
        let first = rerun.found.iter().next();
        let (message, kind) = first.map_or(Default::default(), |first| (escape_attribute(&first.message), first.code));
        let time = rerun.time.as_secs_f64();
        line(format_args!("<{again} time=\"{time:.6}\" message=\"{message}\" type=\"{kind}\">"));
        line(format_args!("  <stackTrace>{}</stackTrace>", escape_text(&rerun.found.render(sources, false))));
        if !rerun.log.is_empty() {
            line(format_args!("  <system-out>{}</system-out>", log(rerun)));
        }
        line(format_args!("</{again}>"));
    }
    if let Some(shown) = first.or(Some(outcome)).filter(|shown| !shown.log.is_empty()) {
        line(format_args!("<system-out>{}</system-out>", log(shown)));
    }
    text + "    </testcase>\n"
}

/// What the stages printed.
fn log(outcome: &Outcome) -> String {
    let log: String = outcome.log.iter().map(|(stage, text)| format!("{stage}: {text}\n")).collect();
    escape_text(&log)
}
