//! Pooled memory in size classes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use super::view::View;
use super::{Block, Buffer, Payload, SourceFile};

/// The smallest size class in bytes; the others are the powers of two above it.
const SMALLEST_CLASS: usize = 4 << 10;
/// The largest size class in bytes. Larger blocks are allocated for the occasion and not kept.
const LARGEST_CLASS: usize = 64 << 20;
const CLASSES: usize = (LARGEST_CLASS / SMALLEST_CLASS).ilog2() as usize + 1;
/// Bytes that wait for reuse, over all classes; what comes back beyond that is freed.
const KEPT_BYTES: u64 = 32 << 20;

/// Memory for payloads, shared by the stages and endpoints of one flow.
#[derive(Clone, Default)]
pub struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// For each class the blocks that wait for reuse. Taken once a block, not once an element.
    waiting: Mutex<[Vec<Vec<u8>>; CLASSES]>,
    allocated: AtomicU64,
    reused: AtomicU64,
    returned: AtomicU64,
    dropped: AtomicU64,
    kept_bytes: AtomicU64,
}

/// How a pool was used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PoolUse {
    /// Blocks handed out.
    pub allocated: u64,
    /// Blocks that came back to wait for reuse.
    pub returned: u64,
    /// Blocks handed out that had been used before ÷ blocks handed out; `None` where none was.
    pub reuse_rate: Option<f64>,
    /// Blocks handed out that somebody still holds.
    pub live_at_end: u64,
}

impl Pool {
    /// A block with room for at least `len` bytes, in the smallest class that has it.
    pub fn take(&self, len: usize) -> Block {
        self.0.allocated.fetch_add(1, Ordering::Relaxed);
        let memory = match class(len) {
            Some(class) => self.take_waiting(class).unwrap_or_else(|| Vec::with_capacity(SMALLEST_CLASS << class)),
            None => Vec::with_capacity(len),
        };
        Block::new(memory, self.clone())
    }

    fn take_waiting(&self, class: usize) -> Option<Vec<u8>> {
        let memory = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)[class].pop()?;
        self.0.reused.fetch_add(1, Ordering::Relaxed);
        self.0.kept_bytes.fetch_sub(memory.capacity() as u64, Ordering::Relaxed);
        Some(memory)
    }

    pub(super) fn give_back(&self, mut memory: Vec<u8>) {
        memory.clear();
        let len = memory.capacity() as u64;
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
        let Some(class) = class(memory.capacity()) else { return };
        if self.0.kept_bytes.load(Ordering::Relaxed) + len > KEPT_BYTES {
            return;
        }
        self.0.kept_bytes.fetch_add(len, Ordering::Relaxed);
        self.0.returned.fetch_add(1, Ordering::Relaxed);
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)[class].push(memory);
    }

    /// A payload of bytes that are not of this pool.
    pub fn adopt(&self, bytes: Bytes) -> Payload {
        let len = bytes.len();
        View::whole(Buffer::Heap { bytes, kept: len }, len).into()
    }

    /// All of a file as a payload. It is read where somebody reads it, and only then.
    pub fn adopt_file(&self, file: SourceFile) -> Payload {
        let len = usize::try_from(file.size()).expect("a size of a file is an address");
        View::whole(Buffer::File(file), len).into()
    }

    /// How it was used so far.
    pub fn usage(&self) -> PoolUse {
        let allocated = self.0.allocated.load(Ordering::Relaxed);
        let reused = self.0.reused.load(Ordering::Relaxed);
        PoolUse {
            allocated,
            returned: self.0.returned.load(Ordering::Relaxed),
            reuse_rate: (allocated > 0).then(|| reused as f64 / allocated as f64),
            live_at_end: allocated - self.0.dropped.load(Ordering::Relaxed),
        }
    }
}

/// The smallest class that has `len` bytes.
fn class(len: usize) -> Option<usize> {
    (len <= LARGEST_CLASS)
        .then(|| len.max(SMALLEST_CLASS).next_power_of_two().ilog2() as usize)
        .map(|log| log - SMALLEST_CLASS.ilog2() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_fit_class() {
        let sizes = [0, 1, 4096, 4097, 8192, LARGEST_CLASS, LARGEST_CLASS + 1];
        assert_eq!(sizes.map(class), [Some(0), Some(0), Some(0), Some(1), Some(1), Some(14), None]);
        assert_eq!(CLASSES, 15);
    }

    #[test]
    fn memory_returns_with_the_last_slice() {
        let pool = Pool::default();
        let mut block = pool.take(10);
        block.append(b"0123456789").unwrap();
        let whole = block.freeze();
        let part = whole.slice(2, 2).unwrap();
        drop(whole);
        assert_eq!(pool.usage().live_at_end, 1);
        drop(part);
        assert_eq!(pool.usage(), PoolUse { allocated: 1, returned: 1, reuse_rate: Some(0.0), live_at_end: 0 });
        drop(pool.take(4096));
        assert_eq!(pool.usage(), PoolUse { allocated: 2, returned: 2, reuse_rate: Some(0.5), live_at_end: 0 });
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pool = Pool::default();
        let blocks: Vec<_> = (0..3).map(|_| pool.take(16 << 20)).collect();
        drop(blocks);
        let usage = pool.usage();
        assert_eq!((usage.returned, usage.live_at_end), (2, 0));
        drop(pool.take(LARGEST_CLASS + 1));
        assert_eq!(pool.usage().returned, 2);
    }
}
