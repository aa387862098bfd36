//! Ownership: the states of a buffer, the transitions between them, and the table of all buffers of a flow.
//!
//! A buffer is the memory of payloads. It is *pooled*, *owned* by the host or a stage, *borrowed* by calls of stages in
//! addition, or *leased* by stages beyond their calls. [`Ownership`] is the state of one buffer, and its methods are all
//! transitions. [`Buffers`] has one state for each buffer of a flow. Both are plain values, without payload memory, locks or
//! clocks. Whoever has the memory does what a transition says is owed.
//!
//! Decisions where the model leaves a choice:
//!
//! - **A stage that dies while it borrows or leases** loses its access at once: [`Ownership::abandon`] ends its borrows and
//!   leases, including those of the call in which it trapped. Those of other stages stay.
//! - **An owner that dies** leaves a buffer that others borrow or lease to the host, which must release it when the last
//!   borrow or lease has ended: [`Owes::Release`]. A buffer that nobody else can access is pooled at once: [`Owes::Memory`].
//! - **A deadline that passes during a call** has no effect until the call has returned: [`Buffers::expire`] is refused until
//!   then. A stage cannot lose a payload between two reads of one call.
//! - **When one of several shared leases ends**, the others stay. Leases are counted per stage. The buffer is leased until the
//!   last one has ended; then it is borrowed if a call still borrows it, and owned if not.

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

/// Who owns a buffer. There is exactly one owner, unless the buffer is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The host owns what waits on edges and what is lent.
    Host,
    /// A stage owns what it writes, until the call returns it.
    Stage(StageId),
}

/// Who else may access a buffer while a stage leases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Others may borrow it, and lease it too.
    Shared,
    /// Nobody else may.
    Exclusive,
}

/// The name of a state, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its memory is in the pool, and nobody can access what it held.
    Pooled,
    /// Only its owner can access it.
    Owned,
    /// Calls of stages borrow it.
    Borrowed,
    /// Stages lease it, and calls may also borrow it.
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

/// What the caller owes after a transition.
#[must_use = "what is owed and not done is memory that never returns to the pool"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owes {
    /// Nothing.
    Nothing,
    /// The buffer is pooled now: its memory must be given to the pool.
    Memory,
    /// The host inherited the buffer and nobody else can access it any more: the host must release it.
    Release,
}

/// Why a transition is refused. A refused transition changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It is not pooled, as it would have to be.
    #[error("the buffer is in use")]
    InUse,
    /// It is pooled.
    #[error("the buffer is pooled")]
    Pooled,
    /// Only the owner may do this.
    #[error("the buffer has another owner")]
    NotOwner,
    /// An owner needs neither a borrow nor a lease.
    #[error("the stage owns the buffer")]
    OwnedByStage,
    /// A call still borrows it.
    #[error("the buffer is borrowed")]
    Borrowed,
    /// A lease has not ended.
    #[error("the buffer is leased")]
    Leased,
    /// An exclusive lease has not ended.
    #[error("the buffer is leased exclusively")]
    ExclusivelyLeased,
    /// The stage has no borrow to end.
    #[error("the stage does not borrow the buffer")]
    NotBorrowed,
    /// The stage has no lease to end.
    #[error("the stage does not lease the buffer")]
    NotLeased,
    /// A stage makes one call at a time, and what a call borrows or leases does not expire before its end.
    #[error("a call of the stage is under way")]
    InCall,
    /// A borrow belongs to a call.
    #[error("no call of the stage is under way")]
    NoCall,
    /// The buffer was released since then, or never existed.
    #[error("the buffer no longer exists")]
    Stale,
    /// The flow has fewer stages.
    #[error("the stage does not exist")]
    NoSuchStage,
    /// The count does not fit into 32 bits.
    #[error("too many borrows, leases or buffers to count")]
    TooMany,
}
