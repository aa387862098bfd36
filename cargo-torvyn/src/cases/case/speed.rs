//! The expected speed of a case: how long an element may take compared with another case. Speed can only be expected
//! relative to another case, because times differ from machine to machine.

use std::collections::HashMap;
use std::ops::Range;

use crate::cases::case::Case;
use crate::config::ranges;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, suggestion};

/// What is expected of the time that an element takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpectedSpeed {
    /// The case to compare with.
    pub(crate) other: Named,
    /// How many times as long as in the other case an element may take.
    pub(crate) max: f64,
    /// Where the limit is written.
    pub(crate) span: Range<usize>,
}

impl ExpectedSpeed {
    /// Reads `speed`: a table of the other case and a number.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<ExpectedSpeed> {
        let table = field.table("what is expected of the speed", &["case", "max"], report)?;
        let other = table
            .need("case", report)
            .and_then(|field| Some(Named { name: field.text(report)?.to_string(), span: field.span }));
        let max = table.need("max", report).and_then(|field| {
            let max = field.ratio(&ranges::RATIO, report)?;
            if max == 0.0 {
                field.wrong(codes::ZERO, "`max` is 0", "must be greater than 0", report);
                return None;
            }
            Some((max, field.span))
        });
        let (other, (max, span)) = (other?, max?);
        Some(ExpectedSpeed { other, max, span })
    }

    /// Checks the named case: it must exist, be another case, and not be expected to fail.
    fn check(&self, case: &Case, cases: &[Case], known: &HashMap<&str, &Case>) -> Option<Diagnostic> {
        let Named { name, span } = &self.other;
        let wrong =
            |message: String| Diagnostic::error(codes::UNKNOWN_CASE, message).label(case.file(), span.clone(), "");
        match known.get(name.as_str()) {
            Some(other) if other.name == case.name => {
                Some(wrong("a case cannot be compared with itself".to_string()).help("name another case"))
            }
            Some(other) if other.fails.is_some() => {
                let wrong = wrong(format!("`{name}` is expected to fail, so it has no speed to compare with"));
                Some(wrong.label(other.file(), other.span.clone(), "this case").help("name a case without `fails`"))
            }
            Some(_) => None,
            None => {
                let names: Vec<_> =
                    cases.iter().map(|case| case.name.as_str()).filter(|name| *name != case.name).collect();
                Some(wrong(format!("there is no case `{name}`")).help(suggestion(name, "other cases", &names)))
            }
        }
    }
}

impl Case {
    /// Cases by their names.
    pub(crate) fn by_name(cases: &[Case]) -> HashMap<&str, &Case> {
        cases.iter().map(|case| (case.name.as_str(), case)).collect()
    }

    /// Checks the case that this case is compared with, if any.
    pub(crate) fn check_other(&self, cases: &[Case], known: &HashMap<&str, &Case>) -> Option<Diagnostic> {
        self.speed.as_ref()?.check(self, cases, known)
    }

    /// The name of the case that this case is compared with.
    pub(crate) fn compared_with(&self) -> Option<&str> {
        self.speed.as_ref().map(|speed| speed.other.name.as_str())
    }
}
