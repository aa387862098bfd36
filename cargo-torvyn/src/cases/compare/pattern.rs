//! Regular expressions that elements must match.

use std::ops::Range;

use regex::Regex;
use toml::de::DeValue;

use crate::config::toml_reader::{Field, Report};
use crate::output::codes;

/// A regular expression, and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    pub(crate) span: Range<usize>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        (self.regex.as_str(), &self.span) == (other.regex.as_str(), &other.span)
    }
}

impl Pattern {
    /// Reads `matches`: an expression or an array of expressions.
    pub(crate) fn read_all(field: &Field, report: &mut Report) -> Option<Vec<Pattern>> {
        match field.value {
            DeValue::Array(_) => field.nonempty_items(report)?.iter().map(|item| Pattern::read(item, report)).collect(),
            DeValue::String(_) => Some(vec![Pattern::read(field, report)?]),
            _ => {
                field.wrong_type("a regular expression or an array of them", report);
                None
            }
        }
    }

    fn read(field: &Field, report: &mut Report) -> Option<Pattern> {
        let text = field.text(report)?;
        let wrong = |error: regex::Error| {
            // The last line has the reason, the lines before it show the place.
            let text_of_error = error.to_string();
            let (place, reason) = text_of_error.trim_end().rsplit_once('\n').unwrap_or(("", &text_of_error));
            let message =
                format!("`{text}` is not a valid regular expression: {}", reason.trim_start_matches("error: "));
            let place = place.trim_start_matches("regex parse error:\n");
            let diagnostic = field.wrong(codes::BAD_PATTERN, message, "", report);
            if !place.is_empty() {
                diagnostic.notes.push(place.to_string());
            }
        };
        Some(Pattern { regex: Regex::new(text).map_err(wrong).ok()?, span: field.span.clone() })
    }
}
