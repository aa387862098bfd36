//! How a node continues after its stage failed, as the policy of the stage says.

use std::time::Duration;

use super::Context;
use super::stage::StageNode;
use crate::contract::Kind;
use crate::error::Error;
use crate::flow::recovery::{Disposition, PutBack};
use crate::payload::ElementSet;
use crate::pipeline::injection::InjectedFault;
use crate::stage::instance::{FailedCall, Processed};

impl StageNode {
    /// Pauses before the next call if a pause is injected there. Returns whether it does.
    pub(super) fn wait_if_injected(&mut self, context: &Context<'_>) -> bool {
        let Some(recovery) = &mut self.recovery else { return false };
        let is_source = self.kind == Kind::Source;
        let next = if is_source { Some(self.sequence) } else { recovery.next(self.links.counters.taken.ops) };
        let Some(time) = next.and_then(|next| recovery.injections.pause(next)) else { return false };
        self.back_off(time, context);
        true
    }

    /// Fills the batch for the next call: with elements to retry, or else from the edges, up to the number `last`.
    pub(super) fn fill_batch(&mut self, max: usize, last: u64, context: &mut Context<'_>) {
        let waiting = self.retry_count() as u64;
        let taken = &mut self.links.counters.taken;
        self.instance.leases_mut().begin_batch(taken.ops - waiting);
        let mut max = max;
        if let Some(recovery) = &mut self.recovery {
            if recovery.waiting() > 0 {
                recovery.retry_batch(self.instance.batch(), max, self.max_bytes);
                return self.instance.retry_batch(recovery.reads_before());
            }
            recovery.lend_new(taken.ops);
            max = recovery.injections.limit_batch(taken.ops, max);
        }
        let batch = self.instance.batch();
        let bytes = self.links.inputs.take(context.edges, batch, max, self.max_bytes, last);
        taken.record(batch.len() as u64, bytes as u64);
    }

    /// Begins a call. An injected failure is returned in place of the call.
    pub(super) fn begin_call(&mut self, call: &'static str) -> Result<(), Error> {
        let Some(recovery) = &mut self.recovery else { return Ok(()) };
        recovery.begin_call(self.instance.copies());
        let element = if self.kind == Kind::Source { Some(self.sequence) } else { recovery.first() };
        match element.and_then(|element| recovery.injections.inject(element)) {
            Some(InjectedFault::Failure(kind)) => {
                self.instance.lend_without_calling();
                return Err(self.instance.injected_error(call, kind));
            }
            Some(injected) => self.instance.inject_next(injected),
            None => {}
        }
        Ok(())
    }

    /// Handles a failed call that lent elements. Sends what was made of the elements before the failed one, and retries,
    /// skips or keeps the others.
    ///
    /// # Errors
    ///
    /// The failure, if the flow is to end with it, or any other error on the way.
    pub(super) fn recover(&mut self, failed: FailedCall, context: &mut Context<'_>) -> Result<(), Error> {
        let FailedCall { error, at, made } = failed;
        if !self.recovery.as_ref().is_some_and(|recovery| recovery.covers(&error)) {
            return Err(error);
        }
        context.failed = true;
        let is_sink = self.kind == Kind::Sink;
        let at = at.map(|at| at as usize).or((self.instance.batch().len() == 1).then_some(0));
        let at = at.filter(|at| *at == 0 || is_sink || made.is_some());
        let index = at.unwrap_or(0);
        let rest = self.instance.undo(index);
        // A call that does not name the element it failed on made nothing, and skipped nothing.
        let skipped = self.skip_elements(if at.is_some() { index } else { 0 })?;
        match made {
            Some(made) if at.is_some() => self.send(made, context.edges)?,
            _ if is_sink => self.finish_push(context),
            _ => self.settle(ElementSet::EMPTY),
        }
        self.links.counters.dropped -= if is_sink { 0 } else { skipped };
        let Some(recovery) = &mut self.recovery else { unreachable!("it was there before") };
        let instance = &mut self.instance;
        let disposition = at.map(|_| recovery.decide(&self.links.name, &rest[0].0, index, error)).transpose();
        let held = instance.rescued();
        let disposition = match disposition {
            Err(error) if error.is_cut_off() => {
                // None of them was delivered.
                recovery.put_back(PutBack { held, rest, index, disposition: None });
                return Err(error);
            }
            disposition => disposition?,
        };
        if instance.is_dead() {
            instance.restart()?;
            recovery.used.restarts += 1;
        }
        recovery.fail(instance.copies());
        let untouched = recovery.put_back(PutBack { held, rest, index, disposition: disposition.as_ref() });
        instance.take_back(untouched);
        if let Some(Disposition::Retry(time)) = disposition {
            self.back_off(time, context);
        }
        Ok(())
    }

    /// Sends the results of a call that succeeded but skipped elements it failed on.
    ///
    /// # Errors
    ///
    /// An error if a dead letter cannot be kept or a result cannot be sent.
    #[cold]
    pub(super) fn send_with_skips(&mut self, made: Processed, context: &mut Context<'_>) -> Result<(), Error> {
        let skipped = self.skip_elements(usize::MAX)?;
        self.send(made, context.edges)?;
        self.links.counters.dropped -= skipped;
        self.note_skips(context);
        Ok(())
    }

    /// Completes a push of a sink that skipped elements it failed on.
    ///
    /// # Errors
    ///
    /// An error if a dead letter cannot be kept.
    #[cold]
    pub(super) fn finish_push_with_skips(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        self.skip_elements(usize::MAX)?;
        self.finish_push(context);
        self.note_skips(context);
        Ok(())
    }

    fn note_skips(&mut self, context: &mut Context<'_>) {
        context.failed = true;
        if let Some(recovery) = &mut self.recovery {
            recovery.note_skips();
        }
    }

    /// Removes the elements that the call skipped, among the first `count` of the batch. A sink's batch loses them; a
    /// processor's keeps them in place. Returns how many there are.
    fn skip_elements(&mut self, count: usize) -> Result<u64, Error> {
        let (Some(recovery), instance) = (&mut self.recovery, &mut self.instance) else { return Ok(0) };
        let is_sink = self.kind == Kind::Sink;
        if !instance.has_skipped() {
            return Ok(0);
        }
        let call = if is_sink { "push" } else { "process" };
        let skipped = instance.take_skipped(call, count.try_into().unwrap_or(u32::MAX));
        let indices: Vec<_> = skipped.iter().map(|(index, _)| *index as usize).collect();
        for (index, error) in skipped {
            let index = index as usize;
            let element = instance.batch().get(index).expect("a skipped element is in the batch").to_element();
            match recovery.decide(&self.links.name, &element, index, error)? {
                Disposition::Skip => {}
                Disposition::Retry(_) => unreachable!("the policy `skip` has no retries"),
            }
        }
        if is_sink {
            indices.iter().rev().for_each(|index| instance.batch().remove(*index));
        }
        Ok(indices.len() as u64)
    }

    /// Retries a failed call that lends no elements, if the policy says so.
    ///
    /// # Errors
    ///
    /// The failure, if the call is not to be retried.
    pub(super) fn retry_call(&mut self, error: Error, context: &mut Context<'_>) -> Result<(), Error> {
        let (Some(recovery), instance) = (&mut self.recovery, &mut self.instance) else { return Err(error) };
        let Some(time) = recovery.retry_delay(&error).filter(|_| !instance.is_dead()) else { return Err(error) };
        context.failed = true;
        self.links.counters.dropped += instance.settle(ElementSet::EMPTY);
        recovery.fail(instance.copies());
        self.back_off(time, context);
        Ok(())
    }

    /// Pauses the node for this time.
    fn back_off(&mut self, time: Duration, context: &Context<'_>) {
        if !time.is_zero() {
            self.links.resume = Some(context.clock.after(context.clock.now(), time));
        }
    }
}
