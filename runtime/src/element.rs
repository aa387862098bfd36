//! What moves through a flow.

use crate::payload::Payload;

/// An element: metadata, and the payload in host memory.
#[derive(Debug, Clone)]
pub struct Element {
    /// The payload. Cloning it shares the bytes.
    pub payload: Payload,
    /// Its number at the source it came from, from 0.
    pub sequence: u64,
    /// When it entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
}
