//! What a stage can do with payloads, proven before it runs.
//!
//! A claim is as strong as its [`Proof`]. `contract` proves from WIT, without a build; `component` from a built
//! component: first from what it imports, then from what its code can reach, then from how often one element can be
//! read in a call. What cannot be proven can be enforced: the host counts it against a declared [`Budget`].
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

use std::fmt;

use serde::Serialize;

pub use bounds::Bounds;
pub use budget::{Budget, Limited, Overrun};
pub use capability::{Grant, grant};
pub use component::{Analysis, Use};
pub use compose::{EdgeBounds, Interval, NodeBounds, PipelineBounds, compose};
pub use contract::{Contract, ContractError};
pub use verdict::StageVerdict;

mod bounds;
mod budget;
mod capability;
mod component;
mod compose;
pub mod contract;
mod verdict;

/// How a claim is proven, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The world of the stage has no such import.
    Contract,
    /// The built component has no such import.
    Component,
    /// The component has the import, and no call that handles elements can reach it.
    CallGraph,
    /// The code of the component cannot do it more often, in a call that returns.
    Bounded,
    /// The host counts, and refuses what is beyond the declared budget.
    Enforced,
}

/// How often something is done at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// At most this often; `None` where no bound is known.
    pub max: Option<u32>,
    /// Not less often either, in a call that returns and that the host refused nothing.
    pub exact: bool,
    /// How that is proven; `None` where nothing is.
    pub proof: Option<Proof>,
}

/// A function of the contract that proofs are about: payload bytes are copied through it, or elements are kept or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// `payload-read.read`
    Read,
    /// `payload-read.read-all`
    ReadAll,
    /// `payload-read.read-held`
    ReadHeld,
    /// `payload-write.emit-all`
    EmitAll,
    /// `payload-buffer.buffer.allocate`: copies nothing, but nothing is written to a buffer that is not there.
    Allocate,
    /// `payload-buffer.buffer.append`
    Append,
    /// `payload-buffer.buffer.write-at`
    WriteAt,
    /// `payload-view.slice-all`: makes several elements of one, and copies nothing.
    SliceAll,
    /// `payload-lease.take`: copies nothing, but nothing is held without it.
    Take,
    /// `payload-lease.forward-all`: makes elements of what is held, and copies nothing.
    ForwardAll,
    /// `payload-lease.join`: makes an element of what is held, and copies nothing.
    Join,
}

/// A place in a component that calls such a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What is called.
    pub callee: Door,
    /// The export of the contract that the call can be reached from: `process`, `flush`, `init` and so on. Where there
    /// are several, the one that handles elements first.
    pub export: &'static str,
    /// The functions that the call is in, innermost first, inlined ones included. Never empty.
    pub frames: Vec<Frame>,
    /// What becomes of the bytes; known of reads only.
    pub used: Use,
}

/// A function on the way to a call, as far as the component tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Its name, demangled.
    pub function: Option<String>,
    /// The source file, as the compiler was given it.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// The column in it, from 1.
    pub column: Option<u32>,
}

impl Bound {
    /// It is never done.
    pub fn never(proof: Proof) -> Bound {
        Bound { max: Some(0), exact: true, proof: Some(proof) }
    }

    /// It is done at most so often.
    pub fn at_most(max: u32, proof: Proof) -> Bound {
        Bound { max: Some(max), exact: max == 0, proof: Some(proof) }
    }

    /// It is done just so often.
    pub fn exactly(times: u32, proof: Proof) -> Bound {
        Bound { max: Some(times), exact: true, proof: Some(proof) }
    }

    /// Nothing is known.
    pub fn unknown() -> Bound {
        Bound { max: None, exact: false, proof: None }
    }

    /// In so many calls, or any number; each is within this bound.
    #[must_use]
    pub fn repeated(self, calls: Option<u32>) -> Bound {
        match (self.max, calls) {
            (Some(0), _) | (_, Some(1)) => self,
            (Some(max), Some(calls)) => match max.checked_mul(calls) {
                Some(max) => Bound { max: Some(max), exact: false, ..self },
                None => Bound::unknown(),
            },
            (None, _) | (_, None) => Bound::unknown(),
        }
    }

    /// Whether it is proven that it is never done, in no call and at no time. What the host enforces is not proven; and
    /// what is counted holds for calls that return, so that code which traps in the end may still do it.
    pub fn is_never(self) -> bool {
        self.max == Some(0) && matches!(self.proof, Some(Proof::Contract | Proof::Component | Proof::CallGraph))
    }
}

impl Door {
    /// All of them.
    pub const ALL: [Door; 11] = [
        Door::Read,
        Door::ReadAll,
        Door::ReadHeld,
        Door::EmitAll,
        Door::Allocate,
        Door::Append,
        Door::WriteAt,
        Door::SliceAll,
        Door::Take,
        Door::ForwardAll,
        Door::Join,
    ];
    /// Those through which payload bytes come into a component. There is no other: a buffer cannot be read back, and what
    /// else the host tells are sizes, sequence numbers, times, failures, and attributes, where a stage that reads can have put
    /// what it likes.
    pub const READS: &[Door] = &[Door::Read, Door::ReadAll, Door::ReadHeld];
    /// Those through which payload bytes leave a component, and the one that begins a payload.
    pub const WRITES: &[Door] = &[Door::EmitAll, Door::Allocate, Door::Append, Door::WriteAt];

    /// The interface it is of.
    pub fn interface(self) -> &'static str {
        self.place().0
    }

    /// The interface it is of, and its name there as a component has it.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Door::Read => ("payload-read", "read"),
            Door::ReadAll => ("payload-read", "read-all"),
            Door::ReadHeld => ("payload-read", "read-held"),
            Door::EmitAll => ("payload-write", "emit-all"),
            Door::Allocate => ("payload-buffer", "[static]buffer.allocate"),
            Door::Append => ("payload-buffer", "[method]buffer.append"),
            Door::WriteAt => ("payload-buffer", "[method]buffer.write-at"),
            Door::SliceAll => ("payload-view", "slice-all"),
            Door::Take => ("payload-lease", "take"),
            Door::ForwardAll => ("payload-lease", "forward-all"),
            Door::Join => ("payload-lease", "join"),
        }
    }

    /// The function of an interface of the contract, by its name in a component.
    pub(crate) fn named(interface: &str, function: &str) -> Option<Door> {
        Door::ALL.into_iter().find(|door| door.place() == (interface, function))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Proof::Contract => "contract",
            Proof::Component => "component",
            Proof::CallGraph => "call-graph",
            Proof::Bounded => "bounded",
            Proof::Enforced => "enforced",
        })
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, function) = self.place();
        let function = function.split_once(']').map_or(function, |(_, function)| function);
        f.pad(&format!("{interface}.{function}"))
    }
}
