//! The vocabulary of the contract `torvyn:streaming`, as data: kinds and worlds of stages, what they may do with
//! payloads, and how claims about that are proven. This room imports nothing of the others except `base`.
//!
//! All bounds, budgets and counts of the ledger use the same units:
//!
//! - *reads*: how often the payload of one element that is lent to a stage, or a part of the payload, is read: in the
//!   call that lends it, and later through every lease of it. Elements are lent in `process` and `push` only, so an
//!   element that is not held can be read only there.
//! - *writes*: how often a processor writes payload bytes for one element that is lent to it. Each new payload of an
//!   `emit-all` is one write, and so is each `append` and each `write-at`. A buffer without a write counts as one write
//!   when it is frozen, so that no payload is made without a write. Writes in `flush` count against the elements lent
//!   before. A source writes each element that it makes once, unless it writes it piece by piece.
//! - *pieces*: how often one payload is written after its first write. Only a buffer can be written more than once.
//! - *views*: how many elements a processor makes without a write of one element that is lent to it, besides forwarding
//!   it to each output at most once: parts of it, elements forwarded from leases, and joined elements.

pub use bound::Bound;
pub use bounds::Bounds;
pub use budget::{Budget, Limited, Overrun};
pub use capability::{Grant, grant};
pub use import::TrackedImport;
pub use kind::Kind;
pub(crate) use name::{ATTRIBUTES, NAMESPACE, VERSION, split_contract_name};
pub use name::{CONTRACT, full_name, short_name};
pub use payloads::Payloads;
pub use proof::Proof;
pub use stamp::{Stamp, TraceOrigin};
pub use trace::Trace;
pub use verdict::Verdict;
pub use wit::WIT;
pub use world::World;

mod bound;
mod bounds;
mod budget;
mod capability;
mod import;
mod kind;
mod name;
mod payloads;
mod proof;
mod stamp;
pub mod trace;
mod verdict;
mod wit;
mod world;
