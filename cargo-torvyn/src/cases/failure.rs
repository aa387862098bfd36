//! The failure that a case expects of its flow.

use std::ops::Range;

use toml::de::DeValue;
use torvyn_runtime::Error;

use super::case::{Case, Named};
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::failure::{FailureRecord, runtime_error};
use crate::output::printable::printable;

/// What is expected of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedFailure {
    /// What its message contains.
    text: Option<String>,
    /// The stage that fails.
    pub(super) stage: Option<Named>,
    /// Where it is written.
    pub(super) span: Range<usize>,
}

/// What became of a flow that failed.
pub(super) struct Failure {
    /// The stage, where it was one.
    pub(super) stage: Option<String>,
    /// What happened, from the outermost cause to the innermost.
    pub(super) causes: Vec<String>,
    /// Whether it is a fault of this program, and not of what was tested.
    pub(super) is_ours: bool,
    /// All of it, for programs.
    pub(super) record: FailureRecord,
}

impl ExpectedFailure {
    /// Reads `fails`: a text, or a table with a stage.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<ExpectedFailure> {
        let span = field.span.clone();
        if let DeValue::String(_) = field.value {
            return Some(ExpectedFailure { text: Some(field.text(report)?.to_string()), stage: None, span });
        }
        let DeValue::Table(_) = field.value else {
            field.wrong_type("a string or a table", report);
            return None;
        };
        let table = field.table("what is expected of a failure", &["stage", "text"], report)?;
        if table.get("stage").is_none() && table.get("text").is_none() {
            table.missing(&["stage", "text"], report);
        }
        let text = match table.get("text") {
            Some(field) => Some(field.text(report)?.to_string()),
            None => None,
        };
        let stage = match table.get("stage") {
            Some(field) => Some(Named { name: field.text(report)?.to_string(), span: field.span }),
            None => None,
        };
        Some(ExpectedFailure { text, stage, span })
    }

    /// Whether it is the failure that is expected.
    pub(super) fn is(&self, failure: &Failure) -> bool {
        let text = failure.causes.join(": ");
        !failure.is_ours
            && self.text.as_ref().is_none_or(|expected| text.contains(expected))
            && self.stage.as_ref().is_none_or(|expected| failure.stage.as_ref() == Some(&expected.name))
    }

    /// It did not come.
    pub(super) fn missing(&self, case: &Case) -> Diagnostic {
        let wrong = Diagnostic::error(codes::MISSING_FAILURE, "it ran to its end, and was expected to fail");
        wrong.label(case.file(), self.span.clone(), self.phrase())
    }

    /// What is expected, as a phrase.
    fn phrase(&self) -> String {
        let stage = self.stage.as_ref().map_or_else(String::new, |stage| format!(" of stage `{}`", stage.name));
        let text = self.text.as_ref().map_or_else(String::new, |text| format!(" with `{text}`"));
        format!("expected a failure{stage}{text}")
    }
}

impl Failure {
    /// What an error of the runtime tells.
    pub(super) fn of(error: &anyhow::Error) -> Failure {
        let runtime = runtime_error(error);
        let stage = match runtime {
            Some(Error::Start { stage, .. } | Error::Stage { stage, .. }) => Some(stage.clone()),
            _ => None,
        };
        Failure {
            stage,
            causes: error.chain().map(ToString::to_string).collect(),
            is_ours: matches!(runtime, Some(Error::Internal(_))),
            record: FailureRecord::of(error),
        }
    }

    /// What a case says of it that expects none, or another.
    pub(super) fn told(&self, case: &Case) -> Diagnostic {
        let causes: Vec<_> = self.causes.iter().map(|cause| printable(cause, true)).collect();
        let message = causes.first().cloned().unwrap_or_default();
        let mut diagnostic = match &case.fails {
            None => case.wrong(codes::UNEXPECTED_FAILURE, message),
            Some(expected) => Diagnostic::error(codes::UNEXPECTED_FAILURE, message).label(
                case.file(),
                expected.span.clone(),
                expected.phrase(),
            ),
        };
        if causes.len() > 1 {
            diagnostic = diagnostic.note(causes[1..].join("\n"));
        }
        match self.is_ours {
            true => diagnostic.note("what this case tests is not at fault: `cargo torvyn` broke a rule of its own"),
            false => diagnostic,
        }
    }
}
