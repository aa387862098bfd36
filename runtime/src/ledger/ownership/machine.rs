//! The state of one buffer, and all that can happen to it.
//!
//! Every transition is a pure function of the state before: it returns the next one and what is owed, or why not.
//! [`Buffers`](super::Buffers) keeps the states; deadlines and calls are known there.

use super::{Counts, Mode, Owes, Owner, Refusal, StageId, State};

/// What a transition comes to: the next state, with what is owed.
pub type Next = Result<(Ownership, Owes), Refusal>;

/// The state of one buffer.
///
/// Its owner is never among those who borrow or lease it. `inherited` says that the owner died and the host has to
/// release the buffer when the last borrow and lease have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ownership {
    /// Its memory is in the pool.
    #[default]
    Pooled,
    /// One owner, and nobody else.
    Owned {
        /// Who may do everything.
        owner: Owner,
    },
    /// Calls read it. It can be neither transferred nor released.
    Borrowed {
        /// Who gets it back.
        owner: Owner,
        /// The first owner is dead.
        inherited: bool,
        /// How often the call of each stage borrows it: at least one does.
        borrows: Counts,
    },
    /// Stages hold it beyond their calls. It can be neither transferred nor released.
    Leased {
        /// Who gets it back.
        owner: Owner,
        /// The first owner is dead.
        inherited: bool,
        /// How often the call of each stage borrows it; under an exclusive lease only that of the holder.
        borrows: Counts,
        /// Who holds it.
        held: Held,
    },
}

/// Who holds a leased buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// How many leases each stage has of it: at least one has.
    Shared(Counts),
    /// The one stage that has.
    Exclusive(StageId),
}

/// All there is to know of a buffer that is not pooled, whatever its state. Transitions change this, and the state
/// follows from it.
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
    /// Where it is not there.
    pub fn acquire(&self, by: Owner) -> Next {
        match self {
            Ownership::Pooled => Ok((Ownership::Owned { owner: by }, Owes::Nothing)),
            _ => Err(Refusal::InUse),
        }
    }

    /// Gives it from its owner `by` to another one.
    ///
    /// # Errors
    ///
    /// Where it is not `by`'s, or borrowed or leased.
    pub fn transfer(&self, by: Owner, to: Owner) -> Next {
        self.may_part(by)?;
        Ok((Ownership::Owned { owner: to }, Owes::Nothing))
    }

    /// Gives it back to the pool, which its owner `by` does.
    ///
    /// # Errors
    ///
    /// Where it is not `by`'s, or borrowed or leased.
    pub fn release(&self, by: Owner) -> Next {
        self.may_part(by)?;
        Ok((Ownership::Pooled, Owes::Memory))
    }

    /// Lends it to the call of a stage, once more if it is lent to it already.
    ///
    /// # Errors
    ///
    /// Where it is pooled, the stage's own, or leased exclusively by another one.
    pub fn borrow(&self, by: StageId) -> Next {
        self.may_lend(by, 1)?;
        // Nearly every call begins here and ends in the like of `end_call`: what follows takes twice as long.
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
    /// Where the stage has none.
    pub fn end_call(&self, by: StageId) -> Next {
        if let Ownership::Borrowed { owner, inherited: false, borrows } = self
            && borrows.none_but(by)
        {
            return Ok((Ownership::Owned { owner: *owner }, Owes::Nothing));
        }
        let mut access = self.access()?;
        if !access.borrows.remove(by) {
            return Err(Refusal::NotBorrowed);
        }
        Ok(access.settle())
    }

    /// Lets a stage hold it beyond its call: once more if it does so already and the lease is shared. An exclusive lease
    /// may begin while its holder borrows the buffer.
    ///
    /// # Errors
    ///
    /// Where it is pooled, the stage's own, or leased exclusively; for an exclusive lease also where it is leased at all,
    /// or another stage borrows it.
    pub fn lease(&self, by: StageId, mode: Mode) -> Next {
        let mut access = self.access()?;
        if access.owner == Owner::Stage(by) {
            return Err(Refusal::OwnedByStage);
        }
        access.held = Some(match (mode, access.held.take()) {
            (_, Some(Held::Exclusive(_))) => return Err(Refusal::ExclusivelyLeased),
            (Mode::Exclusive, Some(Held::Shared(_))) => return Err(Refusal::Leased),
            (Mode::Exclusive, None) if !access.borrows.none_but(by) => return Err(Refusal::Borrowed),
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
    /// Where the stage has none.
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

    /// Ends all that a stage has of it: the stage trapped or is torn down. That cannot be refused, also not where the
    /// stage has nothing of it.
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
            // Nobody else ever had it: there is nothing to inherit.
            (_, Owes::Release) if owned => (Ownership::Pooled, Owes::Memory),
            next => next,
        }
    }

    /// Whether it can be lent to the call of a stage `times` times more.
    pub(super) fn may_lend(&self, by: StageId, times: u32) -> Result<(), Refusal> {
        match self {
            Ownership::Pooled => Err(Refusal::Pooled),
            _ if self.owner() == Some(Owner::Stage(by)) => Err(Refusal::OwnedByStage),
            Ownership::Leased { held: Held::Exclusive(holder), .. } if *holder != by => Err(Refusal::ExclusivelyLeased),
            _ if self.borrows(by).checked_add(times).is_none() => Err(Refusal::TooMany),
            _ => Ok(()),
        }
    }

    /// Whether its owner `by` can part with it.
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

    /// Its owner, unless it is pooled.
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
            Ownership::Borrowed { borrows, .. } | Ownership::Leased { borrows, .. } => borrows.of(by),
            Ownership::Pooled | Ownership::Owned { .. } => 0,
        }
    }
}

impl Access {
    /// The state that this is, and what is owed where the last borrow or lease has ended.
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
