//! What views share: memory that can no longer be written, or a file.

use bytes::Bytes;

use super::SourceFile;

/// What views share.
pub(super) enum Buffer {
    /// A block of the pool, or what an endpoint brought.
    Heap {
        /// What was written.
        bytes: Bytes,
        /// Bytes of memory that it keeps, which can be more.
        kept: usize,
    },
    /// A file, read where somebody reads it.
    File(SourceFile),
}

impl Buffer {
    /// Bytes of memory that it keeps as long as anybody has a view of it.
    pub(super) fn kept(&self) -> usize {
        match self {
            Buffer::Heap { kept, .. } => *kept,
            Buffer::File(_) => 0,
        }
    }
}
