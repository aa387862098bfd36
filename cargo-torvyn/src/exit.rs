//! How the program ends: the only source of exit codes.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;

/// How the program ended. The codes are part of the stable interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// The arguments make no sense.
    Usage = 2,
    /// What was asked for applies to nothing here.
    NothingSelected = 4,
    /// Something must be installed first.
    SetupMissing = 96,
    /// It was done, and found something that is not as it should be.
    Findings = 100,
    /// It could not be done.
    Failed = 101,
    /// The terminal was closed.
    HungUp = 129,
    /// Interrupted from the keyboard.
    Interrupted = 130,
    /// Told to terminate.
    Terminated = 143,
}

impl Exit {
    /// The exit that an error asks for with a [`Stop`], and [`Exit::Failed`] for any other.
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        error.downcast_ref::<Stop>().map_or(Exit::Failed, |stop| stop.exit)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error that knows how the program ends with it, and what to type instead.
#[derive(Debug)]
pub(crate) struct Stop {
    exit: Exit,
    message: String,
    /// What to type, if that is known.
    pub(crate) help: Option<String>,
}

impl Stop {
    /// Ends with `exit`. The message is a lowercase phrase with names in backticks.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Stop { exit, message: message.into(), help: None }
    }

    /// Adds what to type instead.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Stop { help: Some(help.into()), ..self }
    }

    /// Ends with `exit` and says nothing, because the program that was run has said it.
    pub(crate) fn silent(exit: Exit) -> Self {
        Stop::new(exit, "")
    }

    /// Whether there is nothing to add to what was said already.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Stop {}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_stop_decides_the_exit_under_any_context() {
        let stop = Err::<(), _>(Stop::new(Exit::SetupMissing, "no compiler")).context("could not build");
        assert_eq!(Exit::of(&stop.unwrap_err()), Exit::SetupMissing);
        assert_eq!(Exit::of(&anyhow::anyhow!("disk full")), Exit::Failed);
    }
}
