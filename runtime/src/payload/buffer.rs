//! What views share: memory that can no longer be written, or a file. Each is a buffer in the table of its pool.

use bytes::Bytes;

use super::{Pool, SourceFile};
use crate::ledger::ownership::BufferId;

/// What views share.
pub(super) struct Buffer {
    pub(super) memory: Memory,
    id: BufferId,
    /// Bytes of memory that it keeps while there are views of it.
    kept: usize,
    /// The pool that must release it; `None` if its memory is a block, which releases itself.
    pool: Option<Pool>,
}

/// Where the bytes of a buffer are.
pub(super) enum Memory {
    /// In a block of the pool, or in memory that an endpoint brought.
    Heap(Bytes),
    /// In a file, read on demand.
    File(SourceFile),
}

impl Buffer {
    /// The buffer of a block, which is released with the last of `bytes`.
    pub(super) fn block(bytes: Bytes, id: BufferId, kept: usize) -> Buffer {
        Buffer { memory: Memory::Heap(bytes), id, kept, pool: None }
    }

    pub(super) fn adopted(bytes: Bytes, id: BufferId, pool: Pool) -> Buffer {
        let kept = bytes.len();
        Buffer { memory: Memory::Heap(bytes), id, kept, pool: Some(pool) }
    }

    pub(super) fn file(file: SourceFile, id: BufferId, pool: Pool) -> Buffer {
        Buffer { memory: Memory::File(file), id, kept: 0, pool: Some(pool) }
    }

    /// Its id in the table of the pool.
    pub(super) fn id(&self) -> BufferId {
        self.id
    }

    /// Bytes of memory that it keeps while there are views of it.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.release_adopted(self.id);
        }
    }
}
