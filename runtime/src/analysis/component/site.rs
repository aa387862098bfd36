//! The places of calls, and how the bytes that they read are used.

use serde::Serialize;

use super::calls::Node;

/// How the bytes that a call reads are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// No byte is ever used.
    Nothing,
    /// The whole payload is read, but only bytes before this offset are used.
    Within(u32),
    /// The use is not known.
    Unknown,
}

/// A call of a host function: the function that contains it, and its offset in the file.
pub(super) type Place = (Node, usize);
