//! Why the runtime could not go on, by phase.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::cut::CutOff;
use crate::base::plural::counted;
use crate::base::text::{self, mebibytes};
use crate::contract::{CONTRACT, Kind, Overrun};

/// Letters that are told of what a component is instead: it names its own exports.
const LONGEST_FOUND: usize = 1000;

/// An error of a library underneath.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a component could not be loaded, a flow not be started, or not be finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not a component that can run here.
    #[error("cannot load `{}`", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: LoadError,
    },
    /// A component was not compiled: it would have taken too much, or the process that compiles could not be used.
    #[error("cannot compile `{}`", path.display())]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: CompileError,
    },
    /// The engine refused a component that looked right.
    #[error("cannot load `{}`", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// What the engine says.
        source: BoxedError,
    },
    /// A stage could not be set up.
    #[error("stage `{stage}` cannot start")]
    Start {
        /// The stage.
        stage: String,
        /// What happened.
        #[source]
        fault: StageError,
    },
    /// A stage failed.
    #[error("stage `{stage}` failed in `{call}`{}", place(elements))]
    Stage {
        /// The stage.
        stage: String,
        /// The export that was called.
        call: &'static str,
        /// The sequence numbers of the first and last element that it may have failed at, if it was lent any: that at which
        /// it says so, or else those of its batch.
        elements: Option<(u64, u64)>,
        /// What happened.
        #[source]
        fault: StageError,
    },
    /// Elements could not be had from an input of the host.
    #[error("input `{input}` failed after {}", counted(*elements, "element"))]
    Input {
        /// The input, as its user names it.
        input: String,
        /// Elements that came from it before.
        elements: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Elements could not be delivered to an output of the host.
    #[error("output `{output}` failed after {}", counted(*bytes, "byte"))]
    Output {
        /// The output, as its user names it.
        output: String,
        /// Bytes written to it before.
        bytes: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// An element that a stage failed at could not be kept as a dead letter.
    #[error("a dead letter of stage `{stage}`, element {element}, could not be kept")]
    DeadLetter {
        /// The stage.
        stage: String,
        /// The sequence number of the element.
        element: u64,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A payload that is in a file could not be read from it.
    #[error("a payload cannot be read for `{reader}`{}", place(elements))]
    Payload {
        /// The stage or output that it was read for.
        reader: String,
        /// The sequence numbers of the first and last element of its batch.
        elements: Option<(u64, u64)>,
        /// What happened, with the file; [`Unreadable`](crate::payload::Unreadable) has it in parts.
        #[source]
        source: io::Error,
    },
    /// The flow was cancelled before all of its stages had started: nothing was read.
    #[error("it was interrupted before it had begun")]
    Cancelled,
    /// The engine could not be set up.
    #[error("cannot set up the engine")]
    Engine(#[source] BoxedError),
    /// The runtime broke one of its own rules.
    #[error("a fault of torvyn itself: {0}")]
    Internal(String),
}

impl Error {
    /// Whether it is no failure: something was interrupted because the flow had to end, see [`crate::Cut`].
    pub fn is_cut_off(&self) -> bool {
        match self {
            Error::Start { fault, .. } | Error::Stage { fault, .. } => matches!(fault, StageError::CutOff),
            Error::Input { source, .. }
            | Error::Output { source, .. }
            | Error::DeadLetter { source, .. }
            | Error::Payload { source, .. } => CutOff::is(source),
            _ => false,
        }
    }

    /// The stage or endpoint that it is of, if it is of one.
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

/// Why a file is not a component that can run here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is larger than a component may be.
    #[error("it is larger than the {} a component may have", counted(*limit, "byte"))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// It is something else.
    #[error("expected a WebAssembly component, found {0}")]
    NotAComponent(String),
    /// It begins like a component, and is none.
    #[error("it is not a valid component: {0}")]
    Malformed(String),
    /// It is a component that nothing can be called of.
    #[error("expected {expected}, found one that exports nothing")]
    NoExports {
        /// What this runtime runs.
        expected: String,
    },
    /// It is a component for something else.
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

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The process that compiled it was refused memory.
    #[error(
        "compiling it takes more than the {} of memory that it may; `limits.compile-memory` of the stage sets how much",
        mebibytes(*limit)
    )]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The process that compiled it was ended.
    #[error(
        "compiling it takes more than the {limit:?} of processor time that it may; `limits.compile-time` of the stage sets how \
         much"
    )]
    Time {
        /// The limit, in processor time.
        limit: Duration,
    },
    /// It is beyond what is compiled, without a process that can be stopped or at all.
    #[error("it is too complex to compile: {0}")]
    Complex(String),
    /// The process that compiled it could not be started, or ended in some other way.
    #[error("the process that compiles it {0}")]
    Process(String),
    /// The engine refused it.
    #[error("{0}")]
    Refused(String),
}

/// How a stage failed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It trapped.
    #[error("{trap}{}", frames(backtrace))]
    Trap {
        /// What the engine calls it.
        trap: String,
        /// The functions it was in, innermost first, with file and line where the component tells.
        backtrace: Vec<String>,
    },
    /// It ran longer than it may.
    #[error("it ran longer than the {limit:?} a call may take")]
    Deadline {
        /// The limit.
        limit: Duration,
    },
    /// It was interrupted, because the flow had to end: see [`crate::Cut`].
    #[error("{CutOff}")]
    CutOff,
    /// It wanted more memory than it may have, and trapped.
    #[error("it needed more than the {} of memory it may have, and trapped: {trap}", counted(*limit, "byte"))]
    Memory {
        /// The limit in bytes.
        limit: u64,
        /// What the engine calls the trap.
        trap: String,
    },
    /// It returned a failure of its own.
    #[error("it returned {0}")]
    Failure(String),
    /// It returned that it cannot go on with any element.
    #[error("it returned {0}")]
    Fatal(String),
    /// Its exports do not have the types of the contract, or the engine refused to instantiate it.
    #[error("it does not fit the contract: {0}")]
    Link(String),
    /// It wanted to copy more than its budget allows.
    #[error("budget-exceeded: {0}, of {limit} allowed", limit = .0.limit)]
    Budget(Overrun),
    /// It did what the contract forbids.
    #[error("it broke the contract: {0}")]
    Contract(String),
}

fn frames(backtrace: &[String]) -> String {
    backtrace.iter().take(8).map(|frame| format!("\n  in {frame}")).collect()
}
