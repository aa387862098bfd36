//! [`Kind`]: source, processor or sink.

use std::fmt;

use serde::Serialize;

/// The kind of a stage: what its component exports. Inputs and outputs of the host are not components and have no kind; the
/// place of any node in a graph is its [`Role`](crate::pipeline::graph::Role).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The component exports `source`.
    Source,
    /// The component exports `processor`.
    Processor,
    /// The component exports `sink`.
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
