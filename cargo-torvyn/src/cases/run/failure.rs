//! How the flow of a case failed.

use torvyn_runtime::Error;

use crate::cases::Case;
use crate::cases::case::failure::ExpectedFailure;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::failure::{FailureRecord, runtime_error};
use crate::output::printable::printable;

/// What became of a flow that failed.
pub(crate) struct Failure {
    /// The stage, where it was one.
    pub(crate) stage: Option<String>,
    /// What happened, from the outermost cause to the innermost.
    pub(crate) causes: Vec<String>,
    /// Whether it is a fault of this program, and not of what was tested.
    pub(crate) is_ours: bool,
    /// All of it, for programs.
    pub(crate) record: FailureRecord,
}

impl Failure {
    /// What an error of the runtime tells.
    pub(crate) fn of(error: &anyhow::Error) -> Failure {
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

    /// Whether it is the failure that is expected.
    pub(crate) fn is(&self, expected: &ExpectedFailure) -> bool {
        let text = self.causes.join(": ");
        !self.is_ours
            && expected.text.as_ref().is_none_or(|wanted| text.contains(wanted))
            && expected.stage.as_ref().is_none_or(|wanted| self.stage.as_ref() == Some(&wanted.name))
    }

    /// What a case says of it that expects none, or another.
    pub(crate) fn told(&self, case: &Case) -> Diagnostic {
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
