//! Runs a stage natively, for unit tests of its crate.
//!
//! The stage runs without the sandbox: payloads come from a slice instead of the host, and held elements stay in
//! memory. Costs, copies, budgets and the end of leases can be tested only in a component: with `cargo torvyn test`.

use std::collections::BTreeMap;

use crate::batch::{Batch, Frame};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
use crate::export::{self, Reading};
use crate::failure::BatchFailure;
use crate::host::{Lent, Payloads, into_emitted};
use crate::output::{FailedCall, Outcome, Output};
use crate::output_builder::OutputBuilder;
use crate::stage::{BatchProcessor, BatchSink, PayloadProcessor, PayloadSink, Processor, Sink, Stage};
use crate::world::{CanMake, CanRead, DataSink, ProcessorWorld, SinkWorld};
use crate::writer::Writer;

/// An element that came out of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The payload.
    pub payload: Vec<u8>,
    /// The outputs that the element goes to, in ascending order.
    pub outputs: Vec<u32>,
    /// Whether the element was forwarded, cut or joined, so that its payload stays with the host. Otherwise it was
    /// written.
    pub by_handle: bool,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A batch of elements with attributes. The functions of this module that take payloads lend elements without
/// attributes.
///
/// ```
/// use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage, testing};
///
/// /// Sends elements of tenant `a` to output 0 and all others to output 1, and marks all as seen.
/// struct ByTenant;
///
/// impl Stage for ByTenant {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(ByTenant)
///     }
/// }
///
/// impl Processor<Router> for ByTenant {
///     fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
///         out.forward_to(u32::from(element.attribute("tenant")?.as_deref() != Some("a")));
///         element.set_attribute("seen", "yes")
///     }
/// }
///
/// let elements = testing::Elements::new(&[b"one", b"two"]).attribute(1, "tenant", "a");
/// let emitted = elements.process(&mut ByTenant)?;
/// assert_eq!((&*emitted[0].outputs, &*emitted[1].outputs), (&[1][..], &[0][..]));
/// assert_eq!(emitted[0].attributes["seen"], "yes");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    payloads: &'a [&'a [u8]],
    attributes: Vec<BTreeMap<String, String>>,
}

impl<'a> Elements<'a> {
    /// Elements with these payloads and without attributes.
    pub fn new(payloads: &'a [&'a [u8]]) -> Self {
        Elements { payloads, attributes: vec![BTreeMap::new(); payloads.len()] }
    }

    /// Sets an attribute of element `index`.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[must_use]
    pub fn attribute(mut self, index: usize, name: &str, value: &str) -> Self {
        self.attributes[index].insert(name.to_string(), value.to_string());
        self
    }

    /// Lends the batch to a processor, as [`process`] does.
    ///
    /// # Errors
    ///
    /// As [`process`].
    pub fn process<W: ProcessorWorld, S: Processor<W>>(&self, stage: &mut S) -> Result<Vec<Emitted>, ProcessFailure> {
        lend_to_processor::<W, S>(self, |batch, out| export::process_each(stage, batch, out))
    }

    /// Lends the batch to a processor that takes payloads.
    ///
    /// # Errors
    ///
    /// As [`process`].
    pub fn process_with_payloads<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>>(
        &self,
        stage: &mut S,
    ) -> Result<Vec<Emitted>, ProcessFailure> {
        lend_to_processor::<W, S>(self, |batch, out| export::process_with_payloads(stage, Reading::Ahead, batch, out))
    }

    /// Lends the batch to a processor that takes batches.
    ///
    /// # Errors
    ///
    /// As [`process`].
    pub fn process_batch<W: ProcessorWorld, S: BatchProcessor<W>>(
        &self,
        stage: &mut S,
    ) -> Result<Vec<Emitted>, ProcessFailure> {
        lend_to_processor::<W, S>(self, |batch, out| stage.process(batch, out))
    }

    /// Lends the batch to a sink, as [`push`] does.
    ///
    /// # Errors
    ///
    /// As [`push`].
    pub fn push<W: SinkWorld, S: Sink<W>>(&self, stage: &mut S) -> Result<BackpressureSignal, BatchFailure> {
        lend::<W, S, _>(self, |_, batch| export::push_each(stage, batch))
    }

    /// Lends the batch to a sink that takes payloads.
    ///
    /// # Errors
    ///
    /// As [`push`].
    pub fn push_with_payloads<S: PayloadSink>(&self, stage: &mut S) -> Result<BackpressureSignal, BatchFailure> {
        lend::<DataSink, S, _>(self, |_, batch| export::push_with_payloads(stage, Reading::Ahead, batch))
    }

    /// Lends the batch to a sink that takes batches.
    ///
    /// # Errors
    ///
    /// As [`push`].
    pub fn push_batch<W: SinkWorld, S: BatchSink<W>>(&self, stage: &mut S) -> Result<BackpressureSignal, BatchFailure> {
        lend::<W, S, _>(self, |_, batch| stage.push(batch))
    }
}

/// A failed call of a processor.
#[derive(Debug, Clone)]
pub struct ProcessFailure {
    /// What went wrong.
    pub failure: Failure,
    /// The index of the element that the stage failed on, if it knows.
    pub index: Option<u32>,
    /// What was emitted for the elements before, in order.
    pub emitted: Vec<Emitted>,
}

impl From<ProcessFailure> for Failure {
    fn from(failed: ProcessFailure) -> Self {
        failed.failure
    }
}

/// Lends one batch with these payloads to a processor, and returns the elements that come out, in order.
///
/// The elements of the batch are numbered from 0, their timestamps are 0, and they have no deadline and no trace.
///
/// # Errors
///
/// The failure of the stage, with what was emitted for the elements before.
pub fn process<W: ProcessorWorld, S: Processor<W>>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<Vec<Emitted>, ProcessFailure> {
    Elements::new(payloads).process(stage)
}

/// As [`process`], for a processor that takes payloads.
///
/// # Errors
///
/// The failure of the stage.
pub fn process_with_payloads<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<Vec<Emitted>, ProcessFailure> {
    Elements::new(payloads).process_with_payloads(stage)
}

/// As [`process`], for a processor that takes the batch.
///
/// # Errors
///
/// The failure of the stage.
pub fn process_batch<W: ProcessorWorld, S: BatchProcessor<W>>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<Vec<Emitted>, ProcessFailure> {
    Elements::new(payloads).process_batch(stage)
}

/// Calls a function that makes elements without a batch (the `pull` of a source or the `flush` of a processor), and
/// returns its result and the elements that it made.
///
/// ```
/// use torvyn_guest::{Config, Failure, Next, Source, Stage, Writer, testing};
///
/// struct Once;
///
/// impl Stage for Once {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(Once)
///     }
/// }
///
/// impl Source for Once {
///     fn pull(&mut self, out: &mut Writer) -> Result<Next, Failure> {
///         out.write(b"hello");
///         Ok(Next::End)
///     }
/// }
///
/// let (next, written) = testing::collect(|out| Once.pull(out))?;
/// assert_eq!(next, Next::End);
/// assert_eq!(written[0].payload, b"hello");
/// # Ok::<(), Failure>(())
/// ```
///
/// # Errors
///
/// The failure of the stage.
pub fn collect<W: CanMake, T>(
    call: impl FnOnce(&mut Writer<W>) -> Result<T, Failure>,
) -> Result<(T, Vec<Emitted>), Failure> {
    let mut writer = Writer::default();
    let result = call(&mut writer)?;
    Ok((result, into_emitted(W::take_output(&mut writer.builder)?.unwrap_or_default())))
}

/// Lends one batch with these payloads to a sink, and returns its signal.
///
/// # Errors
///
/// The failure of the stage.
pub fn push<W: SinkWorld, S: Sink<W>>(stage: &mut S, payloads: &[&[u8]]) -> Result<BackpressureSignal, BatchFailure> {
    Elements::new(payloads).push(stage)
}

/// As [`push`], for a sink that takes payloads.
///
/// # Errors
///
/// The failure of the stage.
pub fn push_with_payloads<S: PayloadSink>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<BackpressureSignal, BatchFailure> {
    Elements::new(payloads).push_with_payloads(stage)
}

/// As [`push`], for a sink that takes the batch.
///
/// # Errors
///
/// The failure of the stage.
pub fn push_batch<W: SinkWorld, S: BatchSink<W>>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<BackpressureSignal, BatchFailure> {
    Elements::new(payloads).push_batch(stage)
}

fn lend<W, S: Stage, T>(elements: &Elements<'_>, call: impl FnOnce(&Frame<'_>, Batch<'_, W>) -> T) -> T {
    let payloads = elements.payloads;
    let count = payloads.len() as u64;
    let mut metadata: Vec<u64> = payloads.iter().map(|payload| payload.len() as u64).collect();
    if S::COLUMNS.contains(Columns::SEQUENCE) {
        metadata.extend(0..count);
    }
    if S::COLUMNS.contains(Columns::TIMESTAMP) {
        metadata.extend((0..count).map(|_| 0));
    }
    if S::COLUMNS.contains(Columns::DEADLINE) {
        metadata.extend((0..count).map(|_| u64::MAX));
    }
    if S::COLUMNS.contains(Columns::TRACE) {
        metadata.extend((0..3 * count).map(|_| 0));
    }
    let payloads = Payloads::new(payloads, &elements.attributes);
    let frame = Frame { lent: Lent(&payloads), count: count as u32, columns: S::COLUMNS, metadata: &metadata };
    call(&frame, Batch::new(&frame))
}

fn lend_to_processor<W: ProcessorWorld, S: Stage>(
    elements: &Elements<'_>,
    call: impl FnOnce(Batch<'_, W>, &mut Output<'_, W>) -> Result<(), BatchFailure>,
) -> Result<Vec<Emitted>, ProcessFailure> {
    let mut builder = OutputBuilder::default();
    lend::<W, S, _>(elements, |frame, batch| {
        let mut out = Output::new(frame.lent, frame.metadata, frame.count, &mut builder);
        let done = call(batch, &mut out);
        let emit = |outcome| match outcome {
            Outcome::Routes(routes) => frame.lent.forward_routes(&routes).map(into_emitted),
            Outcome::Output(output) => Ok(into_emitted(output)),
        };
        let fail_batch = |failure| ProcessFailure { failure, index: None, emitted: Vec::new() };
        match out.end(done) {
            Ok(outcome) => emit(outcome).map_err(fail_batch),
            Err(FailedCall { failure, reached: None }) => Err(fail_batch(failure)),
            Err(FailedCall { failure, reached: Some((index, outcome)) }) => {
                let emitted = emit(outcome).map_err(fail_batch)?;
                Err(ProcessFailure { failure, index: Some(index), emitted })
            }
        }
    })
}
