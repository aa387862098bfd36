//! Write a stage of a `torvyn:streaming` pipeline.
//!
//! A stage is a type that implements [`Stage`] and one role: [`Source`], [`Processor`] or [`Sink`]. A processor also
//! names its world, and the world is what it can do with payloads:
//!
//! | besides passing elements on | it cannot see a payload byte | it can read |
//! |---|---|---|
//! | nothing | [`Router`] | [`Inspector`] |
//! | it writes payloads | [`Replacer`] | [`Transform`] |
//! | it cuts them into parts, without a copy | [`Chunker`] | [`Slicer`] |
//! | it holds them beyond the call and joins them, without a copy | [`Holder`] | [`Collector`] |
//! | all of that | | [`Windowed`] |
//!
//! A sink reads in [`DataSink`], the one meant where none is named, and sees no payload byte in [`MetadataSink`].
//! [`export!`] makes a component of it.
//!
//! ```
//! use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform};
//!
//! struct Upper;
//!
//! impl Stage for Upper {
//!     fn new(_: &Config) -> Result<Self, Failure> {
//!         Ok(Upper)
//!     }
//! }
//!
//! impl Processor<Transform> for Upper {
//!     fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
//!         out.write(&element.read()?.to_ascii_uppercase());
//!         Ok(())
//!     }
//! }
//!
//! torvyn_guest::export!(Upper: Processor<Transform>);
//!
//! // Stages run natively too, with the payloads in a slice:
//! let emitted = torvyn_guest::testing::process(&mut Upper, &[b"one", b"two"])?;
//! assert_eq!(emitted[0].payload, b"ONE");
//! # Ok::<(), Failure>(())
//! ```
//!
//! Holding, cutting and joining copy nothing: the payloads stay with the host ([`Output::slice`], [`Batch::lease`],
//! [`Output::join`]).
//!
//! A read costs one crossing of the component boundary and one copy, each time; so does what was written, once a
//! batch. A stage that needs the payload of every element takes it as an argument ([`PayloadProcessor`],
//! [`PayloadSink`]): then one crossing reads the whole batch. A stage that wants the batch itself takes that
//! ([`BatchProcessor`], [`BatchSource`], [`BatchSink`]).

pub use batch::{Batch, Element, Trace};
pub use bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
pub use buffer::Buffer;
pub use config::Config;
pub use failure::BatchFailure;
pub use lease::{Lease, Mode, Scope};
pub use output::Output;
pub use stage::{
    BatchProcessor, BatchSink, BatchSource, Next, PayloadProcessor, PayloadSink, Processor, Sink, Source, Stage,
};
pub use world::{
    BulkSource, CanBuffer, CanHold, CanMake, CanRead, CanSlice, CanWrite, Chunker, Collector, DataSink, DataSource,
    Holder, Inspector, MetadataSink, ProcessorWorld, Replacer, Router, SinkWorld, Slicer, SourceWorld, Transform,
    Windowed,
};
pub use writer::Writer;

mod batch;
#[doc(hidden)]
pub mod bindings;
mod buffer;
#[doc(hidden)]
#[cfg(target_arch = "wasm32")]
pub mod cell;
mod columns;
mod config;
#[doc(hidden)]
pub mod export;
mod failure;
mod host;
mod lease;
mod making;
mod output;
mod stage;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod world;
mod writer;
