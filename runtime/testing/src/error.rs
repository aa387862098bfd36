//! Why there is no run to look at, with everything that a failing test has to show for it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why something was not built, or did not run to its end.
///
/// A test that returns one fails with its `Debug` form, which is a report: all causes, what cargo said, and what stages
/// printed before. `{}` is the first line of it, and `{:#}` that and the causes.
pub enum Error {
    /// Nothing can be found relative to the package of the test.
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// Why it was not found.
        source: io::Error,
    },
    /// Cargo did not begin, or could not be listened to.
    Cargo(io::Error),
    /// A package could not be built.
    Build {
        /// The package.
        package: String,
        /// What cargo and the compiler said.
        said: String,
    },
    /// A package was built, and no component came of it.
    NoComponent {
        /// The package.
        package: String,
    },
    /// What was built, or is in the file, is no component that runs here.
    Load(torvyn_runtime::Error),
    /// The stages cannot be put together so.
    Pipeline(String),
    /// The run failed.
    Failed {
        /// At which stage, and how.
        error: Box<torvyn_runtime::Error>,
        /// What stages printed before.
        log: Log,
    },
    /// The run did not come to its end.
    TimedOut {
        /// How long it could take.
        after: Duration,
        /// What stages printed meanwhile.
        log: Log,
    },
    /// The run came to its end, and a fault that a stage was to suffer did not happen.
    FaultNeverCame {
        /// The stage.
        stage: String,
        /// The element that it was to suffer it at.
        element: u64,
    },
    /// `cargo torvyn test` found something.
    Cases {
        /// The manifest.
        path: PathBuf,
        /// What it said.
        said: String,
    },
}

impl Error {
    /// How a run failed, if it began and did.
    pub fn failure(&self) -> Option<&torvyn_runtime::Error> {
        match self {
            Error::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// What a stage printed before the run failed, a line each.
    pub fn log(&self, stage: &str) -> Vec<&str> {
        match self {
            Error::Failed { log, .. } | Error::TimedOut { log, .. } => log.of(stage).collect(),
            _ => Vec::new(),
        }
    }
}

/// What stages printed, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(pub(crate) Vec<(String, String)>);

impl Log {
    /// The lines of one stage.
    pub(crate) fn of(&self, stage: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| of == stage).map(|(_, line)| line.as_str())
    }
}

/// All lines, each behind its stage.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(stage, line)| write!(f, "\n  {stage}: {line}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Missing { source, .. } | Error::Cargo(source) => Some(source),
            // Those are told in their own words, and so are not their own causes.
            Error::Load(error) => error.source(),
            Error::Failed { error, .. } => error.source(),
            Error::Build { .. }
            | Error::NoComponent { .. }
            | Error::Pipeline(_)
            | Error::TimedOut { .. }
            | Error::FaultNeverCame { .. }
            | Error::Cases { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing { path, .. } => write!(f, "`{}` is not there", path.display()),
            Error::Cargo(_) => f.write_str("cannot run `cargo`"),
            Error::Build { package, .. } => write!(f, "package `{package}` was not built"),
            Error::NoComponent { package } => {
                write!(f, "package `{package}` makes no component: its library is no `cdylib`")
            }
            Error::Load(error) => write!(f, "{error}"),
            Error::Pipeline(wrong) => f.write_str(wrong),
            Error::Failed { error, .. } => write!(f, "{error}"),
            Error::TimedOut { after, .. } => write!(f, "it did not come to its end within {after:?}"),
            Error::FaultNeverCame { stage, element } => write!(f, "`{stage}` did not come to element {element}"),
            Error::Cases { path, .. } => write!(f, "the cases of `{}` do not pass", path.display()),
        }?;
        if f.alternate() { causes(self).skip(1).try_for_each(|cause| write!(f, ": {cause}")) } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        causes(self).skip(1).try_for_each(|cause| write!(f, "\n  caused by: {cause}"))?;
        match self {
            Error::Build { said, .. } | Error::Cases { said, .. } => write!(f, "\n{}", said.trim_end()),
            Error::Failed { log, .. } | Error::TimedOut { log, .. } if !log.0.is_empty() => {
                write!(f, "\nwhat stages printed:{log}")
            }
            _ => Ok(()),
        }
    }
}

/// An error, what is behind it, and so on.
pub(crate) fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
