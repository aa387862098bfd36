//! How elements are appended to files, and when they are written.

use std::time::Duration;

use super::rotation::Rotation;
use super::writer::OutputFraming;

/// How elements are appended to a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendSettings {
    /// How elements are separated.
    pub framing: OutputFraming,
    /// When the elements that were pushed are written.
    pub flush: Flush,
    /// Whether what is written at a flush must survive a crash of the system.
    pub sync: bool,
    /// When the file is rotated, if it is.
    pub rotation: Option<Rotation>,
}

/// When the elements that were pushed are written. At the latest, they are when the flow ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flush {
    /// At the end of each push.
    #[default]
    Element,
    /// This long after the first of them was pushed, by the clock of the flow. Before, if they are many.
    Every(Duration),
    /// When they are many.
    End,
}

impl Flush {
    /// How long elements wait, if a time is set.
    pub(super) fn delay(self) -> Option<Duration> {
        match self {
            Flush::Every(time) => Some(time),
            Flush::Element | Flush::End => None,
        }
    }
}
