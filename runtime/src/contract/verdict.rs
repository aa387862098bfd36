//! [`Verdict`]: what a component can do with payloads.

use std::fmt;

use serde::Serialize;

/// What a component can do with payloads, judged by the functions that its binary imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It can neither read nor write payloads: no payload byte crosses its boundary.
    HandlePass,
    /// It can read payloads, and cannot write them.
    ReadOnly,
    /// It can write payloads.
    Rewrite,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::HandlePass => "handle-pass",
            Verdict::ReadOnly => "read-only",
            Verdict::Rewrite => "rewrite",
        })
    }
}
