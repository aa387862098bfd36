//! The stage of a component, from `init` to `teardown`: what the exports of the component call.

use std::cell::RefCell;

use crate::batch::{Batch, Frame};
use crate::bindings::lifecycle::types::{
    self, BackpressureSignal, Columns, Failure, ProcessFailure, PushFailure, Reached,
};
use crate::config::Config;
use crate::export::In;
use crate::host::Lent;
use crate::output::{Failed, Outcome, Output};
use crate::stage::{BatchProcessor, BatchSink, BatchSource, Next, Stage};
use crate::world::{ProcessorWorld, SinkWorld, SourceWorld};
use crate::writer::Writer;

/// The stage of a component, between the calls of the host.
///
/// `K` is what is kept from call to call besides it: a writer, for its capacity, where the stage makes elements.
pub struct Cell<S, K>(RefCell<Option<Running<S, K>>>);

struct Running<S, K> {
    stage: S,
    kept: K,
    /// The source has ended; the next `pull` says so.
    ended: bool,
}

impl<S, K> Cell<S, K> {
    /// Before `init`.
    #[expect(clippy::new_without_default, reason = "only the macro makes one, in a const")]
    pub const fn new() -> Self {
        Cell(RefCell::new(None))
    }
}

impl<S: Stage, K: Default> Cell<S, K> {
    pub fn init(&self, config: Vec<(String, String)>) -> Result<Columns, Failure> {
        let stage = S::new(&Config::new(config))?;
        *self.0.borrow_mut() = Some(Running { stage, kept: K::default(), ended: false });
        Ok(S::COLUMNS)
    }

    pub fn teardown(&self) {
        if let Some(running) = self.0.borrow_mut().take() {
            running.stage.teardown();
            flush_stdout();
        }
    }

    fn running<T, E: From<Failure>>(&self, call: impl FnOnce(&mut Running<S, K>) -> Result<T, E>) -> Result<T, E> {
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
        self.running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            Ok(running.stage.push(Batch::new(&frame))?)
        })
    }

    pub fn complete(&self) -> Result<(), Failure>
    where
        S: BatchSink<W>,
    {
        self.running(|running| running.stage.complete())
    }
}

impl<S: Stage, W> Cell<S, Writer<W>> {
    pub fn process(&self, of: &types::Batch, count: u32, metadata: &[u64]) -> Result<types::Outcome, ProcessFailure>
    where
        W: ProcessorWorld,
        S: BatchProcessor<W>,
    {
        self.running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            let mut out = Output::new(frame.lent, metadata, count, &mut running.kept.making);
            let done = running.stage.process(Batch::new(&frame), &mut out);
            out.end(done).map(returned).map_err(|Failed { failure, reached }| {
                let reached = reached.map(|(index, outcome)| Reached { index, outcome: returned(outcome) });
                ProcessFailure { failure, reached }
            })
        })
    }

    pub fn flush(&self) -> Result<Option<types::Output>, Failure>
    where
        W: ProcessorWorld,
        S: BatchProcessor<W>,
    {
        self.running(|running| {
            // The compiler sees that a new one stays empty where a stage has nothing to flush; with the call that
            // would empty it goes the import.
            let mut writer = Writer::default();
            W::flush(&mut running.stage, &mut writer)?;
            W::flushed(&mut writer.making)
        })
    }

    pub fn pull(&self, max_elements: u32, max_bytes: u64) -> Result<Option<types::Output>, Failure>
    where
        W: SourceWorld,
        S: BatchSource<W>,
    {
        self.running(|running| {
            if running.ended {
                return Ok(None);
            }
            running.kept.making.clear();
            running.ended = running.stage.pull(max_elements, max_bytes, &mut running.kept)? == Next::End;
            let is_over = running.ended && running.kept.is_empty();
            if is_over { Ok(None) } else { W::made_or_none(&mut running.kept.making).map(Some) }
        })
    }
}

fn returned(outcome: Outcome) -> types::Outcome {
    match outcome {
        Outcome::Routes(routes) => types::Outcome::Routes(routes),
        Outcome::Made(made) => types::Outcome::Output(made),
    }
}

/// What was printed without a line end is still in a buffer of the component.
///
/// A function of its own: inlined, it keeps `check` from seeing how much of a payload the stage looks at.
#[cold]
#[inline(never)]
fn flush_stdout() {
    std::io::Write::flush(&mut std::io::stdout()).ok();
}
