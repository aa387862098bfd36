//! [`ContractError`]: why a world cannot be judged. Its WIT is missing or not valid, or it is not the world of a stage.

use std::ops::Range;
use std::path::PathBuf;

use super::{File, Place, What};

/// Why a world cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContractError {
    /// The kind of problem.
    pub reason: Reason,
    /// One lower-case phrase, with names in backticks.
    pub message: String,
    /// Where the problem is, if it is in a file.
    pub place: Option<Box<Place>>,
    /// What to type instead.
    pub help: Option<String>,
    /// The text of the file that `place` refers to.
    pub files: Vec<File>,
}

/// The kind of problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The WIT is missing or cannot be read.
    Missing,
    /// The WIT has a syntax error.
    Syntax,
    /// The WIT refers to something that does not exist, or contradicts itself.
    Unresolved,
    /// No world was named, and the package does not have exactly one.
    NoWorld {
        /// The worlds of the package.
        known: Vec<String>,
    },
    /// There is no such world.
    UnknownWorld {
        /// All worlds in the WIT.
        known: Vec<String>,
    },
    /// The world uses another version of the contract.
    Version {
        /// The package that was found, such as `torvyn:streaming@0.1.0`.
        found: String,
    },
    /// A package has the name and version of the contract, but differs from it.
    Changed,
    /// It is not the world of a stage.
    NotAStage,
}

impl ContractError {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> ContractError {
        ContractError { reason, message: message.into(), place: None, help: None, files: Vec::new() }
    }

    pub(super) fn at(mut self, location: Option<(PathBuf, Range<usize>)>) -> ContractError {
        self.place = location.map(|(file, span)| Box::new(Place { what: What::Fault, file, span }));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> ContractError {
        self.help = Some(help.into());
        self
    }

    /// Adds the file that the error refers to.
    pub(super) fn with_file(mut self, files: &[File]) -> ContractError {
        let Some(place) = &mut self.place else { return self };
        self.files = files.iter().filter(|file| file.path == place.file).cloned().collect();
        // For an unknown character, the parser reports the span of only its first byte.
        if let [file] = &self.files[..] {
            let Range { start, end } = place.span;
            place.span = file.text.floor_char_boundary(start)..file.text.ceil_char_boundary(end);
        }
        self
    }
}
