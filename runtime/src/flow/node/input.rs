//! A node that pulls elements from an input of the host.

use super::{Context, Links, MAX_BATCH, Phase, max_batch_bytes};
use crate::endpoint::{CopyRecorder, Input, Pull, Pulled};
use crate::error::Error;
use crate::flow::Control;
use crate::flow::edge::Room;
use crate::ledger::{Boundary, Call, Copies};
use crate::payload::element::Metadata;
use crate::payload::run::Runs;

pub(crate) struct InputNode {
    pub(super) links: Links,
    pub(super) input: Box<dyn Input>,
    pub(super) copies: Copies,
    boundary: Boundary,
    /// The most payload bytes in a pull.
    max_bytes: usize,
    /// The number of the next element.
    sequence: u64,
    /// Reused from call to call.
    runs: Runs,
}

impl InputNode {
    pub(super) fn new(links: Links, mut input: Box<dyn Input>, control: &Control, index: usize) -> InputNode {
        input.give_up_at(&control.cut);
        let boundary = control.recorder.at(index);
        let (copies, max_bytes, runs) = (Copies::default(), max_batch_bytes(input.touches_bytes()), Runs::default());
        InputNode { links, input, copies, boundary, max_bytes, sequence: 0, runs }
    }

    /// Pulls elements. A cancelled flow only takes those that the input has already read.
    pub(super) fn pull(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        context.call = Some(Call::Pull);
        let mut metadata = Vec::new();
        let mut pull = Pull {
            pool: context.pool,
            max_elements: context.limit_batch(MAX_BATCH.min(room.elements)),
            max_bytes: self.max_bytes.min(room.bytes.max(1)),
            given: 0,
            runs: &mut self.runs,
            metadata: &mut metadata,
            host_serialize: CopyRecorder { count: &mut self.copies.host_serialize, boundary: &self.boundary },
            clock: context.clock,
            began: context.began,
        };
        let pulled = if context.cancelled { self.input.drain(&mut pull) } else { self.input.pull(&mut pull) };
        let elements = pull.given as u64;
        self.send(metadata, elements, context);
        let links = &mut self.links;
        let made = links.counters.made.ops;
        let pulled = pulled.map_err(|source| Error::Input { input: links.name.clone(), elements: made, source })?;
        match pulled {
            Pulled::More => links.pause_length = Default::default(),
            Pulled::Idle => links.pause(context),
            Pulled::Until(time) => {
                links.pause_length = Default::default();
                links.resume = Some(context.clock.after(context.began, time));
            }
            Pulled::End => links.phase = Phase::Last,
        }
        Ok(elements > 0 || pulled == Pulled::End)
    }

    /// Tells the input how many of its elements are delivered.
    pub(super) fn acknowledge(&mut self, elements: u64) -> Result<(), Error> {
        let acknowledged = self.input.acknowledge(elements);
        acknowledged.map_err(|source| Error::Input { input: self.links.name.clone(), elements, source })
    }

    /// Sends what was pulled. `metadata` has the index of the run that it is for.
    fn send(&mut self, metadata: Vec<(usize, Metadata)>, elements: u64, context: &mut Context<'_>) {
        let timestamp = context.clock.unix_ns();
        let stamp = self.links.stamps.as_mut().filter(|_| elements > 0).map(|stamps| stamps.next(timestamp));
        let mut bytes = 0;
        let mut metadata = metadata.into_iter().peekable();
        for (index, mut run) in self.runs.drain().enumerate() {
            bytes += run.bytes() as u64;
            run.stamp(self.sequence, timestamp, stamp.clone());
            // Few inputs bring metadata, and only for elements by themselves.
            if let Some((_, metadata)) = metadata.next_if(|(of, _)| *of == index) {
                metadata.apply_to(run.make_alone());
            }
            self.sequence = run.last_sequence().saturating_add(1);
            self.links.outputs.send(context.edges, run, 1);
        }
        context.progress.add(elements, bytes);
        self.links.counters.made.record(elements, bytes);
    }
}
