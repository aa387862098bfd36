//! `on-failure` of a stage: what happens to an element that the stage fails on.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::Policy;
use torvyn_runtime::pipeline::policy::{Retry, Then};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;

/// The default of `backoff`.
const BACKOFF: Duration = Duration::from_millis(100);

/// What happens to an element that a stage fails on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OnFailure {
    /// The policy for the runtime.
    pub(crate) policy: Policy,
    /// The file for failed elements, if they are kept.
    pub(crate) dead_letters: Option<PathBuf>,
    /// The place in the manifest, if elements are skipped or kept as dead letters.
    pub(super) place: Option<Range<usize>>,
}

impl OnFailure {
    /// Reads `on-failure`: a string or a table.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        match field.value {
            DeValue::String(_) => OnFailure::default().then(read_word(field, report)?, field).into(),
            DeValue::Table(_) => {
                let keys = ["retry", "backoff", "then", "dead-letter"];
                let table = field.table("`on-failure`", &keys, report)?;
                OnFailure::read_table(&table, report)
            }
            _ => {
                field.wrong_type("\"stop\", \"skip\" or a table", report);
                None
            }
        }
    }

    fn read_table(table: &Table, report: &mut Report) -> Option<Self> {
        let retry = read_retry(table, report);
        let (then, dead_letter) = (table.get("then"), table.get("dead-letter"));
        if let Some(dead_letter) = &dead_letter {
            table.exclude("then", dead_letter, report);
        }
        if let (None, None, None) = (table.get("retry").or(table.get("backoff")), &then, &dead_letter) {
            table.report_missing(&["retry", "then", "dead-letter"], report);
        }
        let on_failure = OnFailure { policy: Policy { retry: retry?, ..Policy::default() }, ..OnFailure::default() };
        match (then, dead_letter) {
            (_, Some(field)) => {
                let path = read_path(&field, report)?;
                Some(OnFailure { dead_letters: Some(path), ..on_failure.then(Then::DeadLetter, &field) })
            }
            (Some(field), None) => Some(on_failure.then(read_word(&field, report)?, &field)),
            (None, None) => Some(on_failure),
        }
    }

    fn then(mut self, then: Then, field: &Field) -> Self {
        self.policy.then = then;
        self.place = (then != Then::Stop).then(|| field.span.clone());
        self
    }
}

/// Reads `retry` and `backoff`: the inner value is none without retries, the outer one if a value is not valid.
fn read_retry(table: &Table, report: &mut Report) -> Option<Option<Retry>> {
    let backoff = match table.get("backoff") {
        Some(field) => {
            if table.get("retry").is_none() {
                table.report_missing(&["retry"], report);
            }
            field.duration(&ranges::BACKOFF, report)
        }
        None => Some(BACKOFF),
    };
    match table.get("retry") {
        Some(field) => Some(Some(Retry { count: field.count(&ranges::RETRIES, report)?, backoff: backoff? })),
        None => backoff.map(|_| None),
    }
}

fn read_word(field: &Field, report: &mut Report) -> Option<Then> {
    let help = match field.value {
        DeValue::String(text) if text == "dead-letter" => {
            Some("name a file: on-failure = { dead-letter = \"failed.jsonl\" }")
        }
        DeValue::String(text) if text == "retry" => Some("set the number of retries: on-failure = { retry = 3 }"),
        _ => None,
    };
    if let (Some(help), DeValue::String(text)) = (help, field.value) {
        let message = format!("`{}` cannot be `{text}`", field.key);
        field.wrong(codes::UNKNOWN_VALUE, message, "", report).help = Some(help.to_string());
        return None;
    }
    Some(if field.choice(&["stop", "skip"], report)? == "skip" { Then::Skip } else { Then::Stop })
}

fn read_path(field: &Field, report: &mut Report) -> Option<PathBuf> {
    let path = field.text(report)?;
    if Path::new(path) == Path::new("-") {
        let help = "name a file: dead-letter = \"failed.jsonl\"".to_string();
        field.wrong(codes::UNKNOWN_VALUE, "dead letters cannot go to standard output", "", report).help = Some(help);
        return None;
    }
    Some(report.folder().join(path))
}
