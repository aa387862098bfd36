//! The failure that a case expects of its flow.

use std::ops::Range;
use std::path::Path;

use toml::de::DeValue;

use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// An expected failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedFailure {
    /// A text that its message contains.
    pub(crate) text: Option<String>,
    /// The stage that fails.
    pub(crate) stage: Option<Named>,
    /// Where it is written.
    pub(crate) span: Range<usize>,
}

impl ExpectedFailure {
    /// Reads `fails`: a text, or a table with a stage.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<ExpectedFailure> {
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
            table.report_missing(&["stage", "text"], report);
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

    /// The failure did not happen.
    pub(crate) fn missing(&self, file: &Path) -> Diagnostic {
        let wrong = Diagnostic::error(codes::MISSING_FAILURE, "the case finished without the expected failure");
        wrong.label(file, self.span.clone(), self.phrase())
    }

    /// The expectation as a phrase.
    pub(crate) fn phrase(&self) -> String {
        let stage = self.stage.as_ref().map_or_else(String::new, |stage| format!(" of stage `{}`", stage.name));
        let text = self.text.as_ref().map_or_else(String::new, |text| format!(" with `{text}`"));
        format!("expected a failure{stage}{text}")
    }
}
