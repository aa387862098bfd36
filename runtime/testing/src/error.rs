//! [`Error`]: why a component was not built or a run failed, formatted as a report for a failing test.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use torvyn_runtime::base::text::format_duration;

/// Why a component was not built, or a run did not succeed.
///
/// A test that returns an `Error` fails with its `Debug` form, which is a report: all causes, the output of cargo, and
/// the lines that stages printed before. `{}` is its first line, and `{:#}` the first line with all causes.
pub enum Error {
    /// A path relative to the package of the test does not exist.
    Missing {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Cargo could not be started, or its output not be read.
    Cargo(io::Error),
    /// A package could not be built.
    Build {
        /// The package.
        package: String,
        /// The output of cargo and the compiler.
        output: String,
    },
    /// The package was built, but is not a component.
    NoComponent {
        /// The package.
        package: String,
    },
    /// The component is not a stage that the runtime can run.
    Load(torvyn_runtime::Error),
    /// The stages do not form a pipeline.
    Pipeline(String),
    /// The run failed.
    Failed {
        /// Where and how it failed.
        error: Box<torvyn_runtime::Error>,
        /// The lines that stages printed before.
        log: Log,
    },
    /// The run timed out.
    TimedOut {
        /// The timeout.
        after: Duration,
        /// The lines that stages printed before.
        log: Log,
    },
    /// The run succeeded, but a fault was never injected.
    FaultNotInjected {
        /// The stage.
        stage: String,
        /// The element that the fault was to be injected at.
        element: u64,
    },
    /// `cargo torvyn test` failed.
    Cases {
        /// The manifest.
        path: PathBuf,
        /// Its output.
        output: String,
    },
}

impl Error {
    /// How the run failed, if this is [`Error::Failed`].
    pub fn failure(&self) -> Option<&torvyn_runtime::Error> {
        match self {
            Error::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The lines that a stage printed before the run failed or timed out.
    pub fn log(&self, stage: &str) -> Vec<&str> {
        match self {
            Error::Failed { log, .. } | Error::TimedOut { log, .. } => log.of(stage).collect(),
            _ => Vec::new(),
        }
    }
}

/// The lines that stages printed, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(pub(crate) Vec<(String, String)>);

impl Log {
    /// The lines of one stage.
    pub(crate) fn of(&self, stage: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| of == stage).map(|(_, line)| line.as_str())
    }
}

/// Formats all lines, each after the name of its stage.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(stage, line)| write!(f, "\n  {stage}: {line}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Missing { source, .. } | Error::Cargo(source) => Some(source),
            // `Display` prints these errors themselves, so their source is the next cause.
            Error::Load(error) => error.source(),
            Error::Failed { error, .. } => error.source(),
            Error::Build { .. }
            | Error::NoComponent { .. }
            | Error::Pipeline(_)
            | Error::TimedOut { .. }
            | Error::FaultNotInjected { .. }
            | Error::Cases { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing { path, .. } => write!(f, "`{}` does not exist", path.display()),
            Error::Cargo(_) => f.write_str("cannot run `cargo`"),
            Error::Build { package, .. } => write!(f, "cannot build package `{package}`"),
            Error::NoComponent { package } => {
                write!(f, "package `{package}` is not a component: add `crate-type = [\"cdylib\"]` to `[lib]`")
            }
            Error::Load(error) => write!(f, "{error}"),
            Error::Pipeline(wrong) => f.write_str(wrong),
            Error::Failed { error, .. } => write!(f, "{error}"),
            Error::TimedOut { after, .. } => write!(f, "the run timed out after {}", format_duration(*after)),
            Error::FaultNotInjected { stage, element } => {
                write!(f, "a fault was not injected: stage `{stage}` never got to element {element}")
            }
            Error::Cases { path, .. } => write!(f, "cases of `{}` failed", path.display()),
        }?;
        if f.alternate() { causes(self).skip(1).try_for_each(|cause| write!(f, ": {cause}")) } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        causes(self).skip(1).try_for_each(|cause| write!(f, "\n  caused by: {cause}"))?;
        match self {
            Error::Build { output, .. } | Error::Cases { output, .. } => write!(f, "\n{}", output.trim_end()),
            Error::Failed { log, .. } | Error::TimedOut { log, .. } if !log.0.is_empty() => {
                write!(f, "\noutput of the stages:{log}")
            }
            _ => Ok(()),
        }
    }
}

/// An error and its chain of sources.
pub(crate) fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
