//! A second, naive implementation of the rules: a flat record per buffer, and the rules one after the other. It uses nothing of
//! the machine. The exhaustive and the random test compare the table with it.

use std::array::from_fn;

use smallvec::{SmallVec, smallvec};

use super::{BufferId, Buffers, Held, Mode, Owes, Owner, Ownership, Refusal, StageId, State, Step};

/// A buffer as an operation names it: its place, with the valid id or a stale one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Named {
    pub(super) place: usize,
    pub(super) is_stale: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    Acquire(Owner),
    Transfer(Named, Owner, Owner),
    Release(Named, Owner),
    Lend(StageId, Vec<Named>),
    Borrow(StageId, Named),
    EndCall(StageId),
    Lease(StageId, Named, Mode),
    EndLease(StageId, Named),
    Expire(StageId, Named),
    Abandon(StageId),
}

/// The reported steps of an operation.
type Steps = SmallVec<[Step; 4]>;

/// A buffer that is not pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Record<const S: usize> {
    pub(super) owner: Owner,
    pub(super) inherited: bool,
    pub(super) borrows: [u8; S],
    pub(super) shared: [u8; S],
    pub(super) exclusive: Option<usize>,
}

/// `B` buffers and `S` stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Reference<const B: usize, const S: usize> {
    pub(super) buffers: [Option<Record<S>>; B],
    pub(super) in_call: [bool; S],
}

impl<const S: usize> Record<S> {
    fn is_shared(&self) -> bool {
        self.borrows != [0; S] || self.is_leased()
    }

    fn is_leased(&self) -> bool {
        self.shared != [0; S] || self.exclusive.is_some()
    }

    /// The release that the host inherited is owed as soon as nobody else has access.
    fn owes(&mut self) -> Owes {
        if !self.inherited || self.is_shared() {
            return Owes::Nothing;
        }
        self.inherited = false;
        Owes::Release
    }
}

fn name<const S: usize>(record: &Option<Record<S>>) -> State {
    match record {
        None => State::Pooled,
        Some(record) if record.is_leased() => State::Leased,
        Some(record) if record.is_shared() => State::Borrowed,
        Some(_) => State::Owned,
    }
}

impl Operation {
    /// The highest stage that it names.
    fn highest_stage(&self) -> Option<StageId> {
        let stage = |owner: Owner| if let Owner::Stage(stage) = owner { Some(stage) } else { None };
        match *self {
            Operation::Acquire(owner) | Operation::Release(_, owner) => stage(owner),
            Operation::Transfer(_, by, to) => stage(by).max(stage(to)),
            Operation::Lend(stage, _)
            | Operation::Borrow(stage, _)
            | Operation::EndCall(stage)
            | Operation::Lease(stage, ..)
            | Operation::EndLease(stage, _)
            | Operation::Expire(stage, _)
            | Operation::Abandon(stage) => Some(stage),
        }
    }

    fn buffers(&self) -> &[Named] {
        match self {
            Operation::Transfer(buffer, ..)
            | Operation::Release(buffer, _)
            | Operation::Borrow(_, buffer)
            | Operation::Lease(_, buffer, _)
            | Operation::EndLease(_, buffer)
            | Operation::Expire(_, buffer) => std::slice::from_ref(buffer),
            Operation::Lend(_, buffers) => buffers,
            Operation::Acquire(_) | Operation::EndCall(_) | Operation::Abandon(_) => &[],
        }
    }

    pub(super) fn last_buffer(&mut self) -> Option<&mut Named> {
        match self {
            Operation::Transfer(buffer, ..)
            | Operation::Release(buffer, _)
            | Operation::Borrow(_, buffer)
            | Operation::Lease(_, buffer, _)
            | Operation::EndLease(_, buffer)
            | Operation::Expire(_, buffer) => Some(buffer),
            Operation::Lend(_, buffers) => buffers.last_mut(),
            Operation::Acquire(_) | Operation::EndCall(_) | Operation::Abandon(_) => None,
        }
    }

    /// Runs it on the table.
    fn run(&self, buffers: &mut Buffers) -> Result<Steps, Refusal> {
        let id = |buffers: &Buffers, named: Named| {
            let (good, _) = buffers.at(named.place);
            BufferId { generation: good.generation.wrapping_sub(u32::from(named.is_stale)), ..good }
        };
        let mut steps = Steps::new();
        let one = |step| smallvec![step];
        match *self {
            Operation::Acquire(owner) => buffers.acquire(owner).map(one),
            Operation::Transfer(buffer, by, to) => buffers.transfer(id(buffers, buffer), by, to).map(one),
            Operation::Release(buffer, by) => buffers.release(id(buffers, buffer), by).map(one),
            Operation::Lend(stage, ref lent) => {
                let lent: SmallVec<[_; 4]> = lent.iter().map(|&named| id(buffers, named)).collect();
                let each = |transition| steps.push(Step { transition, owes: Owes::Nothing });
                buffers.lend(stage, &lent, each).map(|()| steps)
            }
            Operation::Borrow(stage, buffer) => buffers.borrow(stage, id(buffers, buffer)).map(one),
            Operation::EndCall(stage) => buffers.end_call(stage, |step| steps.push(step)).map(|()| steps),
            Operation::Lease(stage, buffer, mode) => buffers.lease(stage, id(buffers, buffer), mode).map(one),
            Operation::EndLease(stage, buffer) => buffers.end_lease(stage, id(buffers, buffer)).map(one),
            Operation::Expire(stage, buffer) => buffers.expire(stage, id(buffers, buffer)).map(one),
            Operation::Abandon(stage) => buffers.abandon(stage, |step| steps.push(step)).map(|()| steps),
        }
    }
}

impl<const B: usize, const S: usize> Reference<B, S> {
    /// The state in which no buffer is in use.
    pub(super) const POOLED: Self = Reference { buffers: [None; B], in_call: [false; S] };

    /// Converts the state of the table into this form.
    pub(super) fn from_table(table: &Buffers) -> Self {
        let stages: [StageId; S] = from_fn(|stage| StageId(stage as u32));
        let buffers = from_fn(|place| {
            let (_, ownership) = table.at(place);
            let (owner, inherited, held) = match ownership {
                Ownership::Pooled => return None,
                Ownership::Owned { owner } => (*owner, false, None),
                Ownership::Borrowed { owner, inherited, .. } => (*owner, *inherited, None),
                Ownership::Leased { owner, inherited, held, .. } => (*owner, *inherited, Some(held)),
            };
            let borrows = stages.map(|stage| ownership.borrows(stage) as u8);
            let (shared, exclusive) = match held {
                None => ([0; S], None),
                Some(Held::Shared(leases)) => (stages.map(|stage| leases.get(stage) as u8), None),
                Some(Held::Exclusive(holder)) => ([0; S], Some(holder.0 as usize)),
            };
            let record = Record { owner, inherited, borrows, shared, exclusive };
            assert_eq!(name(&Some(record)), ownership.state(), "the state has what its name says: {ownership:?}");
            Some(record)
        });
        Reference { buffers, in_call: stages.map(|stage| table.is_in_call(stage)) }
    }

    /// Why an operation must be refused, if it must.
    pub(super) fn refusal(&self, operation: &Operation) -> Option<Refusal> {
        if operation.highest_stage().is_some_and(|stage| stage.0 as usize >= S) {
            return Some(Refusal::NoSuchStage);
        }
        let in_call = |stage: &StageId| self.in_call[stage.0 as usize];
        match operation {
            Operation::Lend(stage, _) | Operation::Expire(stage, _) if in_call(stage) => return Some(Refusal::InCall),
            Operation::Borrow(stage, _) | Operation::EndCall(stage) if !in_call(stage) => return Some(Refusal::NoCall),
            _ => (),
        }
        operation.buffers().iter().find_map(|buffer| match &self.buffers[buffer.place] {
            _ if buffer.is_stale => Some(Refusal::Stale),
            None => Some(Refusal::Pooled),
            Some(record) => record.refusal(operation),
        })
    }

    /// The state after an operation that is not refused, with what is owed for each buffer. An acquired buffer is at `place`.
    pub(super) fn after(mut self, operation: &Operation, place: Option<usize>) -> (Self, [Owes; B]) {
        let mut owed = [Owes::Nothing; B];
        if let Operation::Acquire(owner) = *operation {
            let place = place.expect("something was acquired");
            assert_eq!(self.buffers[place], None, "what is acquired was pooled");
            let (borrows, shared) = ([0; S], [0; S]);
            self.buffers[place] = Some(Record { owner, inherited: false, borrows, shared, exclusive: None });
        }
        for named in operation.buffers() {
            let place = named.place;
            let Some(record) = &mut self.buffers[place] else { unreachable!("{operation:?} of a pooled buffer") };
            match *operation {
                Operation::Transfer(_, _, to) => record.owner = to,
                Operation::Release(..) => {
                    self.buffers[place] = None;
                    owed[place] = Owes::Memory;
                    continue;
                }
                Operation::Lend(stage, _) | Operation::Borrow(stage, _) => record.borrows[stage.0 as usize] += 1,
                Operation::Lease(stage, _, Mode::Shared) => record.shared[stage.0 as usize] += 1,
                Operation::Lease(stage, _, Mode::Exclusive) => record.exclusive = Some(stage.0 as usize),
                Operation::EndLease(stage, _) | Operation::Expire(stage, _) => match record.exclusive {
                    Some(_) => record.exclusive = None,
                    None => record.shared[stage.0 as usize] -= 1,
                },
                Operation::Acquire(_) | Operation::EndCall(_) | Operation::Abandon(_) => (),
            }
            owed[place] = record.owes();
        }
        match *operation {
            Operation::Lend(stage, _) => self.in_call[stage.0 as usize] = true,
            Operation::EndCall(stage) | Operation::Abandon(stage) => {
                let dies = matches!(operation, Operation::Abandon(_));
                self.in_call[stage.0 as usize] = false;
                for (buffer, owed) in self.buffers.iter_mut().zip(&mut owed) {
                    let Some(record) = buffer else { continue };
                    record.borrows[stage.0 as usize] = 0;
                    if dies {
                        record.shared[stage.0 as usize] = 0;
                        record.exclusive = record.exclusive.filter(|&holder| holder != stage.0 as usize);
                    }
                    if dies && record.owner == Owner::Stage(stage) {
                        if !record.is_shared() {
                            (*buffer, *owed) = (None, Owes::Memory);
                            continue;
                        }
                        record.owner = Owner::Host;
                        record.inherited = true;
                    }
                    *owed = record.owes();
                }
            }
            _ => (),
        }
        (self, owed)
    }

    /// Runs an operation on the table, which must be in this state, and compares the result with the expected one: the answer, the
    /// reported changes, and what is owed. Returns the new state, or `None` if the operation was refused. The caller must check
    /// that a refused operation changed nothing.
    pub(super) fn hold(&self, table: &mut Buffers, operation: &Operation) -> Option<Self> {
        let reported = operation.run(table);
        let expected = self.refusal(operation);
        let steps = match (reported, expected) {
            (Ok(steps), None) => steps,
            (Err(refusal), Some(expected)) if refusal == expected => return None,
            (reported, expected) => {
                panic!("{operation:?} in {self:#?}\n reported {reported:?}\n expected {expected:?}")
            }
        };
        let place = steps.first().map(|step| step.transition.buffer.index as usize);
        let (next, owed) = self.after(operation, place);
        let found = Reference::from_table(table);
        assert_eq!(found, next, "{operation:?} in {self:#?}");
        table.assert_whole();
        let mut states = self.buffers.map(|buffer| name(&buffer));
        let mut reported = [Owes::Nothing; B];
        for Step { transition, owes } in steps {
            let place = transition.buffer.index as usize;
            assert_eq!(transition.from, states[place], "{operation:?} in {self:#?} reported {transition:?}");
            assert_eq!(reported[place], Owes::Nothing, "what is owed is reported once");
            (states[place], reported[place]) = (transition.to, owes);
            let is_stale = table.get(transition.buffer) == Err(Refusal::Stale);
            assert_eq!(is_stale, transition.to == State::Pooled, "an id is good until its buffer is pooled");
        }
        assert_eq!(states, next.buffers.map(|buffer| name(&buffer)), "{operation:?} in {self:#?}");
        assert_eq!(reported, owed, "{operation:?} in {self:#?}");
        Some(next)
    }
}

impl<const S: usize> Record<S> {
    fn refusal(&self, operation: &Operation) -> Option<Refusal> {
        let others_borrow = |stage: StageId| (0..S).any(|other| other != stage.0 as usize && self.borrows[other] > 0);
        match *operation {
            Operation::Transfer(_, by, _) | Operation::Release(_, by) => {
                if self.owner != by {
                    Some(Refusal::NotOwner)
                } else if self.exclusive.is_some() {
                    Some(Refusal::ExclusivelyLeased)
                } else if self.is_leased() {
                    Some(Refusal::Leased)
                } else if self.is_shared() {
                    Some(Refusal::Borrowed)
                } else {
                    None
                }
            }
            Operation::Lend(stage, _) | Operation::Borrow(stage, _) | Operation::Lease(stage, ..)
                if self.owner == Owner::Stage(stage) =>
            {
                Some(Refusal::OwnedByStage)
            }
            Operation::Lend(stage, _) | Operation::Borrow(stage, _) => {
                self.exclusive.filter(|&holder| holder != stage.0 as usize).map(|_| Refusal::ExclusivelyLeased)
            }
            Operation::Lease(..) if self.exclusive.is_some() => Some(Refusal::ExclusivelyLeased),
            Operation::Lease(_, _, Mode::Exclusive) if self.is_leased() => Some(Refusal::Leased),
            Operation::Lease(stage, _, Mode::Exclusive) if others_borrow(stage) => Some(Refusal::Borrowed),
            Operation::EndLease(stage, _) | Operation::Expire(stage, _) => {
                let has_one = self.exclusive == Some(stage.0 as usize) || self.shared[stage.0 as usize] > 0;
                (!has_one).then_some(Refusal::NotLeased)
            }
            _ => None,
        }
    }
}
