//! How a node goes on after its stage failed, as the policy of the stage says.

use std::time::Duration;

use super::{Called, Context, MAX_BATCH_BYTES, Node};
use crate::error::Error;
use crate::injection::Injected;
use crate::instance::Failed;
use crate::profile::Kind;
use crate::recovery::Fate;

impl Node {
    /// Whether its stage is to be lent something again, before anything else.
    pub(super) fn lends_again(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.waiting() > 0)
    }

    /// Waits before the next call of its stage, if a fault is injected that says so.
    pub(super) fn is_held_up(&mut self, context: &Context<'_>) -> bool {
        let Some(recovery) = &mut self.recovery else { return false };
        let next = if self.inlet.is_none() { Some(self.sequence) } else { recovery.next(self.taken) };
        let Some(time) = next.and_then(|next| recovery.faults.pause(next)) else { return false };
        self.leave_alone(time, context);
        true
    }

    /// Moves what the next call lends into the batch: what is to be lent again, or else what waits, up to `last`.
    pub(super) fn fill(&mut self, max: usize, last: u64, context: &mut Context<'_>) {
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages are lent a batch") };
        let batch = instance.batch();
        let mut max = max;
        if let Some(recovery) = &mut self.recovery {
            if recovery.waiting() > 0 {
                return recovery.lend_again(batch, max, MAX_BATCH_BYTES);
            }
            recovery.lend_new(self.taken);
            max = recovery.faults.cut(self.taken, max);
        }
        let bytes = self.inlet.take(context.edges, batch, max, MAX_BATCH_BYTES, last);
        self.taken += batch.len() as u64;
        self.taken_bytes += bytes as u64;
    }

    /// Begins a call. Fails in its place, if a fault is injected that says so.
    pub(super) fn begin(&mut self, call: &'static str) -> Result<(), Error> {
        let (Some(recovery), Called::Stage { instance, .. }) = (&mut self.recovery, &mut self.called) else {
            return Ok(());
        };
        recovery.begin(instance.copies());
        let element = if self.inlet.is_none() { Some(self.sequence) } else { recovery.first() };
        match element.and_then(|element| recovery.faults.strike(element)) {
            Some(Injected::Failure(kind)) => return Err(instance.failed_as(call, kind)),
            Some(injected) => instance.suffer(injected),
            None => {}
        }
        Ok(())
    }

    /// A call that lent elements has failed. Sends what was made of those before the element that it failed at, and sees to
    /// what becomes of the others.
    ///
    /// # Errors
    ///
    /// The failure, where the flow is to end with it, or what went wrong besides.
    pub(super) fn recover(&mut self, failed: Failed, context: &mut Context<'_>) -> Result<(), Error> {
        let Failed { error, at, made } = failed;
        let (Some(recovery), Called::Stage { instance, kind, .. }) = (&mut self.recovery, &mut self.called) else {
            return Err(error);
        };
        if !recovery.covers(&error) {
            return Err(error);
        }
        context.failed = true;
        let is_sink = *kind == Kind::Sink;
        let at = at.map(|at| at as usize).or((instance.batch().len() == 1).then_some(0));
        let at = at.filter(|at| *at == 0 || is_sink || made.is_some());
        let index = at.unwrap_or(0);
        let rest = instance.undo(index);
        match made {
            Some(made) if at.is_some() => self.send(made, context.edges)?,
            _ if is_sink => self.took(context),
            _ => self.dropped += instance.settle(0),
        }
        let (Some(recovery), Called::Stage { instance, .. }) = (&mut self.recovery, &mut self.called) else {
            unreachable!("it had them before")
        };
        let fate = at.map(|_| recovery.judge(&self.name, &rest[0], index, error)).transpose();
        let held = instance.rescued();
        let fate = match fate {
            Err(error) if error.is_cut_off() => {
                // None of them has arrived anywhere.
                recovery.put_back(held, rest, index, None);
                return Err(error);
            }
            fate => fate?,
        };
        if instance.is_over() {
            instance.restart()?;
            recovery.used.restarts += 1;
        }
        recovery.fail(rest.len() as u64, instance.copies());
        recovery.put_back(held, rest, index, fate.as_ref());
        if let Some(Fate::Again(time)) = fate {
            self.leave_alone(time, context);
        }
        Ok(())
    }

    /// A call that lends nothing has failed: it is made again, if the policy says so.
    ///
    /// # Errors
    ///
    /// The failure, where it does not.
    pub(super) fn call_again(&mut self, error: Error, context: &mut Context<'_>) -> Result<(), Error> {
        let (Some(recovery), Called::Stage { instance, .. }) = (&mut self.recovery, &mut self.called) else {
            return Err(error);
        };
        let Some(time) = recovery.call_again(&error).filter(|_| !instance.is_over()) else { return Err(error) };
        context.failed = true;
        self.dropped += instance.settle(0);
        recovery.fail(0, instance.copies());
        self.leave_alone(time, context);
        Ok(())
    }

    /// Leaves the node alone for this time.
    fn leave_alone(&mut self, time: Duration, context: &Context<'_>) {
        if !time.is_zero() {
            self.resume = Some(context.clock.after(context.clock.now(), time));
        }
    }
}
