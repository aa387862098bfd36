//! The table of all buffers of a flow. Every transition goes through it.
//!
//! The rules are those of [`Ownership`]. The table adds identity: which buffer is meant, which stages are in a call, and what
//! each call borrows. The pool keeps the memory separately, by index.

use super::{Mode, Next, Owes, Owner, Ownership, Refusal, StageId, State};

/// Identifies a buffer from its acquisition to its release. After that the id is stale: the next buffer at its place has
/// another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferId {
    /// Its place in the table.
    pub index: u32,
    /// How often the place was used before.
    pub generation: u32,
}

/// A change of one buffer, as it can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The buffer.
    pub buffer: BufferId,
    /// Its state before.
    pub from: State,
    /// The state after. It can be the same: another borrow or lease, or another owner.
    pub to: State,
    /// Who caused it: the owner that acquired, transferred or released the buffer; the stage whose access began or ended, or that
    /// died; the host if a lease expired.
    pub by: Owner,
    /// What happened: `acquire`, `transfer`, `lend`, `end-call`, `lease`, `end-lease`, `expire`, `release`, `abandon`.
    pub how: &'static str,
}

/// A transition, and what is owed after it.
#[must_use = "what is owed and not done is memory that never returns to the pool"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub transition: Transition,
    /// What is owed.
    pub owes: Owes,
}

/// The ownership of all buffers of a flow. An operation takes time proportional to the buffers it changes, and allocates only
/// when the table grows. Only [`Buffers::abandon`] searches the whole table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buffers {
    slots: Vec<Slot>,
    /// The places of pooled buffers, the most recently used on top.
    free: Vec<u32>,
    /// The call of each stage.
    calls: Vec<Call>,
    /// How many buffers are in each state, by [`State`].
    counts: [usize; 4],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slot {
    generation: u32,
    ownership: Ownership,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Call {
    is_under_way: bool,
    /// The places of the buffers that it borrows, without duplicates.
    borrowed: Vec<u32>,
}

impl Buffers {
    /// An empty table for a flow with this many stages.
    pub fn new(stages: usize) -> Self {
        Buffers { calls: vec![Call::default(); stages], ..Buffers::default() }
    }

    /// Makes `owner` the owner of a pooled buffer, or of a new one if none is pooled.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSuchStage`]; [`Refusal::TooMany`] if the table is full.
    pub fn acquire(&mut self, owner: Owner) -> Result<Step, Refusal> {
        self.known(owner)?;
        let index = match self.free.last() {
            Some(&index) => index,
            None => self.grow()?,
        };
        let next = self.slots[index as usize].ownership.acquire(owner)?;
        self.free.pop();
        Ok(self.enter(index, next, owner, "acquire"))
    }

    /// Transfers a buffer from its owner `by` to another one.
    ///
    /// # Errors
    ///
    /// As [`Ownership::transfer`]; [`Refusal::Stale`], [`Refusal::NoSuchStage`].
    pub fn transfer(&mut self, buffer: BufferId, by: Owner, to: Owner) -> Result<Step, Refusal> {
        self.known(to)?;
        self.change(buffer, by, "transfer", |ownership| ownership.transfer(by, to))
    }

    /// Begins a call of a stage, which borrows these buffers until it ends, each as often as it is listed. Either all are lent and
    /// `each` receives every change, or none is lent.
    ///
    /// # Errors
    ///
    /// As [`Ownership::borrow`]; [`Refusal::InCall`] if the last call has not ended; [`Refusal::Stale`],
    /// [`Refusal::NoSuchStage`].
    pub fn lend(
        &mut self,
        stage: StageId,
        buffers: &[BufferId],
        mut each: impl FnMut(Transition),
    ) -> Result<(), Refusal> {
        if self.call(stage)?.is_under_way {
            return Err(Refusal::InCall);
        }
        let times = u32::try_from(buffers.len()).map_err(|_| Refusal::TooMany)?;
        for &buffer in buffers {
            self.get(buffer)?.may_lend(stage, times)?;
        }
        self.calls[stage.0 as usize].is_under_way = true;
        for &buffer in buffers {
            each(self.borrow(stage, buffer)?.transition);
        }
        Ok(())
    }

    /// Lends one more buffer to the current call of a stage, or the same buffer once more.
    ///
    /// # Errors
    ///
    /// As [`Ownership::borrow`]; [`Refusal::NoCall`] if the stage is not in a call; [`Refusal::Stale`],
    /// [`Refusal::NoSuchStage`].
    pub fn borrow(&mut self, stage: StageId, buffer: BufferId) -> Result<Step, Refusal> {
        if !self.call(stage)?.is_under_way {
            return Err(Refusal::NoCall);
        }
        let is_first = self.get(buffer)?.borrows(stage) == 0;
        let step = self.change(buffer, Owner::Stage(stage), "lend", |ownership| ownership.borrow(stage))?;
        if is_first {
            self.calls[stage.0 as usize].borrowed.push(buffer.index);
        }
        Ok(step)
    }

    /// Ends the call of a stage and all its borrows. `each` receives every change, with what is owed.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoCall`] if the stage is not in a call; [`Refusal::NoSuchStage`].
    pub fn end_call(&mut self, stage: StageId, mut each: impl FnMut(Step)) -> Result<(), Refusal> {
        if !self.call(stage)?.is_under_way {
            return Err(Refusal::NoCall);
        }
        let call = &mut self.calls[stage.0 as usize];
        call.is_under_way = false;
        let mut borrowed = std::mem::take(&mut call.borrowed);
        for index in borrowed.drain(..) {
            let next = self.slots[index as usize].ownership.end_call(stage)?;
            each(self.enter(index, next, Owner::Stage(stage), "end-call"));
        }
        // The next call reuses its memory.
        self.calls[stage.0 as usize].borrowed = borrowed;
        Ok(())
    }

    /// Lets a stage hold a buffer beyond its call.
    ///
    /// # Errors
    ///
    /// As [`Ownership::lease`]; [`Refusal::Stale`], [`Refusal::NoSuchStage`].
    pub fn lease(&mut self, stage: StageId, buffer: BufferId, mode: Mode) -> Result<Step, Refusal> {
        self.call(stage)?;
        self.change(buffer, Owner::Stage(stage), "lease", |ownership| ownership.lease(stage, mode))
    }

    /// Ends a lease of a stage that releases it, or whose scope has ended.
    ///
    /// # Errors
    ///
    /// As [`Ownership::end_lease`]; [`Refusal::Stale`], [`Refusal::NoSuchStage`].
    pub fn end_lease(&mut self, stage: StageId, buffer: BufferId) -> Result<Step, Refusal> {
        self.call(stage)?;
        self.change(buffer, Owner::Stage(stage), "end-lease", |ownership| ownership.end_lease(stage))
    }

    /// Ends a lease of a stage whose deadline has passed. This happens between the calls of the stage, never during one.
    ///
    /// # Errors
    ///
    /// As [`Ownership::end_lease`]; [`Refusal::InCall`] if the stage is in a call; [`Refusal::Stale`],
    /// [`Refusal::NoSuchStage`].
    pub fn expire(&mut self, stage: StageId, buffer: BufferId) -> Result<Step, Refusal> {
        if self.call(stage)?.is_under_way {
            return Err(Refusal::InCall);
        }
        self.change(buffer, Owner::Host, "expire", |ownership| ownership.end_lease(stage))
    }

    /// Returns a buffer of its owner `by` to the pool. The id is stale from then on.
    ///
    /// # Errors
    ///
    /// As [`Ownership::release`]; [`Refusal::Stale`].
    pub fn release(&mut self, buffer: BufferId, by: Owner) -> Result<Step, Refusal> {
        self.change(buffer, by, "release", |ownership| ownership.release(by))
    }

    /// Ends the call of a stage and all its access: the stage trapped or is torn down. `each` receives every change, with what is
    /// owed.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSuchStage`].
    pub fn abandon(&mut self, stage: StageId, mut each: impl FnMut(Step)) -> Result<(), Refusal> {
        self.call(stage)?;
        let call = &mut self.calls[stage.0 as usize];
        call.is_under_way = false;
        call.borrowed.clear();
        for index in 0..self.slots.len() {
            let ownership = &self.slots[index].ownership;
            let next = ownership.abandon(stage);
            if next.0 != *ownership {
                each(self.enter(index as u32, next, Owner::Stage(stage), "abandon"));
            }
        }
        Ok(())
    }

    /// The state of a buffer.
    ///
    /// # Errors
    ///
    /// [`Refusal::Stale`].
    pub fn get(&self, buffer: BufferId) -> Result<&Ownership, Refusal> {
        match self.slots.get(buffer.index as usize) {
            Some(slot) if slot.generation == buffer.generation => Ok(&slot.ownership),
            _ => Err(Refusal::Stale),
        }
    }

    /// How many buffers are in a state.
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// How many buffers are not pooled.
    pub fn live(&self) -> usize {
        self.slots.len() - self.count(State::Pooled)
    }

    /// The buffers that are not pooled.
    pub fn iter(&self) -> impl Iterator<Item = (BufferId, &Ownership)> {
        let all = self.slots.iter().zip(0..);
        all.filter(|(slot, _)| slot.ownership != Ownership::Pooled)
            .map(|(slot, index)| (BufferId { index, generation: slot.generation }, &slot.ownership))
    }

    fn call(&self, stage: StageId) -> Result<&Call, Refusal> {
        self.calls.get(stage.0 as usize).ok_or(Refusal::NoSuchStage)
    }

    fn known(&self, owner: Owner) -> Result<(), Refusal> {
        match owner {
            Owner::Host => Ok(()),
            Owner::Stage(stage) => self.call(stage).map(drop),
        }
    }

    fn grow(&mut self) -> Result<u32, Refusal> {
        let index = u32::try_from(self.slots.len()).map_err(|_| Refusal::TooMany)?;
        self.slots.push(Slot::default());
        self.counts[State::Pooled as usize] += 1;
        self.free.push(index);
        Ok(index)
    }

    fn change(
        &mut self,
        buffer: BufferId,
        by: Owner,
        how: &'static str,
        next: impl FnOnce(&Ownership) -> Next,
    ) -> Result<Step, Refusal> {
        self.known(by)?;
        let next = next(self.get(buffer)?)?;
        Ok(self.enter(buffer.index, next, by, how))
    }

    /// Puts a buffer into its next state.
    fn enter(&mut self, index: u32, (next, owes): (Ownership, Owes), by: Owner, how: &'static str) -> Step {
        let slot = &mut self.slots[index as usize];
        let buffer = BufferId { index, generation: slot.generation };
        let (from, to) = (slot.ownership.state(), next.state());
        slot.ownership = next;
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
        if to == State::Pooled {
            // A place without a further generation is never reused, so a stale id never becomes valid again.
            if let Some(generation) = slot.generation.checked_add(1) {
                slot.generation = generation;
                self.free.push(index);
            }
        }
        Step { transition: Transition { buffer, from, to, by, how }, owes }
    }
}

#[cfg(test)]
impl Buffers {
    /// The buffer at a place, pooled or not.
    pub(super) fn at(&self, index: usize) -> (BufferId, &Ownership) {
        let slot = &self.slots[index];
        (BufferId { index: index as u32, generation: slot.generation }, &slot.ownership)
    }

    pub(super) fn is_in_call(&self, stage: StageId) -> bool {
        self.calls[stage.0 as usize].is_under_way
    }

    /// As `==`, which takes three times as long: its `memcmp` of two empty lists reads, masked, from an unmapped page.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let Buffers { slots, free, calls, counts } = self;
        let is_same_call = |(call, other): (&Call, &Call)| {
            let Call { is_under_way, borrowed } = call;
            *is_under_way == other.is_under_way && borrowed.iter().eq(&other.borrowed)
        };
        *counts == other.counts
            && *slots == other.slots
            && free.iter().eq(&other.free)
            && calls.len() == other.calls.len()
            && calls.iter().zip(&other.calls).all(is_same_call)
    }

    /// Asserts that the data which the table keeps twice for speed agrees.
    pub(super) fn assert_whole(&self) {
        let mut counts = [0; 4];
        let mut waiting: usize = 0;
        for (slot, index) in self.slots.iter().zip(0..) {
            counts[slot.ownership.state() as usize] += 1;
            let is_waiting = self.free.contains(&index);
            assert_eq!(slot.ownership == Ownership::Pooled, is_waiting, "place {index} and the free list");
            waiting += usize::from(is_waiting);
            for (call, stage) in self.calls.iter().zip(0..) {
                let listed = call.borrowed.iter().filter(|&&borrowed| borrowed == index).count();
                let is_borrowed = slot.ownership.borrows(StageId(stage)) > 0;
                assert_eq!(listed, usize::from(is_borrowed), "place {index} and the call of stage {stage}");
                assert!(call.is_under_way || call.borrowed.is_empty(), "stage {stage} borrows outside of a call");
            }
        }
        assert_eq!((self.counts, self.free.len()), (counts, waiting));
        assert_eq!((self.live(), self.iter().count()), (self.slots.len() - waiting, self.slots.len() - waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_reuse_a_place_without_generations() {
        let mut buffers = Buffers::new(0);
        let first = buffers.acquire(Owner::Host).unwrap().transition.buffer;
        assert_eq!(buffers.release(first, Owner::Host).unwrap().owes, Owes::Memory);
        buffers.slots[0].generation = u32::MAX;
        let last = buffers.acquire(Owner::Host).unwrap().transition.buffer;
        assert_eq!(last, BufferId { index: 0, generation: u32::MAX });
        assert_eq!(buffers.release(last, Owner::Host).unwrap().owes, Owes::Memory);
        let next = buffers.acquire(Owner::Host).unwrap().transition.buffer;
        assert_eq!(next, BufferId { index: 1, generation: 0 });
        assert_eq!(buffers.release(last, Owner::Host), Err(Refusal::Pooled));
        assert_eq!((buffers.live(), buffers.count(State::Pooled)), (1, 1));
    }
}
