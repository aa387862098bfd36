//! Places of calls, and what is done with what they read.

use serde::Serialize;

use super::calls::Node;

/// What becomes of the bytes that a call reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// None of them is ever looked at.
    Nothing,
    /// The payload is read whole, and only bytes before this one are looked at.
    Within(u32),
    /// Nothing is known.
    Unknown,
}

/// A call of the host's: the function it is in, and its place in the file.
pub(super) type Place = (Node, usize);
