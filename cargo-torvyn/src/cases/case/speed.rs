//! How long an element takes in a case, against how long one takes in another: the only way in which speed can be
//! expected, because times themselves differ from machine to machine.

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
    /// The case it is compared with.
    pub(crate) other: Named,
    /// How many times as long it may take.
    pub(crate) max: f64,
    /// Where that is written.
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

    /// What is wrong with the case that is named: it is to be another one, which comes to its end.
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

    /// What is wrong with the one of `cases` that it is compared with: it is none, or cannot be.
    pub(crate) fn check_other(&self, cases: &[Case], known: &HashMap<&str, &Case>) -> Option<Diagnostic> {
        self.speed.as_ref()?.check(self, cases, known)
    }

    /// The name of the case that it is compared with.
    pub(crate) fn other(&self) -> Option<&str> {
        self.speed.as_ref().map(|speed| speed.other.name.as_str())
    }
}
