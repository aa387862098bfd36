//! The pool of one flow: the memory of its buffers, and who may access which buffer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::classes::{Class, Classes, PoolSettings, PoolUse};
use super::view::View;
use super::{Block, Buffer, Payload, SourceFile};
use crate::base::plural::counted;
use crate::ledger::Recorder;
use crate::ledger::ownership::{BufferId, Buffers, Mode, Owes, Owner, Refusal, StageId, Step};

/// Payload memory, shared by the stages and endpoints of one flow. Its buffers are in a table of
/// [`ownership`](crate::ledger::ownership), and every use of them goes through that table.
///
/// It is locked once per block that is taken or returned, and per call of a stage; never per element.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    classes: Classes,
    buffers: Buffers,
    /// Buffers that are to be released at the end of a call or a lease.
    waiting: Vec<Released>,
    /// Reused from call to call.
    lent: Vec<BufferId>,
    /// The first forbidden operation: a bug in this runtime.
    violation: Option<String>,
    recorder: Recorder,
}

/// A buffer without views.
struct Released {
    buffer: BufferId,
    /// Its memory, if it belongs to this pool.
    memory: Option<(Vec<u8>, Option<Class>)>,
}

impl Pool {
    /// A pool that keeps as much as `settings` say, for a flow with this many nodes. `recorder` receives the transitions of its
    /// buffers.
    pub fn new(settings: PoolSettings, nodes: usize, recorder: Recorder) -> Pool {
        let (classes, buffers) = (Classes::new(settings), Buffers::new(nodes));
        Pool(Arc::new(Mutex::new(Shared { classes, buffers, recorder, ..Shared::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a block with room for at least `len` bytes, from the smallest class that fits. The host owns it.
    pub fn take(&self, len: usize) -> Block {
        self.take_by(Owner::Host, len)
    }

    /// As [`Pool::take`], for the owner that writes the block.
    pub fn take_by(&self, owner: Owner, len: usize) -> Block {
        let class = Class::fitting(len);
        let (buffer, waiting) = self.lock().take(owner, class);
        let memory = waiting.unwrap_or_else(|| Vec::with_capacity(class.map_or(len, Class::bytes)));
        Block::new(memory, class, buffer, self.clone())
    }

    /// Takes a block with room for exactly `len` bytes. Its memory belongs to no class and is freed when it is returned.
    pub(super) fn take_exact(&self, len: usize) -> Block {
        let (buffer, _) = self.lock().take(Owner::Host, None);
        Block::new(Vec::with_capacity(len), None, buffer, self.clone())
    }

    pub(super) fn give_back(&self, buffer: BufferId, memory: Vec<u8>, class: Option<Class>) {
        let freed = self.lock().release(Released { buffer, memory: Some((memory, class)) });
        drop(freed);
    }

    /// Releases a buffer without views whose memory does not belong to this pool.
    pub(super) fn release_adopted(&self, buffer: BufferId) {
        self.lock().release(Released { buffer, memory: None });
    }

    /// A payload of bytes that do not belong to this pool.
    pub fn adopt(&self, bytes: Bytes) -> Payload {
        let len = bytes.len();
        if len == 0 {
            return Payload::default();
        }
        let buffer = self.lock().acquire(Owner::Host);
        View::whole(Buffer::adopted(bytes, buffer, self.clone()), len).into()
    }

    /// A whole file as a payload. Its bytes are read only when they are needed.
    pub fn adopt_file(&self, file: SourceFile) -> Payload {
        let len = usize::try_from(file.size()).expect("the size of a file fits an address");
        let buffer = self.lock().acquire(Owner::Host);
        View::whole(Buffer::file(file, buffer, self.clone()), len).into()
    }

    /// Begins a call of a stage, which borrows the buffers of these payloads until [`Pool::end_call`].
    pub fn lend<'a>(&self, stage: StageId, payloads: impl Iterator<Item = &'a Payload>) {
        let mut shared = self.lock();
        let shared = &mut *shared;
        shared.lent.clear();
        // Neighbours in a batch are nearly always views of one buffer.
        let mut last = None;
        payloads.flat_map(Payload::views).for_each(|view| {
            if last.is_none_or(|last| !view.is_of(last)) {
                shared.lent.push(view.buffer().id());
                last = Some(view);
            }
        });
        let lent = shared.buffers.lend(stage, &shared.lent, |transition| shared.recorder.transition(transition));
        shared.note_refusal("lend", lent);
    }

    /// Ends a call of a stage and its borrows.
    pub fn end_call(&self, stage: StageId) {
        self.end(|shared| {
            let ended = shared.buffers.end_call(stage, |step| shared.recorder.transition(step.transition));
            shared.note_refusal("end a call", ended);
        });
    }

    /// Runs an operation after which waiting buffers may be released. Memory that is not kept is freed after the lock is
    /// released.
    fn end(&self, end: impl FnOnce(&mut Shared)) {
        let mut shared = self.lock();
        end(&mut shared);
        let freed = shared.release_waiting();
        drop(shared);
        drop(freed);
    }

    /// Transfers the buffers of a payload that a stage wrote to the host, because the call returned them.
    pub fn transfer(&self, stage: StageId, payload: &Payload) {
        let mut shared = self.lock();
        for view in payload.views() {
            let given = shared.buffers.transfer(view.buffer().id(), Owner::Stage(stage), Owner::Host);
            shared.record_step("transfer", given);
        }
    }

    /// Lets a stage hold a buffer beyond its calls.
    pub(super) fn lease(&self, stage: StageId, buffer: BufferId, mode: Mode) {
        let mut shared = self.lock();
        let leased = shared.buffers.lease(stage, buffer, mode);
        shared.record_step("lease", leased);
    }

    /// Ends a lease of a buffer.
    pub(super) fn end_lease(&self, stage: StageId, buffer: BufferId) {
        self.end(|shared| {
            let ended = shared.buffers.end_lease(stage, buffer);
            shared.record_step("end a lease", ended);
        });
    }

    /// Ends all access of a stage: it trapped or is torn down.
    pub fn abandon(&self, stage: StageId) {
        self.end(|shared| {
            let mut owed = 0;
            let abandoned = shared.buffers.abandon(stage, |step| {
                owed += usize::from(step.owes == Owes::Memory);
                shared.recorder.transition(step.transition);
            });
            shared.note_refusal("abandon", abandoned);
            if owed > 0 {
                // The payloads that a stage writes are dropped before this.
                let broken = format!("a stage that was torn down still owned {}", counted(owed as u64, "buffer"));
                shared.violation.get_or_insert(broken);
            }
        });
    }

    /// The first forbidden operation on a buffer, if there was one.
    pub fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// How the pool was used so far.
    pub fn usage(&self) -> PoolUse {
        let shared = self.lock();
        let live = shared.buffers.live() as u64;
        PoolUse { live_at_end: live, ..shared.classes.usage() }
    }
}

impl Shared {
    fn note_refusal(&mut self, what: &str, done: Result<(), Refusal>) {
        if let Err(refusal) = done {
            self.violation.get_or_insert_with(|| format!("cannot {what}: {refusal}"));
        }
    }

    /// Records a transition, or why it was refused.
    fn record_step(&mut self, what: &str, done: Result<Step, Refusal>) {
        if let Ok(step) = done {
            self.recorder.transition(step.transition);
        }
        self.note_refusal(what, done.map(drop));
    }

    fn acquire(&mut self, owner: Owner) -> BufferId {
        let acquired = self.buffers.acquire(owner);
        self.record_step("acquire", acquired);
        acquired.map_or(BufferId { index: u32::MAX, generation: u32::MAX }, |step| step.transition.buffer)
    }

    fn take(&mut self, owner: Owner, class: Option<Class>) -> (BufferId, Option<Vec<u8>>) {
        (self.acquire(owner), self.classes.take(class))
    }

    /// Releases a buffer, or queues it until it can be released. Returns memory that is not kept, so the caller can free it after
    /// the lock is released.
    fn release(&mut self, released: Released) -> Option<Vec<u8>> {
        let buffer = released.buffer;
        let owner = self.buffers.get(buffer).map(|ownership| ownership.owner().unwrap_or(Owner::Host));
        match owner.and_then(|owner| self.buffers.release(buffer, owner)) {
            Ok(step) => self.recorder.transition(step.transition),
            Err(Refusal::Borrowed | Refusal::Leased | Refusal::ExclusivelyLeased) => {
                self.waiting.push(released);
                return None;
            }
            Err(refusal) => self.note_refusal("release", Err(refusal)),
        }
        let (memory, class) = released.memory?;
        self.classes.give_back(memory, class)
    }

    fn release_waiting(&mut self) -> Vec<Vec<u8>> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter_map(|released| self.release(released)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(PoolSettings::default(), 2, Recorder::off())
    }

    fn payload(pool: &Pool, owner: Owner) -> Payload {
        let mut block = pool.take_by(owner, 10);
        block.append(b"0123456789").unwrap();
        block.freeze()
    }

    const STAGE: StageId = StageId(0);
    const OTHER: StageId = StageId(1);

    #[test]
    fn memory_returns_with_the_last_slice() {
        let pool = pool();
        let whole = payload(&pool, Owner::Host);
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
    fn does_not_keep_memory_of_an_exact_size() {
        let pool = pool();
        // It has the size of a class, but belongs to none.
        drop(pool.take_exact(4096));
        assert_eq!((pool.usage().returned, pool.usage().live_at_end), (0, 0));
        drop(pool.take(4096));
        assert_eq!(pool.usage().reuse_rate, Some(0.0));
    }

    #[test]
    fn keeps_borrowed_memory_until_the_call_ends() {
        let pool = pool();
        let (one, two) = (payload(&pool, Owner::Host), pool.adopt(Bytes::from_static(b"adopted")));
        let rope = Payload::join([&one, &two]);
        pool.lend(STAGE, [&one, &one, &two, &rope].into_iter());
        pool.lend(OTHER, std::iter::once(&one));
        drop((one, two, rope));
        assert_eq!((pool.usage().live_at_end, pool.usage().returned), (2, 0));
        pool.end_call(STAGE);
        assert_eq!((pool.usage().live_at_end, pool.usage().returned), (1, 0));
        pool.end_call(OTHER);
        assert_eq!((pool.usage().live_at_end, pool.usage().returned), (0, 1));
        assert_eq!(pool.violation(), None);
    }

    #[test]
    fn keeps_leased_memory_until_the_lease_ends() {
        let pool = pool();
        let held = payload(&pool, Owner::Host);
        let id = held.views()[0].buffer().id();
        pool.lease(STAGE, id, Mode::Shared);
        drop(held);
        assert_eq!((pool.usage().live_at_end, pool.usage().returned), (1, 0));
        pool.abandon(STAGE);
        assert_eq!((pool.usage().live_at_end, pool.usage().returned, pool.violation()), (0, 1, None));
    }

    #[test]
    fn stages_own_what_they_write_until_it_is_returned() {
        let pool = pool();
        let written = payload(&pool, Owner::Stage(STAGE));
        pool.transfer(STAGE, &written);
        pool.lend(STAGE, std::iter::once(&written));
        pool.end_call(STAGE);
        // A stage drops what it did not return before it is abandoned.
        drop(payload(&pool, Owner::Stage(STAGE)));
        pool.abandon(STAGE);
        drop(written);
        assert_eq!((pool.usage().live_at_end, pool.violation()), (0, None));
    }

    #[test]
    fn remembers_the_first_violation() {
        let twice = pool();
        twice.lend(STAGE, std::iter::empty());
        twice.lend(STAGE, std::iter::empty());
        assert!(twice.violation().unwrap().starts_with("cannot lend: "));
        let own = pool();
        let written = payload(&own, Owner::Stage(STAGE));
        own.lend(STAGE, std::iter::once(&written));
        assert_eq!(own.violation().as_deref(), Some("cannot lend: the stage owns the buffer"));
        let early = pool();
        let written = payload(&early, Owner::Stage(STAGE));
        early.abandon(STAGE);
        drop(written);
        assert_eq!(early.violation().as_deref(), Some("a stage that was torn down still owned 1 buffer"));
    }
}
