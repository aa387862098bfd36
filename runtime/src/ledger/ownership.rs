//! Who may touch which buffer: the states of one buffer and what changes them, and the table of all buffers of a flow.
//!
//! A buffer is the memory of payloads. It is *pooled*, *owned* by the host or a stage, *borrowed* by the calls of stages
//! besides, or *leased* by stages beyond their calls. [`Ownership`] is that state of one buffer, and its methods are all
//! that can happen to it; [`Buffers`] has one for each buffer of a flow. Both are values: no memory of a payload, no lock,
//! no clock. Who has the memory does what they say is owed.
//!
//! What is decided where the model leaves it open:
//!
//! - **A stage that dies while it borrows or leases** is gone at once: [`Ownership::abandon`] ends its borrows and leases,
//!   also those of the call in which it trapped. Those of others stay.
//! - **An owner that dies** leaves a buffer that others borrow or lease to the host, which owes its release when the last
//!   of them has ended: [`Owes::Release`]. A buffer that nobody else can reach is pooled at once: [`Owes::Memory`].
//! - **A deadline that falls during a call** changes nothing before the call has returned: [`Buffers::expire`] is refused
//!   until then. A stage cannot lose a payload between two reads of one call.
//! - **Of several shared leases one ends, and the others stay.** Leases are counted for each stage. The buffer is leased
//!   until the last has ended; then it is borrowed if a call still borrows it, and owned if not.

pub use buffers::{BufferId, Buffers, Step, Transition};
pub use counts::Counts;
pub use machine::{Held, Next, Ownership};

mod buffers;
mod counts;
#[cfg(test)]
mod exhaustive;
mod machine;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reference;

/// A stage of the flow: the index of its node in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u32);

/// Who owns a buffer. There is exactly one, unless it is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The host: what waits in edges, and what is lent.
    Host,
    /// A stage: what it writes, until the call returns it.
    Stage(StageId),
}

/// Who else may reach a buffer while a stage leases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Others may borrow it, and lease it too.
    Shared,
    /// Nobody else may.
    Exclusive,
}

/// The name of a state, without what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its memory is in the pool, and nobody can reach what it held.
    Pooled,
    /// Its owner alone can reach it.
    Owned,
    /// Calls of stages borrow it.
    Borrowed,
    /// Stages lease it, and calls may borrow it besides.
    Leased,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Pooled => "pooled",
            State::Owned => "owned",
            State::Borrowed => "borrowed",
            State::Leased => "leased",
        }
    }
}

/// What is owed after a transition by who asked for it.
#[must_use = "what is owed and not done is memory that never returns to the pool"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owes {
    /// Nothing.
    Nothing,
    /// The buffer is pooled now: its memory goes to the pool.
    Memory,
    /// The host inherited the buffer and nobody else can reach it any more: the host has to release it.
    Release,
}

/// Why a transition is refused. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It would have to be pooled, and is not.
    #[error("the buffer is in use")]
    InUse,
    /// It is pooled.
    #[error("the buffer is pooled")]
    Pooled,
    /// Only the owner may.
    #[error("the buffer has another owner")]
    NotOwner,
    /// An owner needs neither borrow nor lease.
    #[error("the stage owns the buffer")]
    OwnedByStage,
    /// It waits for the end of a call that borrows it.
    #[error("the buffer is borrowed")]
    Borrowed,
    /// It waits for the end of a lease.
    #[error("the buffer is leased")]
    Leased,
    /// It waits for the end of an exclusive lease.
    #[error("the buffer is leased exclusively")]
    ExclusivelyLeased,
    /// The stage has no borrow to end.
    #[error("the stage does not borrow the buffer")]
    NotBorrowed,
    /// The stage has no lease to end.
    #[error("the stage does not lease the buffer")]
    NotLeased,
    /// A stage has one call at a time, and what a call borrows or leases does not expire before its end.
    #[error("a call of the stage is under way")]
    InCall,
    /// A borrow belongs to a call.
    #[error("no call of the stage is under way")]
    NoCall,
    /// The buffer was released since, or never was.
    #[error("there is no such buffer any more")]
    Stale,
    /// The flow has fewer stages.
    #[error("there is no such stage")]
    NoSuchStage,
    /// More than 32 bits can count.
    #[error("there are too many to be counted")]
    TooMany,
}
