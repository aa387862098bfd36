//! The failures of commands and flows for programs: a stable code, the place, the stage, the elements and the causes. Errors
//! in users' files have the codes of `codes` and `lint`; all other failures have the codes here.

use std::path::Path;

use serde::Serialize;
use torvyn_runtime::{Error, StageError};

use crate::exit::{Exit, Place, Stop};
use crate::output::codes::{self, codes};
use crate::output::diagnostic::{Diagnostic, Severity, Sources};
use crate::output::viewpoint::{Viewpoint, place};

codes! {
    /// A stage trapped.
    STAGE_TRAP = "stage-trap";
    /// A call of a stage exceeded its time limit.
    STAGE_TIMED_OUT = "stage-timed-out";
    /// A stage exceeded its memory limit.
    STAGE_OUT_OF_MEMORY = "stage-out-of-memory";
    /// A stage returned a failure.
    STAGE_FAILED = "stage-failed";
    /// A stage returned a fatal failure.
    STAGE_FATAL = "stage-fatal";
    /// The types of a component are not those of the contract.
    STAGE_NOT_LINKED = "stage-not-linked";
    /// A stage tried to copy more than its budget allows.
    STAGE_OVER_BUDGET = "stage-over-budget";
    /// A stage that keeps something between its calls has replicas.
    STAGE_HAS_STATE = "stage-has-state";
    /// A stage violated the contract.
    STAGE_BROKE_CONTRACT = "stage-broke-contract";
    /// An input could not be read.
    INPUT_FAILED = "input-failed";
    /// An output could not be written.
    OUTPUT_FAILED = "output-failed";
    /// A dead letter could not be written.
    DEAD_LETTER_FAILED = "dead-letter-failed";
    /// The payload of a file-backed element could not be read.
    PAYLOAD_UNREADABLE = "payload-unreadable";
    /// The engine could not be set up.
    ENGINE_FAILED = "engine-failed";
    /// The pipeline can copy more than its budgets allow, so it was not run.
    OVER_BUDGET = "over-budget";
    /// No project was found.
    NO_PROJECT = "no-project";
    /// Cargo rejects the project.
    BAD_PROJECT = "bad-project";
    /// A package of the project is not a stage.
    PACKAGE_NOT_A_STAGE = "package-not-a-stage";
    /// Cargo could not build.
    BUILD_FAILED = "build-failed";
    /// The baseline cannot be used.
    BAD_BASELINE = "bad-baseline";
    /// A pipeline is slower than in a baseline, or copies more.
    SLOWER_THAN_BASELINE = "slower-than-baseline";
    /// A file with results could not be written.
    RESULT_NOT_WRITTEN = "result-not-written";
    /// Standard output could not be written.
    STDOUT_FAILED = "stdout-failed";
    /// The arguments are not valid.
    USAGE = "usage";
    /// The arguments select nothing.
    NOTHING_SELECTED = "nothing-selected";
    /// Something must be installed first.
    SETUP_MISSING = "setup-missing";
    /// A signal interrupted the command.
    INTERRUPTED = "interrupted";
    /// The command failed in another way.
    COMMAND_FAILED = "command-failed";
    /// An internal error.
    INTERNAL_ERROR = "internal-error";
}

/// The codes of failed flows. These are also shown to people, because their pages say more than fits into a message.
const OF_FLOWS: &[&str] = &[
    STAGE_TRAP,
    STAGE_TIMED_OUT,
    STAGE_OUT_OF_MEMORY,
    STAGE_FAILED,
    STAGE_FATAL,
    STAGE_NOT_LINKED,
    STAGE_OVER_BUDGET,
    STAGE_HAS_STATE,
    STAGE_BROKE_CONTRACT,
    INPUT_FAILED,
    OUTPUT_FAILED,
    DEAD_LETTER_FAILED,
    PAYLOAD_UNREADABLE,
    ENGINE_FAILED,
    INTERNAL_ERROR,
];

/// The general code of a stop without a specific one.
fn general_code(exit: Exit) -> &'static str {
    match exit {
        Exit::Usage => USAGE,
        Exit::NothingSelected => NOTHING_SELECTED,
        Exit::SetupMissing => SETUP_MISSING,
        Exit::HungUp | Exit::Interrupted | Exit::Terminated => INTERRUPTED,
        _ => COMMAND_FAILED,
    }
}

/// A reason why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailureRecord {
    pub(crate) code: &'static str,
    /// The outermost error.
    pub(crate) message: String,
    /// The causes, from the outermost to the innermost.
    pub(crate) causes: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Option<String>,
    pub(crate) place: Option<Place>,
    /// The test case that failed.
    pub(crate) case: Option<String>,
    pub(crate) stage: Option<String>,
    /// The export of the stage that was called.
    pub(crate) call: Option<&'static str>,
    pub(crate) elements: Option<ElementRange>,
}

/// The sequence numbers of the first and last element that a stage may have failed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct ElementRange {
    first: u64,
    last: u64,
}

impl FailureRecord {
    /// A failure with only a code and a message.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        FailureRecord {
            code,
            message: message.into(),
            causes: Vec::new(),
            notes: Vec::new(),
            help: None,
            place: None,
            case: None,
            stage: None,
            call: None,
            elements: None,
        }
    }

    /// Converts the error that ended a command.
    pub(crate) fn from_error(error: &anyhow::Error) -> Self {
        let stop = error.downcast_ref::<Stop>();
        let runtime = runtime_error(error);
        let own = stop.and_then(Stop::own_code).or_else(|| runtime.map(code_of));
        let mut record = FailureRecord::new(
            own.unwrap_or_else(|| stop.map_or(COMMAND_FAILED, |stop| general_code(stop.exit()))),
            error.to_string(),
        );
        record.causes = error.chain().skip(1).map(ToString::to_string).collect();
        record.help = stop.and_then(|stop| stop.help.clone());
        record.place = stop.and_then(|stop| stop.place.as_deref().cloned());
        if let Some(runtime) = runtime {
            record.locate(runtime);
        }
        record
    }

    /// Converts a compiler error reported by cargo. The path is relative to the folder of the workspace.
    pub(crate) fn from_compiler(error: &cargo_metadata::diagnostic::Diagnostic) -> Self {
        let code = error.code.as_ref().map_or_else(String::new, |code| format!("{}: ", code.code));
        let primary = error.spans.iter().find(|span| span.is_primary);
        FailureRecord {
            place: primary.map(|span| Place {
                file: span.file_name.clone(),
                line: Some(span.line_start),
                column: Some(span.column_start),
            }),
            ..FailureRecord::new(BUILD_FAILED, format!("{code}{}", error.message))
        }
    }

    /// Converts a diagnostic; none if it is a warning.
    pub(crate) fn from_diagnostic(diagnostic: &Diagnostic, sources: &Sources, seen: &Viewpoint) -> Option<Self> {
        (diagnostic.severity == Severity::Error).then(|| FailureRecord {
            notes: diagnostic.notes.clone(),
            help: diagnostic.help.clone(),
            place: diagnostic.labels.first().map(|label| place(label, sources, seen)),
            ..FailureRecord::new(diagnostic.code, &*diagnostic.message)
        })
    }

    /// Adds another failure as the cause, with its stage and elements.
    pub(crate) fn add_cause(&mut self, why: &FailureRecord) {
        self.stage.clone_from(&why.stage);
        (self.call, self.elements) = (why.call, why.elements);
        self.causes = [&[why.message.clone()][..], &why.causes].concat();
    }

    /// The code, if it is shown to people.
    pub(crate) fn shown_code(&self) -> Option<&'static str> {
        OF_FLOWS.contains(&self.code).then_some(self.code)
    }

    /// Sets the stage and the elements from an error of the runtime.
    fn locate(&mut self, error: &Error) {
        let range = |(first, last): (u64, u64)| ElementRange { first, last };
        match error {
            Error::Start { stage, .. } => self.stage = Some(stage.clone()),
            Error::Stage { stage, call, elements, .. } => {
                self.stage = Some(stage.clone());
                self.call = Some(call);
                self.elements = elements.map(range);
            }
            Error::DeadLetter { stage, element, .. } => {
                self.stage = Some(stage.clone());
                self.elements = Some(range((*element, *element)));
            }
            Error::Payload { elements, .. } => self.elements = elements.map(range),
            _ => {}
        }
    }
}

/// A result file that cannot be written. `what` is its purpose, followed by a space.
pub(crate) fn not_written(path: &Path, what: &str) -> Stop {
    Stop::new(Exit::Failed, format!("cannot write {what}`{}`", path.display())).code(RESULT_NOT_WRITTEN)
}

/// The error of the runtime among the causes of an error, if there is one.
pub(crate) fn runtime_error(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>())
}

/// The stable code of an error of the runtime.
fn code_of(error: &Error) -> &'static str {
    match error {
        _ if error.is_cut_off() => INTERRUPTED,
        Error::Load { .. } | Error::NotCompiled { .. } | Error::Compile { .. } => codes::BAD_COMPONENT,
        Error::Start { source, .. } | Error::Stage { source, .. } => code_of_stage_error(source),
        Error::Input { .. } => INPUT_FAILED,
        Error::Output { .. } => OUTPUT_FAILED,
        Error::DeadLetter { .. } => DEAD_LETTER_FAILED,
        Error::Payload { .. } => PAYLOAD_UNREADABLE,
        Error::Cancelled => INTERRUPTED,
        Error::Engine(_) => ENGINE_FAILED,
        Error::Internal(_) => INTERNAL_ERROR,
    }
}

fn code_of_stage_error(error: &StageError) -> &'static str {
    match error {
        StageError::Trap { .. } => STAGE_TRAP,
        StageError::Deadline { .. } => STAGE_TIMED_OUT,
        StageError::CutOff => INTERRUPTED,
        StageError::Memory { .. } | StageError::Start(_) => STAGE_OUT_OF_MEMORY,
        StageError::Failure(_) => STAGE_FAILED,
        StageError::Fatal(_) => STAGE_FATAL,
        StageError::Link(_) => STAGE_NOT_LINKED,
        StageError::Budget(_) => STAGE_OVER_BUDGET,
        StageError::Replicas(_) => STAGE_HAS_STATE,
        StageError::Contract(_) => STAGE_BROKE_CONTRACT,
    }
}

#[cfg(test)]
mod tests {
    use torvyn_runtime::{CompileError, StartLimit};

    use std::collections::BTreeSet;
    use std::io;
    use std::time::Duration;

    use anyhow::Context as _;
    use torvyn_runtime::base::cut::CutOff;
    use torvyn_runtime::contract::{Limited, Overrun};

    use super::*;

    /// One stage error of each kind.
    fn stage_errors() -> Vec<(StageError, &'static str)> {
        let overrun = Overrun { what: Limited::Reads, element: Some(3), count: 2, limit: 1 };
        let text = || "why".to_string();
        vec![
            (StageError::Trap { trap: text(), backtrace: Vec::new() }, STAGE_TRAP),
            (StageError::Deadline { limit: Duration::from_secs(1) }, STAGE_TIMED_OUT),
            (StageError::CutOff, INTERRUPTED),
            (StageError::Memory { limit: 1, trap: text() }, STAGE_OUT_OF_MEMORY),
            (StageError::Start(StartLimit::Memory { needed: 2, limit: 1 }), STAGE_OUT_OF_MEMORY),
            (StageError::Failure(text()), STAGE_FAILED),
            (StageError::Fatal(text()), STAGE_FATAL),
            (StageError::Link(text()), STAGE_NOT_LINKED),
            (StageError::Budget(overrun), STAGE_OVER_BUDGET),
            (StageError::Replicas(text()), STAGE_HAS_STATE),
            (StageError::Contract(text()), STAGE_BROKE_CONTRACT),
        ]
    }

    fn errors() -> Vec<(Error, &'static str)> {
        let source = || io::Error::other("why");
        let name = || "s".to_string();
        let stage = |source| Error::Stage { stage: name(), call: "process", elements: Some((3, 4)), source };
        let mut errors: Vec<_> = stage_errors().into_iter().map(|(source, code)| (stage(source), code)).collect();
        errors.extend(stage_errors().into_iter().map(|(source, code)| (Error::Start { stage: name(), source }, code)));
        errors.extend([
            (Error::Input { input: name(), elements: 1, source: source() }, INPUT_FAILED),
            (Error::Output { output: name(), bytes: 1, source: source() }, OUTPUT_FAILED),
            (Error::DeadLetter { stage: name(), element: 5, source: source() }, DEAD_LETTER_FAILED),
            (Error::Payload { reader: name(), elements: None, source: source() }, PAYLOAD_UNREADABLE),
            (Error::Engine("why".into()), ENGINE_FAILED),
            (Error::Internal(name()), INTERNAL_ERROR),
            (Error::Input { input: name(), elements: 1, source: CutOff.into() }, INTERRUPTED),
            (Error::Cancelled, INTERRUPTED),
            (
                Error::NotCompiled { path: "c.wasm".into(), reason: CompileError::Complex("why".into()) },
                codes::BAD_COMPONENT,
            ),
            (Error::Compile { path: "c.wasm".into(), source: "why".into() }, codes::BAD_COMPONENT),
        ]);
        errors
    }

    #[test]
    fn runtime_errors_have_codes_under_any_context() {
        for (error, code) in errors() {
            let causes = anyhow::Error::from(error).context("further out");
            let record = FailureRecord::from_error(&causes.context(Stop::new(Exit::Failed, "pipeline `p` failed")));
            assert_eq!((record.code, &*record.message), (code, "pipeline `p` failed"));
            assert!(record.causes.len() >= 2, "{record:?}");
        }
        let (error, _) = errors().swap_remove(0);
        let record = FailureRecord::from_error(&error.into());
        let range = record.elements.unwrap();
        assert_eq!((record.stage.as_deref(), record.call, range.first, range.last), (Some("s"), Some("process"), 3, 4));
    }

    #[test]
    fn other_errors_have_the_code_of_their_stop() {
        let code = |error: anyhow::Error| FailureRecord::from_error(&error).code;
        assert_eq!(code(anyhow::anyhow!("disk full")), COMMAND_FAILED);
        assert_eq!(code(Stop::new(Exit::SetupMissing, "no cargo").into()), SETUP_MISSING);
        let own = || Stop::new(Exit::Failed, "no").code(BAD_BASELINE);
        assert_eq!(code(Err::<(), _>(own()).context("further out").unwrap_err()), BAD_BASELINE);
        // The outer code describes the command, the inner one the flow.
        let (error, of_flow) = errors().swap_remove(0);
        assert_eq!(code(anyhow::Error::from(error).context(own())), BAD_BASELINE);
        let (error, _) = errors().swap_remove(0);
        assert_eq!(code(anyhow::Error::from(error).context(Stop::new(Exit::Failed, "no"))), of_flow);
    }

    /// The codes of flows are tested above, the others in `tests/outcomes.rs`.
    #[test]
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn every_code_is_unique_and_tested() {
        let all: BTreeSet<_> = ALL.iter().copied().collect();
        assert_eq!(all.len(), ALL.len());
        assert!(all.iter().all(|failure| !codes::ALL.contains(failure)));
        let Ok(table) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outcomes.rs")) else {
            println!("skipped: the published package has no tests that run the program");
            return;
        };
        let of_flows: BTreeSet<_> = errors().into_iter().map(|(_, code)| code).collect();
        for code in all {
            // Tested in `shell`, `panicked` and above.
            let elsewhere = [STDOUT_FAILED, INTERNAL_ERROR, COMMAND_FAILED].contains(&code);
            let comes_up = of_flows.contains(code) || elsewhere;
            assert!(comes_up || table.contains(&format!("\"{code}\"")), "{code}");
        }
    }
}
