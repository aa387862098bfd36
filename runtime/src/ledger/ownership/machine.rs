//! The state of one buffer, and its transitions.
//!
//! Every transition is a pure function of the state before: it returns the next state and what is owed, or why it is refused.
//! [`Buffers`](super::Buffers) keeps the states, and knows deadlines and calls.

use super::{Counts, Mode, Owes, Owner, Refusal, StageId, State};

/// The result of a transition: the next state, and what is owed.
pub type Next = Result<(Ownership, Owes), Refusal>;

/// The state of one buffer.
///
/// The owner is never among those that borrow or lease the buffer. `inherited` says that the first owner died and the host must
/// release the buffer when the last borrow and lease have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ownership {
    /// Its memory is in the pool.
    #[default]
    Pooled,
    /// It has one owner, and nobody else has access.
    Owned {
        /// The owner, who may do everything.
        owner: Owner,
    },
    /// Calls read it. It can be neither transferred nor released.
    Borrowed {
        /// The owner, who gets it back.
        owner: Owner,
        /// Whether the first owner is dead.
        inherited: bool,
        /// How often the call of each stage borrows it; at least one does.
        borrows: Counts,
    },
    /// Stages hold it beyond their calls. It can be neither transferred nor released.
    Leased {
        /// The owner, who gets it back.
        owner: Owner,
        /// Whether the first owner is dead.
        inherited: bool,
        /// How often the call of each stage borrows it; with an exclusive lease only that of the holder.
        borrows: Counts,
        /// The stages that hold it.
        held: Held,
    },
}

/// Who holds a leased buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// How many leases each stage has; at least one has one.
    Shared(Counts),
    /// The one stage that has a lease.
    Exclusive(StageId),
}

/// Everything known of a buffer that is not pooled. Transitions change this, and the state follows from it.
struct Access {
    owner: Owner,
    inherited: bool,
    borrows: Counts,
    held: Option<Held>,
}

impl Ownership {
    /// Takes it from the pool.
    ///
    /// # Errors
    ///
    /// If it is not pooled.
    pub fn acquire(&self, by: Owner) -> Next {
        match self {
            Ownership::Pooled => Ok((Ownership::Owned { owner: by }, Owes::Nothing)),
            _ => Err(Refusal::InUse),
        }
    }

    /// Transfers it from its owner `by` to another one.
    ///
    /// # Errors
    ///
    /// If `by` is not its owner, or if it is borrowed or leased.
    pub fn transfer(&self, by: Owner, to: Owner) -> Next {
        self.may_part(by)?;
        Ok((Ownership::Owned { owner: to }, Owes::Nothing))
    }

    /// Returns it from its owner `by` to the pool.
    ///
    /// # Errors
    ///
    /// If `by` is not its owner, or if it is borrowed or leased.
    pub fn release(&self, by: Owner) -> Next {
        self.may_part(by)?;
        Ok((Ownership::Pooled, Owes::Memory))
    }

    /// Lends it to the call of a stage, once more if it is already lent to it.
    ///
    /// # Errors
    ///
    /// If it is pooled, owned by the stage, or leased exclusively by another stage.
    pub fn borrow(&self, by: StageId) -> Next {
        self.may_lend(by, 1)?;
        // A fast path for nearly every call, like the one in `end_call`: the general case takes twice as long.
        if let Ownership::Owned { owner } = *self {
            return Ok((Ownership::Borrowed { owner, inherited: false, borrows: Counts::one(by) }, Owes::Nothing));
        }
        let mut access = self.access()?;
        access.borrows.add(by)?;
        Ok(access.settle())
    }

    /// Ends all borrows of a stage: its call has returned.
    ///
    /// # Errors
    ///
    /// If the stage has none.
    pub fn end_call(&self, by: StageId) -> Next {
        if let Ownership::Borrowed { owner, inherited: false, borrows } = self
            && borrows.is_only(by)
        {
            return Ok((Ownership::Owned { owner: *owner }, Owes::Nothing));
        }
        let mut access = self.access()?;
        if !access.borrows.remove(by) {
            return Err(Refusal::NotBorrowed);
        }
        Ok(access.settle())
    }

    /// Lets a stage hold it beyond its call: once more if the stage already does and the lease is shared. An exclusive lease may
    /// begin while its holder borrows the buffer.
    ///
    /// # Errors
    ///
    /// If it is pooled, owned by the stage, or leased exclusively. An exclusive lease is also refused if it is leased at all, or if
    /// another stage borrows it.
    pub fn lease(&self, by: StageId, mode: Mode) -> Next {
        let mut access = self.access()?;
        if access.owner == Owner::Stage(by) {
            return Err(Refusal::OwnedByStage);
        }
        access.held = Some(match (mode, access.held.take()) {
            (_, Some(Held::Exclusive(_))) => return Err(Refusal::ExclusivelyLeased),
            (Mode::Exclusive, Some(Held::Shared(_))) => return Err(Refusal::Leased),
            (Mode::Exclusive, None) if !access.borrows.is_only(by) => return Err(Refusal::Borrowed),
            (Mode::Exclusive, None) => Held::Exclusive(by),
            (Mode::Shared, held) => {
                let mut leases = if let Some(Held::Shared(leases)) = held { leases } else { Counts::default() };
                leases.add(by)?;
                Held::Shared(leases)
            }
        });
        Ok(access.settle())
    }

    /// Ends one lease of a stage: it is released, or its scope has ended.
    ///
    /// # Errors
    ///
    /// If the stage has none.
    pub fn end_lease(&self, by: StageId) -> Next {
        let mut access = self.access()?;
        let ended = match &mut access.held {
            None => false,
            Some(Held::Shared(leases)) => leases.subtract(by),
            Some(Held::Exclusive(holder)) if *holder == by => {
                access.held = None;
                true
            }
            Some(Held::Exclusive(_)) => false,
        };
        if !ended {
            return Err(Refusal::NotLeased);
        }
        Ok(access.settle())
    }

    /// Ends all access of a stage: it trapped or is torn down. This cannot be refused, even if the stage has no access.
    pub fn abandon(&self, by: StageId) -> (Ownership, Owes) {
        let Ok(mut access) = self.access() else { return (Ownership::Pooled, Owes::Nothing) };
        access.borrows.remove(by);
        match &mut access.held {
            Some(Held::Shared(leases)) => _ = leases.remove(by),
            Some(Held::Exclusive(holder)) if *holder == by => access.held = None,
            Some(Held::Exclusive(_)) | None => (),
        }
        let owned = access.owner == Owner::Stage(by);
        if owned {
            access.owner = Owner::Host;
            access.inherited = true;
        }
        match access.settle() {
            // Nobody else ever had access, so there is nothing to inherit.
            (_, Owes::Release) if owned => (Ownership::Pooled, Owes::Memory),
            next => next,
        }
    }

    /// Whether it can be lent to the call of a stage `times` more times.
    pub(super) fn may_lend(&self, by: StageId, times: u32) -> Result<(), Refusal> {
        match self {
            Ownership::Pooled => Err(Refusal::Pooled),
            _ if self.owner() == Some(Owner::Stage(by)) => Err(Refusal::OwnedByStage),
            Ownership::Leased { held: Held::Exclusive(holder), .. } if *holder != by => Err(Refusal::ExclusivelyLeased),
            _ if self.borrows(by).checked_add(times).is_none() => Err(Refusal::TooMany),
            _ => Ok(()),
        }
    }

    /// Whether its owner `by` can give it away.
    fn may_part(&self, by: Owner) -> Result<(), Refusal> {
        match self {
            Ownership::Pooled => Err(Refusal::Pooled),
            _ if self.owner() != Some(by) => Err(Refusal::NotOwner),
            Ownership::Owned { .. } => Ok(()),
            Ownership::Borrowed { .. } => Err(Refusal::Borrowed),
            Ownership::Leased { held: Held::Shared(_), .. } => Err(Refusal::Leased),
            Ownership::Leased { held: Held::Exclusive(_), .. } => Err(Refusal::ExclusivelyLeased),
        }
    }

    fn access(&self) -> Result<Access, Refusal> {
        Ok(match self.clone() {
            Ownership::Pooled => return Err(Refusal::Pooled),
            Ownership::Owned { owner } => Access { owner, inherited: false, borrows: Counts::default(), held: None },
            Ownership::Borrowed { owner, inherited, borrows } => Access { owner, inherited, borrows, held: None },
            Ownership::Leased { owner, inherited, borrows, held } => {
                Access { owner, inherited, borrows, held: Some(held) }
            }
        })
    }

    /// The name of the state.
    pub fn state(&self) -> State {
        match self {
            Ownership::Pooled => State::Pooled,
            Ownership::Owned { .. } => State::Owned,
            Ownership::Borrowed { .. } => State::Borrowed,
            Ownership::Leased { .. } => State::Leased,
        }
    }

    /// Its owner; `None` if it is pooled.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Ownership::Pooled => None,
            Ownership::Owned { owner } | Ownership::Borrowed { owner, .. } | Ownership::Leased { owner, .. } => {
                Some(*owner)
            }
        }
    }

    /// How often the call of a stage borrows it.
    pub fn borrows(&self, by: StageId) -> u32 {
        match self {
            Ownership::Borrowed { borrows, .. } | Ownership::Leased { borrows, .. } => borrows.get(by),
            Ownership::Pooled | Ownership::Owned { .. } => 0,
        }
    }
}

impl Access {
    /// The resulting state, and what is owed if the last borrow or lease has ended.
    fn settle(self) -> (Ownership, Owes) {
        let Access { owner, inherited, borrows, held } = self;
        let held = held.filter(|held| !matches!(held, Held::Shared(leases) if leases.is_empty()));
        match held {
            Some(held) => (Ownership::Leased { owner, inherited, borrows, held }, Owes::Nothing),
            None if !borrows.is_empty() => (Ownership::Borrowed { owner, inherited, borrows }, Owes::Nothing),
            None if inherited => (Ownership::Owned { owner }, Owes::Release),
            None => (Ownership::Owned { owner }, Owes::Nothing),
        }
    }
}
