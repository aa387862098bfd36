//! The words of the contract `torvyn:streaming`, as data: kinds and worlds of stages, what they may do with payloads, and
//! how claims about that are proven.
//!
//! The units, which every bound, budget and count of the ledger shares:
//!
//! - *reads*: how often the payload of one element that is lent to a stage, or a part of it, is read: in the call it is
//!   lent for, and afterwards through every lease of it. Nothing is lent outside `process` and `push`, so what is not held
//!   can be read only there.
//! - *writes*: how often a processor writes payload bytes for one element that is lent to it. Each new payload of an
//!   `emit-all` is a write, each `append` and each `write-at`; and a buffer that nothing was written to is one when it is
//!   frozen, so that no payload is made without a write. What is written in `flush` counts against the elements lent
//!   before. A source writes once each element it makes, unless it does it piece by piece.
//! - *pieces*: how often one payload is written after the first time. Only a buffer can be written more than once.
//! - *views*: how many elements a processor makes of one that is lent to it without a write, besides passing it on to each
//!   output at most once: parts of it, what it passes on from leases, and what it joins.

pub use bound::Bound;
pub use bounds::Bounds;
pub use budget::{Budget, Limited, Overrun};
pub use capability::{Grant, grant};
pub use import::TrackedImport;
pub use kind::Kind;
pub(crate) use name::{ATTRIBUTES, NAMESPACE, VERSION, of_contract};
pub use name::{CONTRACT, full_name, short_name};
pub use proof::Proof;
pub use stamp::{Stamp, TraceOrigin};
pub use trace::Trace;
pub use verdict::Verdict;
pub use world::{Payloads, World};

mod bound;
mod bounds;
mod budget;
mod capability;
mod import;
mod kind;
mod name;
mod proof;
mod stamp;
pub mod trace;
mod verdict;
mod world;
