//! Pinned memory: what held payloads keep in memory beyond their own bytes. A small slice keeps its whole buffer.

use std::collections::HashMap;
use std::io;

use super::view::View;
use super::{Payload, Pool};
use crate::ledger::ownership::{BufferId, Mode, StageId};

/// The most bytes of a block that payloads are compacted into together.
const COMPACT_BYTES: usize = 1 << 20;

/// The buffers of the payloads that a stage holds. Each is leased and counted once, however many payloads are in it; files keep
/// no memory.
pub struct Pinned {
    pool: Pool,
    stage: StageId,
    buffers: HashMap<BufferId, Kept>,
    bytes: u64,
}

struct Kept {
    mode: Mode,
    /// Bytes of memory.
    bytes: u64,
    /// Bytes of its views. Bytes that several views share count for each.
    held: u64,
    views: u64,
}

impl Kept {
    fn pinned(&self) -> u64 {
        self.bytes.saturating_sub(self.held)
    }
}

impl Pinned {
    /// No held payloads, for this stage.
    pub fn new(pool: Pool, stage: StageId) -> Pinned {
        Pinned { pool, stage, buffers: HashMap::new(), bytes: 0 }
    }

    /// Adds a payload that is held from now on.
    pub fn add(&mut self, payload: &Payload, mode: Mode) {
        for view in payload.views() {
            let (id, bytes) = (view.buffer().id(), view.buffer().kept() as u64);
            let kept = self.buffers.entry(id).or_insert_with(|| {
                self.pool.lease(self.stage, id, mode);
                Kept { mode, bytes, held: 0, views: 0 }
            });
            self.bytes -= if kept.views == 0 { 0 } else { kept.pinned() };
            kept.held += view.len as u64;
            kept.views += 1;
            self.bytes += kept.pinned();
        }
    }

    /// Removes a payload that was added and is no longer held.
    pub fn remove(&mut self, payload: &Payload) {
        for view in payload.views() {
            let id = view.buffer().id();
            let Some(kept) = self.buffers.get_mut(&id) else { continue };
            self.bytes -= kept.pinned();
            kept.held = kept.held.saturating_sub(view.len as u64);
            kept.views = kept.views.saturating_sub(1);
            if kept.views == 0 {
                self.buffers.remove(&id);
                self.pool.end_lease(self.stage, id);
            } else {
                self.bytes += kept.pinned();
            }
        }
    }

    /// Makes the lease on a payload that was added exclusively a shared one.
    pub fn share(&mut self, payload: &Payload) {
        for view in payload.views() {
            let id = view.buffer().id();
            if let Some(kept) = self.buffers.get_mut(&id).filter(|kept| kept.mode == Mode::Exclusive) {
                kept.mode = Mode::Shared;
                self.pool.end_lease(self.stage, id);
                self.pool.lease(self.stage, id, Mode::Shared);
            }
        }
    }

    /// Bytes of memory of the buffers that are in none of the payloads.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies payloads that pin memory into blocks of just their size. `held` are the payloads that were added; those that pin
    /// nothing stay where they are. Returns the bytes copied: a copy within the host that the caller must record.
    ///
    /// # Errors
    ///
    /// If a part of a payload must be read from a file and cannot be.
    pub fn compact<'a>(&mut self, held: impl IntoIterator<Item = &'a mut Payload>) -> io::Result<u64> {
        let mut moved = 0;
        let mut together: Vec<&mut Payload> = Vec::new();
        let mut bytes = 0;
        let wasteful: Vec<_> = held.into_iter().filter(|payload| self.wastes(payload)).collect();
        for payload in wasteful {
            if bytes + payload.len() > COMPACT_BYTES && bytes > 0 {
                self.move_together(&mut together, bytes, &mut moved)?;
                bytes = 0;
            }
            bytes += payload.len();
            together.push(payload);
        }
        self.move_together(&mut together, bytes, &mut moved)?;
        Ok(moved)
    }

    fn wastes(&self, payload: &Payload) -> bool {
        let kept = |view: &View| self.buffers.get(&view.buffer().id());
        payload.views().iter().filter_map(kept).any(|kept| kept.pinned() > 0)
    }

    fn move_together(&mut self, payloads: &mut Vec<&mut Payload>, bytes: usize, moved: &mut u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let mut block = self.pool.take_exact(bytes);
        for payload in payloads.iter() {
            payload.views().iter().try_for_each(|view| view.append_to(&mut block).map(drop))?;
        }
        let whole = block.freeze();
        let mut at = 0;
        for payload in payloads.drain(..) {
            let own = whole.slice(at, payload.len()).expect("the block contains all of them");
            at += payload.len();
            self.remove(payload);
            // Payloads that are copied together share a buffer, so its lease is shared.
            self.add(&own, Mode::Shared);
            *moved += own.len() as u64;
            *payload = own;
        }
        Ok(())
    }
}

impl Payload {
    /// Copies the payload into memory of exactly its size: for a small slice that would keep a large buffer. This is a copy within
    /// the host that the caller must record.
    ///
    /// # Errors
    ///
    /// If a part of it must be read from a file and cannot be.
    pub fn compact(&self, pool: &Pool) -> io::Result<Payload> {
        let mut block = pool.take_exact(self.len());
        self.views().iter().try_for_each(|view| view.append_to(&mut block).map(drop))?;
        Ok(block.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Recorder;
    use crate::payload::PoolSettings;

    fn lines(pool: &Pool, count: usize, len: usize) -> Vec<Payload> {
        let mut block = pool.take(count * len);
        let bytes: Vec<u8> = (0..count * len).map(|index| index as u8).collect();
        block.append(&bytes).unwrap();
        let whole = block.freeze();
        (0..count).map(|index| whole.slice(index * len, len).unwrap()).collect()
    }

    #[test]
    fn pins_a_buffer_once_less_its_held_bytes() {
        let pool = Pool::new(PoolSettings::default(), 1, Recorder::off());
        let lines = lines(&pool, 1024, 128);
        let mut pinned = Pinned::new(pool.clone(), StageId(0));
        let mut pins = |line: &Payload, add: bool| {
            if add {
                pinned.add(line, Mode::Shared)
            } else {
                pinned.remove(line)
            }
            pinned.bytes()
        };
        assert_eq!(pins(&lines[0], true), (128 << 10) - 128);
        assert_eq!(pins(&lines[7], true), (128 << 10) - 256);
        // Held twice, and in two pieces.
        assert_eq!(pins(&Payload::join([&lines[9], &lines[3]]), true), (128 << 10) - 512);
        assert_eq!(pins(&lines[0], false), (128 << 10) - 384);
        assert_eq!(pins(&lines[7], false), (128 << 10) - 256);
        assert_eq!(pins(&Payload::join([&lines[9], &lines[3]]), false), 0);
        assert_eq!(pins(&Payload::default(), true), 0);
        // A payload that is held more than once cannot pin less than nothing.
        let whole = Payload::join(&lines);
        assert_eq!((pins(&whole, true), pins(&whole, true), pins(&whole, false), pins(&whole, false)), (0, 0, 0, 0));
    }

    #[test]
    fn compacted_payloads_pin_nothing() {
        let pool = Pool::new(PoolSettings::default(), 1, Recorder::off());
        let mut held: Vec<Payload> = (0..100).map(|index| lines(&pool, 1024, 128).swap_remove(index)).collect();
        let (mut full, expected) = (lines(&pool, 1024, 128), lines(&pool, 1024, 128));
        let mut pinned = Pinned::new(pool.clone(), StageId(0));
        held.iter().chain(&full).for_each(|payload| pinned.add(payload, Mode::Shared));
        assert_eq!(pinned.bytes(), 100 * ((128 << 10) - 128));
        let moved = pinned.compact(held.iter_mut().chain(&mut full)).unwrap();
        assert_eq!((moved, pinned.bytes()), (12_800, 0));
        for (index, payload) in held.iter().enumerate() {
            assert_eq!(payload.to_vec(&pool).unwrap(), expected[index].to_vec(&pool).unwrap());
        }
        // One block for the hundred, one for the lines of one block, and that of what is expected.
        assert_eq!(pool.usage().live_at_end, 3);
        assert_eq!(pinned.compact(held.iter_mut().chain(&mut full)).unwrap(), 0);
        let one = held[5].compact(&pool).unwrap();
        assert_eq!(one.to_vec(&pool).unwrap(), held[5].to_vec(&pool).unwrap());
        held.iter().chain(&full).for_each(|payload| pinned.remove(payload));
        assert_eq!((pinned.bytes(), pinned.buffers.len()), (0, 0));
        drop((held, full, expected, one));
        assert_eq!((pool.usage().live_at_end, pool.violation()), (0, None));
    }
}
