//! Why nothing can be said of a world: its WIT is missing or wrong, or it is not a world of a stage.

use std::ops::Range;
use std::path::PathBuf;

use super::{File, Place, What};

/// Why nothing can be said of a world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContractError {
    /// The kind of it.
    pub reason: Reason,
    /// One lower-case phrase, names in backticks.
    pub message: String,
    /// Where it is wrong, where that is in a file.
    pub place: Option<Box<Place>>,
    /// What to type instead.
    pub help: Option<String>,
    /// The text of the file that the place points into.
    pub files: Vec<File>,
}

/// What is wrong, in kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no WIT, or it cannot be read.
    Missing,
    /// The WIT is not WIT.
    Syntax,
    /// The WIT speaks of something that is not there, or contradicts itself.
    Unresolved,
    /// No world is named, and there is not just one that could be meant.
    NoWorld {
        /// The worlds that there are.
        known: Vec<String>,
    },
    /// No such world is there.
    UnknownWorld {
        /// The worlds that there are.
        known: Vec<String>,
    },
    /// It is a world of another version of the contract.
    Version {
        /// The package that was found, `torvyn:streaming@0.1.0` and such.
        found: String,
    },
    /// What has the name and version of the contract is not the contract.
    Changed,
    /// It is not a world of a stage.
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

    /// Keeps of the files the one that is pointed into.
    pub(super) fn with(mut self, files: &[File]) -> ContractError {
        let Some(place) = &mut self.place else { return self };
        self.files = files.iter().filter(|file| file.path == place.file).cloned().collect();
        // The parser calls one byte the place of a character that it does not know.
        if let [file] = &self.files[..] {
            let Range { start, end } = place.span;
            place.span = file.text.floor_char_boundary(start)..file.text.ceil_char_boundary(end);
        }
        self
    }
}
