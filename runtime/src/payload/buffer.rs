//! The memory of payloads, which views share.

use bytes::Bytes;

/// Memory that can no longer be written.
pub(super) enum Buffer {
    /// A block of the pool, or what an endpoint brought.
    Heap(Bytes),
}
