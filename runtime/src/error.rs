//! Errors of the runtime, by phase: loading and compiling a component, starting and running a flow.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::cut::CutOff;
use crate::base::plural::counted;
use crate::base::text::{self, format_bytes, format_duration};
use crate::contract::{CONTRACT, Kind, Overrun};

/// Characters that are shown of what was found in place of a stage: it can quote names that the component chose.
const LONGEST_FOUND: usize = 1000;

/// An error of another library.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a component could not be loaded, or a flow not be started or finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not a component that this runtime can run.
    #[error("cannot load `{}`", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: LoadError,
    },
    /// A component could not be compiled within its limits, or the compiler process could not be used.
    #[error("cannot compile `{}`", path.display())]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: CompileError,
    },
    /// The engine refused a component that passed all checks of [`LoadError`].
    #[error("cannot load `{}`", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// The error of the engine.
        source: BoxedError,
    },
    /// A stage could not be started.
    #[error("stage `{stage}` cannot start")]
    Start {
        /// The stage.
        stage: String,
        /// What happened.
        source: StageError,
    },
    /// A stage failed.
    #[error("stage `{stage}` failed in `{call}`{}", place(elements))]
    Stage {
        /// The stage.
        stage: String,
        /// The export that was called.
        call: &'static str,
        /// The sequence numbers of the first and last element that it may have failed on, if it was lent any: the
        /// element that the stage named, or else its whole batch.
        elements: Option<(u64, u64)>,
        /// What happened.
        source: StageError,
    },
    /// An input of the host failed to deliver elements.
    #[error("input `{input}` failed after {}", counted(*elements, "element"))]
    Input {
        /// The name of the input in the pipeline.
        input: String,
        /// Elements that it delivered before.
        elements: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// An output of the host failed to take elements.
    #[error("output `{output}` failed after {}", counted(*bytes, "byte"))]
    Output {
        /// The name of the output in the pipeline.
        output: String,
        /// Bytes that were written to it before.
        bytes: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A dead letter could not be saved.
    #[error("cannot save element {element} as a dead letter of stage `{stage}`")]
    DeadLetter {
        /// The stage.
        stage: String,
        /// The sequence number of the element.
        element: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A payload that lies in a file could not be read from the file.
    #[error("cannot read a payload for `{reader}`{}", place(elements))]
    Payload {
        /// The stage or output that the payload was read for.
        reader: String,
        /// The sequence numbers of the first and last element of its batch.
        elements: Option<(u64, u64)>,
        /// What happened, with the file; [`Unreadable`](crate::payload::Unreadable) has it in parts.
        #[source]
        source: io::Error,
    },
    /// The flow was cancelled before all of its stages had started: nothing was read.
    #[error("interrupted before the flow started")]
    Cancelled,
    /// The engine could not be set up.
    #[error("cannot set up the engine")]
    Engine(#[source] BoxedError),
    /// The runtime broke one of its own rules.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// Whether something was interrupted because the flow had to end, and did not fail: see [`crate::Cut`].
    pub fn is_cut_off(&self) -> bool {
        match self {
            Error::Start { source, .. } | Error::Stage { source, .. } => matches!(source, StageError::CutOff),
            Error::Input { source, .. }
            | Error::Output { source, .. }
            | Error::DeadLetter { source, .. }
            | Error::Payload { source, .. } => CutOff::is(source),
            _ => false,
        }
    }

    /// The stage or endpoint where the error occurred, if it occurred in one.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Error::Start { stage, .. } | Error::Stage { stage, .. } | Error::DeadLetter { stage, .. } => Some(stage),
            Error::Input { input: name, .. }
            | Error::Output { output: name, .. }
            | Error::Payload { reader: name, .. } => Some(name),
            _ => None,
        }
    }

    pub(crate) fn load(path: &Path, reason: LoadError) -> Error {
        Error::Load { path: path.to_path_buf(), reason }
    }
}

fn place(range: &Option<(u64, u64)>) -> String {
    match range {
        None => String::new(),
        Some((first, last)) if first == last => format!(" at element {first}"),
        Some((first, last)) => format!(" at elements {first} to {last}"),
    }
}

/// Why a file is not a component that this runtime can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is larger than `limits.component-size`.
    #[error("the component exceeds its size limit of {} (`limits.component-size`)", format_bytes(*limit))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file has another format.
    #[error("expected a WebAssembly component, found {0}")]
    NotAComponent(String),
    /// The file starts like a component, and is not a valid one.
    #[error("not a valid component: {0}")]
    Malformed(String),
    /// The component exports nothing.
    #[error("expected {expected}, found one that exports nothing")]
    NoExports {
        /// What this runtime runs.
        expected: String,
    },
    /// The component needs more to start than a stage may have.
    #[error(transparent)]
    Start(#[from] StartLimit),
    /// The component has other imports or exports than a stage.
    #[error("expected {expected}, found {found}")]
    World {
        /// What this runtime runs.
        expected: String,
        /// What the component is.
        found: String,
    },
}

impl LoadError {
    pub(crate) fn world(kind: Kind, found: &str) -> LoadError {
        LoadError::World {
            expected: format!("a {kind} of {CONTRACT}"),
            found: text::visible(found, LONGEST_FOUND, false).into_owned(),
        }
    }
}

/// The limit that a component exceeds as soon as it starts, whatever its code does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartLimit {
    /// Its linear memories are too large from the start.
    #[error(
        "the component starts with {} of memory, its memory limit is {} (`limits.memory`)",
        format_bytes(*needed),
        format_bytes(*limit)
    )]
    Memory {
        /// Bytes of its memories so far, including the one that was refused.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its tables are too large from the start.
    #[error("the component starts with {}, a stage may have {limit}", counted(*needed, "table element"))]
    TableElements {
        /// Elements of its tables so far, including the one that was refused.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// It has too many core instances, memories or tables: what the engine says.
    #[error("the component starts with too many parts: {found}, a stage may have {limit}")]
    Parts {
        /// What the engine counted.
        found: String,
        /// The limit of each kind of part.
        limit: usize,
    },
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler process ran out of memory.
    #[error("compilation exceeded its memory limit of {} (`limits.compile-memory`)", format_bytes(*limit))]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The compiler process ran out of time.
    #[error("compilation exceeded its limit of {} of processor time (`limits.compile-time`)", format_duration(*limit))]
    Time {
        /// The limit, in processor time.
        limit: Duration,
    },
    /// The component exceeds what is compiled in this process, where no compiler process is at hand, or anywhere.
    #[error("the component is too complex to compile: {0}")]
    Complex(String),
    /// The compiler process could not be started, or ended in some other way.
    #[error("the compiler process {0}")]
    Process(String),
    /// The engine refused the component.
    #[error("{0}")]
    Refused(String),
}

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The stage trapped.
    #[error("{trap}{}", frames(backtrace))]
    Trap {
        /// The engine's description of the trap.
        trap: String,
        /// The functions on the stack, innermost first, with file and line if the component has debug information.
        backtrace: Vec<String>,
    },
    /// A call timed out.
    #[error("the call exceeded its time limit of {} (`limits.time`)", format_duration(*limit))]
    Deadline {
        /// The limit.
        limit: Duration,
    },
    /// The call was interrupted, because the flow had to end: see [`crate::Cut`].
    #[error("{CutOff}")]
    CutOff,
    /// The stage was refused memory beyond its limit, and trapped.
    #[error("the stage exceeded its memory limit of {} (`limits.memory`) and trapped: {trap}", format_bytes(*limit))]
    Memory {
        /// The limit in bytes.
        limit: u64,
        /// The engine's description of the trap.
        trap: String,
    },
    /// The component needs more to start than the stage may have.
    #[error(transparent)]
    Start(StartLimit),
    /// The stage returned a failure.
    #[error("the stage returned {0}")]
    Failure(String),
    /// The stage returned `fatal`: it cannot process any further element.
    #[error("the stage returned {0}")]
    Fatal(String),
    /// The exports do not have the types of the contract, or the engine refused to instantiate the component.
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    /// The stage tried to copy or hold more than its budget allows.
    #[error("budget-exceeded: {0}, at most {limit} allowed", limit = .0.limit)]
    Budget(Overrun),
    /// The stage cannot have several instances: it keeps something from one call to the next, or the system lacks threads.
    #[error("the stage cannot have replicas: {0}")]
    Replicas(String),
    /// The stage did something that the contract forbids.
    #[error("the stage broke the contract: {0}")]
    Contract(String),
}

fn frames(backtrace: &[String]) -> String {
    backtrace.iter().take(8).map(|frame| format!("\n  in {frame}")).collect()
}
