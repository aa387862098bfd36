//! Runs a stage natively, in its crate's own tests.
//!
//! The stage runs as it is, without the sandbox: payloads come from a slice instead of the host, and what is held is kept
//! in memory. What it costs to run, what it copies, and when a lease ends shows only in a component.

use crate::batch::{Batch, Frame};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
use crate::export;
use crate::failure::BatchFailure;
use crate::host::{Lent, Payloads};
use crate::making::Making;
use crate::output::{Failed, Outcome, Output};
use crate::stage::{BatchProcessor, BatchSink, PayloadProcessor, PayloadSink, Processor, Sink, Stage};
use crate::world::{CanMake, CanRead, DataSink, ProcessorWorld};
use crate::writer::Writer;

/// An element that came out of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its payload.
    pub payload: Vec<u8>,
    /// The outputs it goes to, in ascending order.
    pub outputs: Vec<u32>,
    /// Whether its payload stayed with the host, passed on, cut or joined; otherwise it was written.
    pub by_handle: bool,
}

/// A processor that failed.
#[derive(Debug, Clone)]
pub struct ProcessFailure {
    /// What went wrong.
    pub failure: Failure,
    /// The index of the element that it went wrong at, if the stage knows.
    pub index: Option<u32>,
    /// What came of the elements before that one, in order.
    pub emitted: Vec<Emitted>,
}

impl From<ProcessFailure> for Failure {
    fn from(failed: ProcessFailure) -> Self {
        failed.failure
    }
}

/// Lends one batch of these payloads to a processor, and returns what came out, in order. The elements are numbered
/// from 0, their timestamps are 0, and they have no deadline and no trace.
///
/// # Errors
///
/// The failure of the stage, with what came of the elements before.
pub fn process<W: ProcessorWorld, S: Processor<W>>(
    stage: &mut S,
    payloads: &[&[u8]],
) -> Result<Vec<Emitted>, ProcessFailure> {
    processed::<W, S>(payloads, |batch, out| export::process_each(stage, batch, out))
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
    processed::<W, S>(payloads, |batch, out| export::process_with_payloads(stage, batch, out))
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
    processed::<W, S>(payloads, |batch, out| stage.process(batch, out))
}

/// Calls what makes elements without a batch, the `pull` of a source or the `flush` of a processor, and returns what
/// it said and what it made.
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
/// let (next, written) = testing::written(|out| Once.pull(out))?;
/// assert_eq!(next, Next::End);
/// assert_eq!(written[0].payload, b"hello");
/// # Ok::<(), Failure>(())
/// ```
///
/// # Errors
///
/// The failure of the stage.
pub fn written<W: CanMake, T>(
    write: impl FnOnce(&mut Writer<W>) -> Result<T, Failure>,
) -> Result<(T, Vec<Emitted>), Failure> {
    let mut writer = Writer::default();
    let said = write(&mut writer)?;
    Ok((said, W::made(&mut writer.making)?.unwrap_or_default()))
}

/// Lends one batch of these payloads to a sink, and returns what it said.
///
/// # Errors
///
/// The failure of the stage.
pub fn push<S: Sink>(stage: &mut S, payloads: &[&[u8]]) -> Result<BackpressureSignal, BatchFailure> {
    lend::<DataSink, S, _>(payloads, |_, batch| export::push_each(stage, batch))
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
    lend::<DataSink, S, _>(payloads, |_, batch| export::push_with_payloads(stage, batch))
}

/// As [`push`], for a sink that takes the batch.
///
/// # Errors
///
/// The failure of the stage.
pub fn push_batch<S: BatchSink>(stage: &mut S, payloads: &[&[u8]]) -> Result<BackpressureSignal, BatchFailure> {
    lend::<DataSink, S, _>(payloads, |_, batch| stage.push(batch))
}

fn lend<W, S: Stage, T>(payloads: &[&[u8]], call: impl FnOnce(&Frame<'_>, Batch<'_, W>) -> T) -> T {
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
    let payloads = Payloads::new(payloads);
    let frame = Frame { lent: Lent(&payloads), count: count as u32, columns: S::COLUMNS, metadata: &metadata };
    call(&frame, Batch::new(&frame))
}

fn processed<W: ProcessorWorld, S: Stage>(
    payloads: &[&[u8]],
    call: impl FnOnce(Batch<'_, W>, &mut Output<'_, W>) -> Result<(), BatchFailure>,
) -> Result<Vec<Emitted>, ProcessFailure> {
    let mut making = Making::default();
    lend::<W, S, _>(payloads, |frame, batch| {
        let mut out = Output::new(frame.lent, frame.metadata, frame.count, &mut making);
        let done = call(batch, &mut out);
        let emitted = |outcome| match outcome {
            Outcome::Routes(routes) => frame.lent.routed(&routes),
            Outcome::Made(made) => Ok(made),
        };
        let whole = |failure| ProcessFailure { failure, index: None, emitted: Vec::new() };
        match out.end(done) {
            Ok(outcome) => emitted(outcome).map_err(whole),
            Err(Failed { failure, reached: None }) => Err(whole(failure)),
            Err(Failed { failure, reached: Some((index, outcome)) }) => {
                let emitted = emitted(outcome).map_err(whole)?;
                Err(ProcessFailure { failure, index: Some(index), emitted })
            }
        }
    })
}
