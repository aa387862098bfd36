//! What a stage can do with payloads, proven before it runs.
//!
//! A claim is as strong as its [`Proof`]. `contract` proves from WIT, without a build; `component` from a built
//! component: first from what it imports, then from what its code can reach, then from how often one element can be
//! read in a call. What cannot be proven can be enforced: the host counts it against a declared [`Budget`].
//!
//! The units of bounds are those of [`contract`](crate::contract).

use serde::Serialize;

use crate::contract::TrackedImport;

pub use component::{Analysis, Use};
pub use compose::{EdgeBounds, Interval, NodeBounds, PipelineBounds, compose};
pub use contract::{Contract, ContractError};
pub use verdict::StageVerdict;

mod component;
mod compose;
pub mod contract;
mod verdict;

/// A place in a component that calls such a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What is called.
    pub callee: TrackedImport,
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
