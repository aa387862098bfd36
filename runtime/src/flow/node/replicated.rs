//! How a node calls a stage that has several replicas: it makes calls ahead, and takes them back in order.

use super::Context;
use super::replicas::Ended;
use super::stage::StageNode;
use crate::base::plural::counted;
use crate::error::{Error, StageError};
use crate::flow::edge::{Edge, Room};
use crate::flow::input_ports::Ready;
use crate::ledger::Call;

impl StageNode {
    /// Does the next thing there is to do for a stage with replicas. Elements to retry come before everything else, on the
    /// instance that failed, so that the order is kept.
    pub(super) fn step_replicas(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.retry_count() > 0 {
            self.instance.begin_step(context.now);
            return self.take_batch(room, context);
        }
        if self.replicas.as_ref().is_some_and(|replicas| replicas.has_threads()) {
            // Both in one step, so that the thread does not wait while other nodes take the results.
            let took = self.take_back(context)?;
            return Ok(self.call_ahead(room, context)? || took);
        }
        let calls_first = context.rng.as_mut().is_some_and(|rng| rng.below(2) == 1);
        if calls_first && self.call_ahead(room, context)? {
            return Ok(true);
        }
        Ok(self.take_back(context)? || !calls_first && self.call_ahead(room, context)?)
    }

    /// Calls a replica, if one rests and there is something to lend to it.
    fn call_ahead(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.instance.get().is_none() || self.retry_count() > 0 || self.links.outputs.has_held() {
            return Ok(false);
        }
        match self.links.ready(context) {
            Ready::Batch => {}
            Ready::Waits(_) | Ready::Nothing => return Ok(false),
            Ready::Finished if self.are_replicas_called() => return Ok(false),
            Ready::Finished => {
                self.instance.begin_step(context.now);
                return self.finish(context).map(|()| true);
            }
        }
        if self.wait_if_injected(context) {
            return Ok(false);
        }
        if let Some(replicas) = &mut self.replicas {
            replicas.rotate(&mut self.instance);
        }
        let max = self.next_batch(room, context);
        self.fill_batch(max, context.merge_limit.unwrap_or(u64::MAX), context);
        context.call = Some(Call::Process);
        let begun = self.begin_call("process");
        let aside = self.recovery.as_ref().map(|recovery| recovery.set_aside());
        if let Some(replicas) = &mut self.replicas {
            replicas.call(&mut self.instance, begun, aside);
        }
        Ok(true)
    }

    /// Takes back the oldest call, if it has ended, and sends its results or recovers from its failure.
    fn take_back(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let Some(replicas) = &mut self.replicas else { return Ok(false) };
        let Some((ended, aside)) = replicas.take_back() else { return Ok(false) };
        let Ended { instance, result, time } = *ended;
        replicas.put_to_rest(self.instance.replace(Some(instance)));
        if replicas.has_threads() {
            self.links.counters.busy += time;
        }
        if let (Some(recovery), Some(aside)) = (&mut self.recovery, aside) {
            recovery.resume(aside);
        }
        self.adapt_batch_limit(time, context.clock.is_virtual());
        context.call = Some(Call::Send);
        if let Err(failed) = result.and_then(|processed| self.send_processed(processed, context)) {
            self.recover(*failed, context)?;
        }
        Ok(true)
    }

    /// Whether calls of replicas are under way.
    pub(super) fn are_replicas_called(&self) -> bool {
        self.replicas.as_ref().is_some_and(|replicas| replicas.are_called())
    }

    /// Elements in calls of replicas that are under way.
    pub(super) fn elements_called(&self) -> u64 {
        self.replicas.as_ref().map_or(0, |replicas| replicas.elements())
    }

    /// Whether a call is under way whose results the node could send as soon as it ends.
    pub(super) fn awaits_call(&self, edges: &[Edge]) -> bool {
        let links = &self.links;
        self.are_replicas_called() && !links.outputs.has_held() && links.outputs.room(edges).elements > 0
    }

    /// Notes that the instance at hand was flushed, which made `made` elements. Returns whether all replicas were.
    ///
    /// # Errors
    ///
    /// If it made any: then the stage has a state, and one replica would have made something else.
    pub(super) fn flushed(&mut self, made: usize) -> Result<bool, Error> {
        let Some(replicas) = &mut self.replicas else { return Ok(true) };
        if made > 0 {
            return Err(self.instance.error("flush", has_state(made)));
        }
        replicas.flushed += 1;
        replicas.rotate(&mut self.instance);
        Ok(replicas.flushed == replicas.count())
    }

    /// Ends all calls under way and discards their results.
    pub(super) fn recall(&mut self) {
        if let Some(replicas) = &mut self.replicas {
            replicas.recall(&mut self.instance);
        }
    }

    /// How many instances the stage has.
    pub(super) fn replica_count(&self) -> usize {
        self.replicas.as_ref().map_or(1, |replicas| replicas.count())
    }
}

/// The error of a stage with replicas that makes elements at the end of its input.
fn has_state(made: usize) -> StageError {
    let elements = counted(made as u64, "element");
    StageError::Replicas(format!("it made {elements} at the end of its input, so it keeps something between its calls"))
}
