//! What a stage is allowed to copy.

use serde::Serialize;

/// What a stage may copy for one element; nothing is counted against a limit that is not given. See the parent module
/// for the units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How often the payload of an element may be read.
    pub reads: Option<u32>,
    /// How many payloads may be written for an element.
    pub writes: Option<u32>,
    /// How many payload bytes of an element may be read, over all reads.
    pub read_bytes: Option<u64>,
}
