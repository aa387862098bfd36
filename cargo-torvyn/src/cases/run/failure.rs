//! The failure of the flow of a case.

use torvyn_runtime::Error;

use crate::cases::Case;
use crate::cases::case::failure::ExpectedFailure;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::failure::{FailureRecord, runtime_error};
use crate::output::printable::printable;

/// The failure of a flow.
pub(crate) struct Failure {
    /// The stage that failed, if it was a stage.
    pub(crate) stage: Option<String>,
    /// The causes, from the outermost to the innermost.
    pub(crate) causes: Vec<String>,
    /// Whether it is an internal error of this program, not of what was tested.
    pub(crate) is_ours: bool,
    /// The failure in the form for programs.
    pub(crate) record: FailureRecord,
}

impl Failure {
    /// The failure that an error of the runtime describes.
    pub(crate) fn from_error(error: &anyhow::Error) -> Failure {
        let runtime = runtime_error(error);
        let stage = match runtime {
            Some(Error::Start { stage, .. } | Error::Stage { stage, .. }) => Some(stage.clone()),
            _ => None,
        };
        Failure {
            stage,
            causes: error.chain().map(ToString::to_string).collect(),
            is_ours: matches!(runtime, Some(Error::Internal(_))),
            record: FailureRecord::from_error(error),
        }
    }

    /// Whether it is the expected failure.
    pub(crate) fn matches(&self, expected: &ExpectedFailure) -> bool {
        let text = self.causes.join(": ");
        !self.is_ours
            && expected.text.as_ref().is_none_or(|wanted| text.contains(wanted))
            && expected.stage.as_ref().is_none_or(|wanted| self.stage.as_ref() == Some(&wanted.name))
    }

    /// The diagnostic for a case that expects no failure, or another one.
    pub(crate) fn diagnostic(&self, case: &Case) -> Diagnostic {
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
            true => {
                diagnostic.note("this is an internal error of `cargo torvyn`, not of the tested code: please report it")
            }
            false => diagnostic,
        }
    }
}
