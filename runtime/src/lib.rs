//! Runs pipelines of sandboxed streaming components, and counts every payload byte they copy.
//!
//! The life of one element, from [`flow`]:
//!
//! 1. [`Flow::step`](flow::Flow::step) looks for the node nearest to the end whose input has something and whose output
//!    edges have room. No room, no call: that is all of backpressure (`edge`).
//! 2. `node` moves what waits, up to a batch, from the edge into the store of the stage, where the host keeps it: the
//!    payload is a slice of a block of the [`payload`] pool.
//! 3. `instance` makes one typed call with a handle of the batch and the columns of metadata, as integers. Payload bytes
//!    cross only inside the two imports in `host`, `payload-read` and `payload-write`, and each leaves its line in the
//!    [`ledger`].
//! 4. What the stage returns names elements by their index in the batch. `node` checks it, and sends the elements on:
//!    forwarded ones are the same buffer, written ones are slices of the block that the stage's bytes went into.
//! 5. At the end of the way the last slice of a block is dropped, and its memory returns to the pool.
//!
//! The life of one check, from [`analysis`], which runs nothing:
//!
//! 1. [`Contract`](analysis::Contract) tells from WIT what a world lets a stage do; [`Analysis`](analysis::Analysis) what
//!    the code of a component can do: what it imports, what its calls reach, how often one element is read.
//! 2. [`StageVerdict`](analysis::StageVerdict) is what both come to, with what a [`Budget`](contract::Budget) leaves for
//!    the host to count.
//! 3. [`compose`](analysis::compose) puts the verdicts of stages together along a [`graph`].
//! 4. A [`flow`] is held to all of it: in each call where elements are counted, and at the end by totals (`audit`).
//!
//! Beside these ways: [`mod@compile`] turns components into machine code where it can be stopped, [`profile`] tells what a component is without running it, [`graph`] what can run, [`endpoint`] where
//! elements enter and leave, [`account`] what came of it all. This crate does not print, exit, or read the environment
//! or a manifest; Wasmtime is named only here.

pub use base::clock::Clock;
pub use base::cut::Cut;
pub use error::{CompileError, Error, LoadError, StageError};
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
