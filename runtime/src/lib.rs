//! Runs pipelines of sandboxed streaming components, and counts every payload byte that they copy.
//!
//! # How an element flows
//!
//! 1. [`Flow::step`](flow::Flow::step) looks for the node nearest to the end that has input and whose output edges have
//!    room. No room, no call: this is all there is to backpressure (`flow::edge`).
//! 2. `flow::node` moves waiting elements, up to a batch, from the edge into the store of the stage, where the host keeps
//!    them. A payload is a slice of a block of the [`payload`] pool.
//! 3. `stage::instance` makes one typed call, with a handle of the batch and the metadata as columns of integers. Payload
//!    bytes cross only in host functions of three interfaces, `payload-read`, `payload-write` and `payload-buffer`, and each
//!    crossing is counted in the [`ledger`].
//! 4. The call returns elements by their index in the batch, or new ones. `flow::node` checks that and sends them on: a
//!    forwarded element is the same buffer, a written one is a slice of the block that the stage's bytes were copied to.
//! 5. When the last slice of a block is dropped, its memory returns to the pool.
//!
//! # How a check runs
//!
//! [`analysis`] runs nothing:
//!
//! 1. [`Contract`](analysis::Contract) reads from WIT what a world permits a stage to do. [`Analysis`](analysis::Analysis)
//!    finds what the code of a component can do: what it imports, what its calls reach, how often it reads one element.
//! 2. [`StageVerdict`](analysis::StageVerdict) combines both with a [`Budget`](contract::Budget), which leaves the rest for
//!    the host to count.
//! 3. [`compose`](analysis::compose) combines the verdicts of stages along a [`graph`](pipeline::graph).
//! 4. A [`flow`] is held to the result: in each call, where elements are counted, and at the end by totals (`flow::audit`).
//!
//! Beside these paths, [`component`] reads a component without running it and compiles it where that can be stopped,
//! [`pipeline`] is what is to run, [`endpoint`] is where elements enter and leave, and [`Account`] is the run report. This
//! crate does not print, exit, or read the environment or a manifest; Wasmtime is named only here.

pub use base::clock::Clock;
pub use base::cut::Cut;
pub use error::{CompileError, Error, LoadError, StageError, StartLimit};
pub use flow::account::Account;
pub use flow::{Body, Control, Flow, Schedule, Stage};
pub use ledger::Recorder;
pub use pipeline::limits::Limits;
pub use pipeline::policy::Policy;
pub use stage::component::Component;
pub use stage::engine::Engine;

pub mod analysis;
pub mod base;
pub mod component;
pub mod contract;
pub mod endpoint;
pub mod error;
pub mod flow;
pub mod ledger;
pub mod payload;
pub mod pipeline;
pub mod stage;
