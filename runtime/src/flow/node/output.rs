//! A node that pushes elements to an output of the host.

use std::time::{Duration, Instant};

use super::{Context, Links, MAX_BATCH, MAX_BATCH_BYTES, Phase, max_batch_bytes};
use crate::base::cut::CutOff;
use crate::endpoint::Output;
use crate::error::Error;
use crate::flow::Control;
use crate::flow::edge::Edge;
use crate::flow::input_ports::Ready;
use crate::ledger::{Boundary, Call};
use crate::payload::{Batch, Unreadable};

pub(crate) struct OutputNode {
    pub(super) links: Links,
    pub(super) output: Box<dyn Output>,
    /// Whether elements wait until there are enough for a large push, or nothing else can be done.
    is_lazy: bool,
    /// The elements of the current push.
    pub(super) batch: Batch,
    /// The most payload bytes in a push.
    max_bytes: usize,
    /// How long what was pushed may wait to be flushed; `None` if nothing waits.
    flush_delay: Option<Duration>,
    /// When what waits is flushed.
    pub(super) flush_at: Option<Instant>,
    boundary: Boundary,
}

impl OutputNode {
    pub(super) fn new(links: Links, mut output: Box<dyn Output>, control: &Control, index: usize) -> OutputNode {
        output.give_up_at(&control.cut);
        output.use_clock(&control.clock);
        // What is recorded or repeated does not depend on that.
        let is_lazy = output.appears_whole() && !control.runs_on_one_thread();
        let flush_delay = output.flush_delay();
        let (batch, max_bytes) = (Batch::default(), max_batch_bytes(output.touches_bytes()));
        let boundary = control.recorder.at(index);
        OutputNode { links, output, is_lazy, batch, max_bytes, flush_delay, flush_at: None, boundary }
    }

    /// Whether others come first.
    #[inline]
    pub(super) fn may_wait(&self, edges: &[Edge]) -> bool {
        // An element with a deadline is delivered when it was pushed.
        self.is_lazy && !self.links.has_deadlines && !self.links.inputs.have_much(edges, MAX_BATCH_BYTES)
    }

    /// Pushes the elements that wait.
    pub(super) fn push(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.flush_at.is_some_and(|at| at <= context.clock.now()) {
            self.flush_at = None;
            context.call = Some(Call::Push);
            self.output.flush().map_err(|source| self.error(source))?;
            return Ok(true);
        }
        let links = &mut self.links;
        match links.ready(context) {
            Ready::Batch => {}
            Ready::Waits(_) | Ready::Nothing => return Ok(false),
            Ready::Finished => {
                links.phase = Phase::Last;
                return Ok(true);
            }
        }
        let last = context.merge_limit.unwrap_or(u64::MAX);
        // No call limits how many there may be, as that of a stage does.
        let mut max = usize::MAX;
        if context.rng.is_some() {
            max = context.limit_batch(MAX_BATCH.min(links.inputs.waiting(context.edges)));
        }
        context.call = Some(Call::Push);
        let bytes = links.inputs.take(context.edges, &mut self.batch, max, self.max_bytes, last);
        let before = self.output.host_copies();
        let pushed = self.output.push(&self.batch);
        let copied = self.output.host_copies().since(before);
        if copied.ops > 0 {
            self.boundary.joined(copied.bytes);
        }
        links.counters.taken.record(self.batch.len() as u64, bytes as u64);
        links.count_deadlines(&self.batch, context.clock);
        let Err(source) = pushed else {
            self.batch.clear();
            if let (Some(delay), None) = (self.flush_delay, self.flush_at) {
                self.flush_at = Some(context.clock.after(context.clock.now(), delay));
            }
            return Ok(true);
        };
        let sequences = || self.batch.iter().map(|element| element.sequence());
        let elements = sequences().min().zip(sequences().max());
        // An interrupted batch is counted later.
        if !CutOff::is(&source) {
            self.batch.clear();
        }
        Err(match Unreadable::from_error(&source) {
            Some(_) => Error::Payload { reader: self.links.name.clone(), elements, source },
            None => self.error(source),
        })
    }

    /// Settles what was pushed. Returns whether everything is settled.
    pub(super) fn settle(&mut self) -> Result<bool, Error> {
        self.output.settle().map_err(|source| self.error(source))
    }

    /// Completes the output, which makes its content visible.
    pub(super) fn complete(&mut self) -> Result<(), Error> {
        self.output.complete().map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Output { output: self.links.name.clone(), bytes: self.output.written(), source }
    }
}
