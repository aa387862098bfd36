//! Pooled memory in size classes, shared by the stages and endpoints of one flow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::classes::{Class, Classes, PoolSettings, PoolUse};
use super::view::View;
use super::{Block, Buffer, Payload, SourceFile};

/// Memory for payloads, shared by the stages and endpoints of one flow.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Classes>>);

impl Pool {
    /// A pool that keeps as much as `settings` say.
    pub fn new(settings: PoolSettings) -> Pool {
        Pool(Arc::new(Mutex::new(Classes::new(settings))))
    }

    /// Taken once a block, and never for an element.
    fn lock(&self) -> MutexGuard<'_, Classes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block with room for at least `len` bytes, in the smallest class that has it.
    pub fn take(&self, len: usize) -> Block {
        let class = Class::of(len);
        let waiting = self.lock().take(class);
        let memory = waiting.unwrap_or_else(|| Vec::with_capacity(class.map_or(len, Class::bytes)));
        Block::new(memory, class, self.clone())
    }

    /// A block with room for `len` bytes and no more. Its memory is in no class: it is freed when it comes back.
    pub(super) fn take_exact(&self, len: usize) -> Block {
        self.lock().take(None);
        Block::new(Vec::with_capacity(len), None, self.clone())
    }

    pub(super) fn give_back(&self, memory: Vec<u8>, class: Option<Class>) {
        let freed = self.lock().give_back(memory, class);
        drop(freed);
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
        self.lock().usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let usage = pool.usage();
        assert_eq!((usage.allocated, usage.returned, usage.reuse_rate, usage.live_at_end), (1, 1, Some(0.0), 0));
        drop(pool.take(4096));
        let usage = pool.usage();
        assert_eq!((usage.allocated, usage.returned, usage.reuse_rate, usage.live_at_end), (2, 2, Some(0.5), 0));
    }

    #[test]
    fn memory_of_an_exact_size_is_not_kept() {
        let pool = Pool::default();
        // The size of a class, and all the same of none.
        drop(pool.take_exact(4096));
        assert_eq!((pool.usage().returned, pool.usage().live_at_end), (0, 0));
        drop(pool.take(4096));
        assert_eq!(pool.usage().reuse_rate, Some(0.0));
    }
}
