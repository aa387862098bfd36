//! How the program ends: the only source of exit codes.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;

use serde::Serialize;

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
    /// The word for it in what programs read: `outcome`.
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

/// A place in a file, for programs. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// Where it is not UTF-8, with replacement characters.
    pub(crate) file: String,
    /// None where the text of the file is not known.
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
}

/// An error that knows how the program ends with it, and what to type instead.
#[derive(Debug)]
pub(crate) struct Stop {
    exit: Exit,
    message: String,
    /// What to type, if that is known.
    pub(crate) help: Option<String>,
    /// Its stable name, where it has one of its own.
    code: Option<&'static str>,
    /// The place in a person's file that it is about.
    pub(crate) place: Option<Box<Place>>,
    /// Whether people were told already.
    is_silent: bool,
}

impl Stop {
    /// Ends with `exit`. The message is a lowercase phrase with names in backticks.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Stop { exit, message: message.into(), help: None, code: None, place: None, is_silent: false }
    }

    /// Gives it a stable name, one of `failure` or of `codes`.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Stop { code: Some(code), ..self }
    }

    /// Says where it is about.
    pub(crate) fn place(self, place: Option<Place>) -> Self {
        Stop { place: place.map(Box::new), ..self }
    }

    /// How the program ends with it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The stable name that was given to it.
    pub(crate) fn own_code(&self) -> Option<&'static str> {
        self.code
    }

    /// Adds what to type instead.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Stop { help: Some(help.into()), ..self }
    }

    /// Ends with `exit` and prints nothing, because it was printed already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Stop { is_silent: true, ..Stop::new(exit, "") }
    }

    /// As [`Stop::silent`], for what only people were told: programs get this message.
    pub(crate) fn silent_with(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Stop { is_silent: true, ..Stop::new(exit, message).code(code) }
    }

    /// Whether people were told already.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether programs were told already.
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
    fn a_stop_decides_the_exit_under_any_context() {
        let stop = Err::<(), _>(Stop::new(Exit::SetupMissing, "no compiler")).context("could not build");
        assert_eq!(Exit::of(&stop.unwrap_err()), Exit::SetupMissing);
        assert_eq!(Exit::of(&anyhow::anyhow!("disk full")), Exit::Failed);
    }
}
