//! Proves what a stage can do with payloads, before it runs.
//!
//! A claim is as strong as its [`Proof`]. `contract` proves claims from WIT, without a build. `component` proves claims
//! from a built component: first from its imports, then from the code that can be reached, then from how often one call
//! can read an element. A claim that cannot be proven can be enforced: the host counts against a declared [`Budget`].
//!
//! For the units of bounds see [`contract`](crate::contract).

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

/// A place in a component that calls a [`TrackedImport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The function that is called.
    pub callee: TrackedImport,
    /// The export of the contract that can reach the call: `process`, `flush`, `init` and so on. If there are several,
    /// exports that are lent elements come first.
    pub export: &'static str,
    /// The functions that contain the call, innermost first, including inlined ones. Never empty.
    pub frames: Vec<Frame>,
    /// How the bytes are used. Known for reads only.
    pub used: Use,
}

/// A function on the call stack, as far as the debug information of the component knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The demangled name.
    pub function: Option<String>,
    /// The source file, as it was passed to the compiler.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}
