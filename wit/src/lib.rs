//! Write stages of `torvyn:streaming` pipelines in Rust.
//!
//! A stage is a type that implements [`Stage`] and one role: [`Source`], [`Processor`] or [`Sink`]. [`export!`] makes a
//! component of it. A processor also names its world, which says what it can do with payloads:
//!
//! | besides forwarding elements | cannot see payload bytes | can read payloads |
//! |---|---|---|
//! | nothing | [`Router`] | [`Inspector`] |
//! | write payloads | [`Replacer`] | [`Transform`] |
//! | cut payloads into parts, without a copy | [`Chunker`] | [`Slicer`] |
//! | hold payloads beyond the call and join them, without a copy | [`Holder`] | [`Collector`] |
//! | all of these | | [`Windowed`] |
//!
//! A sink is in world [`DataSink`] (the default), in which it can read payloads, or in [`MetadataSink`], in which it
//! cannot see payload bytes. A source is in world [`DataSource`] (the default) or in [`BulkSource`], in which it can
//! also write a payload piece by piece.
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
//! // For unit tests, stages also run natively, on payloads in a slice:
//! let emitted = torvyn_guest::testing::process(&mut Upper, &[b"one", b"two"])?;
//! assert_eq!(emitted[0].payload, b"ONE");
//! # Ok::<(), Failure>(())
//! ```
//!
//! # What it costs
//!
//! - Each read is one crossing of the component boundary and one copy.
//! - Writes are collected: one crossing and one copy per batch.
//! - Holding, cutting and joining ([`Batch::lease`], [`Output::slice`], [`Output::join`]) copy no payload byte to or
//!   from the component: the payloads stay with the host.
//!
//! A stage that needs the payload of every element takes it as an argument ([`PayloadProcessor`], [`PayloadSink`]): one
//! crossing then reads the whole batch. A stage that works on whole batches implements [`BatchProcessor`],
//! [`BatchSource`] or [`BatchSink`].

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
mod output;
mod output_builder;
mod stage;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod world;
mod writer;
