//! [`Cell`]: the stage of a component, from `init` to `teardown`. The exports of the component call it.

use std::cell::RefCell;

use crate::batch::{Batch, Frame};
use crate::bindings::lifecycle::types::{
    self, BackpressureSignal, Columns, Failure, ProcessFailure, PushFailure, Reached,
};
use crate::config::Config;
use crate::export::In;
use crate::host::Lent;
use crate::output::{FailedCall, Outcome, Output};
use crate::stage::{BatchProcessor, BatchSink, BatchSource, Next, Stage};
use crate::world::{ProcessorWorld, SinkWorld, SourceWorld};
use crate::writer::Writer;

/// The stage of a component, between calls of the host.
///
/// `K` is kept from call to call beside the stage: a [`Writer`], to reuse its capacity, if the stage makes elements.
pub struct Cell<S, K>(RefCell<Option<Running<S, K>>>);

struct Running<S, K> {
    stage: S,
    kept: K,
    /// The source has ended: the next `pull` returns `None`.
    has_ended: bool,
}

impl<S, K> Cell<S, K> {
    /// A cell without a stage, before `init`.
    #[expect(clippy::new_without_default, reason = "only the macro makes one, in a const")]
    pub const fn new() -> Self {
        Cell(RefCell::new(None))
    }
}

impl<S: Stage, K: Default> Cell<S, K> {
    pub fn init(&self, config: Vec<(String, String)>) -> Result<Columns, Failure> {
        let stage = S::new(&Config::new(config))?;
        *self.0.borrow_mut() = Some(Running { stage, kept: K::default(), has_ended: false });
        Ok(S::COLUMNS)
    }

    pub fn teardown(&self) {
        if let Some(running) = self.0.borrow_mut().take() {
            running.stage.teardown();
            flush_stdout();
        }
    }

    fn with_running<T, E: From<Failure>>(&self, call: impl FnOnce(&mut Running<S, K>) -> Result<T, E>) -> Result<T, E> {
        match &mut *self.0.borrow_mut() {
            Some(running) => call(running),
            None => Err(Failure::Internal("the stage is not running".to_string()).into()),
        }
    }
}

impl<S: Stage, W: SinkWorld> Cell<S, In<W>> {
    pub fn push(&self, of: &types::Batch, count: u32, metadata: &[u64]) -> Result<BackpressureSignal, PushFailure>
    where
        S: BatchSink<W>,
    {
        self.with_running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            Ok(running.stage.push(Batch::new(&frame))?)
        })
    }

    pub fn complete(&self) -> Result<(), Failure>
    where
        S: BatchSink<W>,
    {
        self.with_running(|running| running.stage.complete())
    }
}

impl<S: Stage, W> Cell<S, Writer<W>> {
    pub fn process(&self, of: &types::Batch, count: u32, metadata: &[u64]) -> Result<types::Outcome, ProcessFailure>
    where
        W: ProcessorWorld,
        S: BatchProcessor<W>,
    {
        self.with_running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            let mut out = Output::new(frame.lent, metadata, count, &mut running.kept.builder);
            let done = running.stage.process(Batch::new(&frame), &mut out);
            out.end(done).map(types::Outcome::from).map_err(|FailedCall { failure, reached }| {
                let reached = reached.map(|(index, outcome)| Reached { index, outcome: outcome.into() });
                ProcessFailure { failure, reached }
            })
        })
    }

    pub fn flush(&self) -> Result<Option<types::Output>, Failure>
    where
        W: ProcessorWorld,
        S: BatchProcessor<W>,
    {
        self.with_running(|running| {
            // If the stage has nothing to flush, the compiler sees that a new writer stays empty. It removes the call
            // that would emit its entries, and with that call the import of the host function.
            let mut writer = Writer::default();
            W::flush(&mut running.stage, &mut writer)?;
            W::take_flushed(&mut writer.builder)
        })
    }

    pub fn pull(&self, max_elements: u32, max_bytes: u64) -> Result<Option<types::Output>, Failure>
    where
        W: SourceWorld,
        S: BatchSource<W>,
    {
        self.with_running(|running| {
            if running.has_ended {
                return Ok(None);
            }
            running.kept.builder.clear();
            running.has_ended = running.stage.pull(max_elements, max_bytes, &mut running.kept)? == Next::End;
            let is_over = running.has_ended && running.kept.is_empty();
            if is_over { Ok(None) } else { W::take_or_empty(&mut running.kept.builder).map(Some) }
        })
    }
}

impl From<Outcome> for types::Outcome {
    fn from(outcome: Outcome) -> types::Outcome {
        match outcome {
            Outcome::Routes(routes) => types::Outcome::Routes(routes),
            Outcome::Output(output) => types::Outcome::Output(output),
        }
    }
}

/// Flushes standard output: text without a line break is still in a buffer of the component.
///
/// Not inlined: inlined code would keep the analysis from proving how much of a payload the stage reads.
#[cold]
#[inline(never)]
fn flush_stdout() {
    std::io::Write::flush(&mut std::io::stdout()).ok();
}
