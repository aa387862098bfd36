//! How the program ends: the only source of exit codes.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;

use serde::Serialize;

/// How the program ended. The codes are part of the stable interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded.
    Ok = 0,
    /// The arguments are not valid.
    Usage = 2,
    /// The arguments select nothing.
    NothingSelected = 4,
    /// Something must be installed first.
    SetupMissing = 96,
    /// The command ran and found a problem.
    Findings = 100,
    /// The command could not be carried out.
    Failed = 101,
    /// Ended by SIGHUP: the terminal was closed.
    HungUp = 129,
    /// Ended by SIGINT, from the keyboard.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The value of `outcome` in JSON.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Exit::Ok => "succeeded",
            Exit::Usage => "usage-error",
            Exit::NothingSelected => "nothing-selected",
            Exit::SetupMissing => "setup-missing",
            Exit::Findings => "findings",
            Exit::Failed => "failed",
            Exit::HungUp => "hung-up",
            Exit::Interrupted => "interrupted",
            Exit::Terminated => "terminated",
        }
    }

    /// The exit of the [`Stop`] in an error, or [`Exit::Failed`] if it has none.
    pub(crate) fn from_error(error: &anyhow::Error) -> Exit {
        error.downcast_ref::<Stop>().map_or(Exit::Failed, |stop| stop.exit)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A place in a file, for programs. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// The path; bytes that are not UTF-8 become replacement characters.
    pub(crate) file: String,
    /// None if the text of the file is not known.
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
}

/// An error with an exit code and an optional help.
#[derive(Debug)]
pub(crate) struct Stop {
    exit: Exit,
    message: String,
    /// What to type instead, if known.
    pub(crate) help: Option<String>,
    /// The stable code, if the error has a specific one.
    code: Option<&'static str>,
    /// The place in a user's file, if there is one.
    pub(crate) place: Option<Box<Place>>,
    /// Whether the error has already been printed for people.
    is_silent: bool,
}

impl Stop {
    /// An error that exits with `exit`. The message is a lowercase phrase with names in backticks.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Stop { exit, message: message.into(), help: None, code: None, place: None, is_silent: false }
    }

    /// Sets the stable code, one of `failure` or `codes`.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Stop { code: Some(code), ..self }
    }

    /// Sets the place.
    pub(crate) fn place(self, place: Option<Place>) -> Self {
        Stop { place: place.map(Box::new), ..self }
    }

    /// The exit of the program.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The specific code, if one was set.
    pub(crate) fn own_code(&self) -> Option<&'static str> {
        self.code
    }

    /// Sets the help: what to type instead.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Stop { help: Some(help.into()), ..self }
    }

    /// An error that prints nothing, because everything has been printed already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Stop { is_silent: true, ..Stop::new(exit, "") }
    }

    /// Like [`Stop::silent`], for an error that was printed only for people: programs get this message.
    pub(crate) fn silent_with(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Stop { is_silent: true, ..Stop::new(exit, message).code(code) }
    }

    /// Whether the error has already been printed for people.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether the error has already been recorded for programs.
    pub(crate) fn is_recorded(&self) -> bool {
        self.is_silent && self.message.is_empty()
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
    fn stop_decides_the_exit_under_any_context() {
        let stop = Err::<(), _>(Stop::new(Exit::SetupMissing, "no compiler")).context("could not build");
        assert_eq!(Exit::from_error(&stop.unwrap_err()), Exit::SetupMissing);
        assert_eq!(Exit::from_error(&anyhow::anyhow!("disk full")), Exit::Failed);
    }
}
