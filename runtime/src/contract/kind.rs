//! The kinds of stages.

use std::fmt;

use serde::Serialize;

/// The role of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It exports `source`.
    Source,
    /// It exports `processor`.
    Processor,
    /// It exports `sink`.
    Sink,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Source => "source",
            Kind::Processor => "processor",
            Kind::Sink => "sink",
        })
    }
}
