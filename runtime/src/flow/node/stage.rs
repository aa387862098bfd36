//! A node that calls a stage: what it lends, when, and how large the batch is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::replicas::{AtHand, Replicas, Worker, check_stage};
use super::{Context, Links, MAX_BATCH, MAX_BATCH_BYTES, Phase, Shared, max_batch_bytes};
use crate::base::plural::counted;
use crate::base::rng::Rng;
use crate::contract::{Bounds, Kind};
use crate::error::{Error, StageError};
use crate::flow::Stage;
use crate::flow::edge::Room;
use crate::flow::identity_writes::IdentityWrites;
use crate::flow::input_ports::Ready;
use crate::flow::recovery::{FailureUse, Recovery};
use crate::ledger::ownership::StageId;
use crate::ledger::{Call, Count};
use crate::payload::ElementSet;
use crate::payload::element;
use crate::payload::run::Runs;
use crate::stage::host::BackpressureSignal;
use crate::stage::instance::{FailedCall, Instance, Processed, Start};
use crate::stage::log::StageLog;

/// The batch limit shrinks when the last call took more than this fraction of its time limit.
const CALL_SHARE: u32 = 8;

pub(crate) struct StageNode {
    pub(super) links: Links,
    pub(super) instance: AtHand,
    /// The other replicas of the stage, if it has several.
    pub(super) replicas: Option<Box<Replicas>>,
    pub(super) kind: Kind,
    pub(super) bounds: Bounds,
    time_limit: Duration,
    /// The recovery of a stage whose policy survives failures, or that has injected faults.
    pub(super) recovery: Option<Box<Recovery>>,
    /// The most elements in the next call.
    batch_limit: usize,
    /// The most elements in any call.
    batch_max: usize,
    /// The most payload bytes in any call that lends them.
    pub(super) max_bytes: usize,
    /// The most calls that lend one element and copy it, if the stage holds no elements.
    pub(super) calls: u32,
    /// For a source, the number of its next element; otherwise that of the last element lent.
    pub(super) sequence: u64,
    /// The time and the context of what is made without lineage.
    pub(super) timestamp: u64,
    pub(super) context: Option<Arc<element::Context>>,
    /// Of the payloads that the stage made, those it wrote.
    pub(super) written: Count,
    pub(super) identity_writes: IdentityWrites,
    /// Reused from call to call.
    pub(super) runs: Runs,
}

impl StageNode {
    pub(super) fn start(links: Links, stage: Stage, shared: &mut Shared<'_>, index: usize) -> Result<StageNode, Error> {
        let Shared { pool, control, done, next_stage, ends, .. } = shared;
        let batch_max = stage.batch.clamp(1, MAX_BATCH);
        if stage.replicas > 1 {
            check_stage(&links.name, &stage)?;
        }
        let recovery = Recovery::new(stage.policy, stage.injections, control);
        let replicas = stage.replicas.max(1);
        let has_threads = replicas > 1 && !control.runs_on_one_thread();
        let workers = Worker::start_all(&links.name, if has_threads { replicas } else { 0 }, done)?;
        let log = StageLog::new(&links.name, control.log.clone(), stage.limits.log_bytes);
        let stop = Arc::<AtomicBool>::default();
        let cut = if replicas > 1 { control.cut.clone().or(stop.clone()) } else { control.cut.clone() };
        let mut start = |replica: usize| {
            // Calls at the same time are those of different stages for the table of buffers.
            let is_another = has_threads && replica > 0;
            let stage_id = if is_another { next_stage.next().unwrap_or(u32::MAX) } else { index as u32 };
            Instance::start(Start {
                name: &links.name,
                stage: StageId(stage_id),
                component: &stage.component,
                config: &stage.config,
                limits: &stage.limits,
                budget: stage.budget,
                bounds: stage.bounds,
                pool,
                boundary: control.recorder.at(index),
                log: if replica == 0 { log.clone() } else { log.of_replica() },
                clock: &control.clock,
                cut: &cut,
                rng: control.seed().map(|seed| Rng::for_replica(seed, index as u32, replica as u32)),
                policy: stage.policy.into(),
                restarts: recovery.is_some(),
                end_of_element: ends[index],
            })
        };
        let instance = Box::new(start(0)?);
        let mut others = VecDeque::new();
        for replica in 1..replicas {
            match start(replica) {
                Ok(instance) => others.push_back(Box::new(instance)),
                Err(error) => {
                    // The start is what failed, whatever the teardown of the others says.
                    [instance].into_iter().chain(others).for_each(|mut started| _ = started.teardown());
                    return Err(error);
                }
            }
        }
        let replicas = (replicas > 1).then(|| Box::new(Replicas::new(others, workers, stop)));
        Ok(StageNode {
            instance: AtHand::new(instance),
            replicas,
            links,
            kind: stage.component.profile().kind,
            bounds: stage.bounds,
            time_limit: stage.limits.time,
            recovery,
            batch_limit: 1,
            batch_max,
            max_bytes: max_batch_bytes(!stage.bounds.reads.is_never()),
            calls: stage.policy.calls(batch_max),
            sequence: 0,
            timestamp: 0,
            context: None,
            written: Count::default(),
            identity_writes: IdentityWrites::new(),
            runs: Runs::default(),
        })
    }

    /// Makes the next call, if there is one to make.
    pub(super) fn step(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.replicas.is_some() {
            return self.step_replicas(room, context);
        }
        self.instance.begin_step(context.now);
        match self.kind {
            Kind::Source if context.cancelled => {
                self.links.phase = Phase::Last;
                Ok(true)
            }
            Kind::Source => self.pull(room, context),
            Kind::Processor | Kind::Sink => self.take_batch(room, context),
        }
    }

    /// Pulls elements from a source.
    fn pull(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.wait_if_injected(context) {
            return Ok(false);
        }
        context.call = Some(Call::Pull);
        let begun = self.begin_call("pull");
        self.instance.boundary().makes_from(self.sequence);
        let max_elements = context.limit_batch(self.batch_limit.min(room.elements));
        let injections = self.recovery.as_ref().map(|recovery| &recovery.injections);
        let max_elements =
            injections.map_or(max_elements, |injections| injections.limit_batch(self.sequence, max_elements)) as u32;
        let max_bytes = MAX_BATCH_BYTES.min(room.bytes.max(1)) as u64;
        let made = match begun.and_then(|()| self.instance.pull(max_elements, max_bytes)) {
            Ok(Some(made)) => made,
            Ok(None) => {
                self.links.phase = Phase::Last;
                return Ok(true);
            }
            Err(error) => return self.retry_call(error, context).map(|()| true),
        };
        if let Some(recovery) = &mut self.recovery {
            recovery.succeed();
        }
        let elements = made.len();
        if elements > max_elements as usize {
            let broken = format!(
                "it made {}, but the call asked for at most {max_elements}",
                counted(elements as u64, "element")
            );
            return Err(self.instance.error("pull", StageError::Contract(broken)));
        }
        self.timestamp = context.clock.unix_ns();
        let moved = elements > 0;
        self.context = self.links.stamps.as_mut().filter(|_| moved).map(|stamps| stamps.next(self.timestamp));
        context.progress.add(elements as u64, made.written_bytes());
        self.send_made("pull", made, context.edges)?;
        if moved {
            self.links.pause_length = Duration::ZERO;
        } else {
            self.links.pause(context);
        }
        Ok(moved)
    }

    /// Takes a batch from the edges, for a processor or a sink.
    pub(super) fn take_batch(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.retry_count() == 0 {
            match self.links.ready(context) {
                Ready::Batch => {}
                Ready::Waits(_) | Ready::Nothing => return Ok(false),
                Ready::Finished => return self.finish(context).map(|()| true),
            }
        }
        let last = context.merge_limit.unwrap_or(u64::MAX);
        let max = self.next_batch(room, context);
        if self.wait_if_injected(context) {
            return Ok(false);
        }
        self.fill_batch(max, last, context);
        if let Err(failed) = self.lend_batch(context) {
            self.recover(*failed, context)?;
        }
        Ok(true)
    }

    /// The most elements in the next call.
    pub(super) fn next_batch(&self, room: Room, context: &mut Context<'_>) -> usize {
        let max = self.batch_limit.min(room.elements);
        if context.rng.is_none() {
            return max;
        }
        let again = self.retry_count();
        context.limit_batch(max.min(if again > 0 { again } else { self.links.inputs.waiting(context.edges) }))
    }

    /// Lends the batch to the stage, and sends the results.
    fn lend_batch(&mut self, context: &mut Context<'_>) -> Result<(), Box<FailedCall>> {
        if self.kind == Kind::Sink {
            return self.push(context);
        }
        context.call = Some(Call::Process);
        self.begin_call("process").map_err(FailedCall::of_batch)?;
        let processed = self.instance.process()?;
        self.send_processed(processed, context)
    }

    /// Sends the results of a call that succeeded.
    pub(super) fn send_processed(
        &mut self,
        processed: Processed,
        context: &mut Context<'_>,
    ) -> Result<(), Box<FailedCall>> {
        if self.instance.has_skipped() {
            return self.send_with_skips(processed, context).map_err(FailedCall::of_batch);
        }
        self.send(processed, context.edges).map_err(FailedCall::of_batch)
    }

    /// Lends the batch to a sink.
    fn push(&mut self, context: &mut Context<'_>) -> Result<(), Box<FailedCall>> {
        context.call = Some(Call::Push);
        self.begin_call("push").map_err(FailedCall::of_batch)?;
        let signal = self.instance.push()?;
        if self.instance.has_skipped() {
            self.finish_push_with_skips(context).map_err(FailedCall::of_batch)?;
        } else {
            self.finish_push(context);
        }
        match signal {
            BackpressureSignal::Ready => self.links.pause_length = Duration::ZERO,
            BackpressureSignal::Pause => self.links.pause(context),
        }
        Ok(())
    }

    /// Completes a push: the sink took the batch.
    pub(super) fn finish_push(&mut self, context: &Context<'_>) {
        self.links.count_deadlines(self.instance.batch(), context.clock);
        self.instance.batch().clear();
    }

    /// Ends the input of the node: every incoming element was taken.
    pub(super) fn finish(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        if let Some(recovery) = &mut self.recovery {
            recovery.begin_call(self.instance.copies());
        }
        let is_sink = self.kind == Kind::Sink;
        context.call = Some(if is_sink { Call::Complete } else { Call::Flush });
        let ended = if is_sink { self.instance.complete().map(|()| None) } else { self.instance.flush() };
        let made = match ended {
            Ok(made) => made,
            Err(error) => return self.retry_call(error, context),
        };
        let count = made.as_ref().map_or(0, |made| made.len());
        match made {
            Some(made) => self.send_made("flush", made, context.edges)?,
            None => self.settle(ElementSet::EMPTY),
        }
        if self.flushed(count)? {
            self.links.phase = Phase::Last;
        }
        Ok(())
    }

    /// Ends the lending of the batch; `named` are its elements that were sent on.
    pub(super) fn settle(&mut self, named: ElementSet) {
        self.links.counters.dropped += self.instance.settle(named);
    }

    /// Ends the leases whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        // Replicas hold nothing.
        let Some(instance) = self.instance.get_mut() else { return };
        if instance.leases().deadline().is_some_and(|deadline| deadline <= now) {
            self.links.counters.dropped += instance.expire(now);
        }
    }

    /// Adapts the batch limit to the duration of the last step: a call that took much of its time limit lends fewer elements
    /// next time. Not if the flow must be deterministic, because then time must not matter.
    pub(super) fn adapt_batch_limit(&mut self, time: Duration, is_deterministic: bool) {
        let long = !is_deterministic && time > self.time_limit / CALL_SHARE;
        self.batch_limit =
            if long { (self.batch_limit / 2).max(1) } else { (self.batch_limit * 2).min(self.batch_max) };
    }

    /// The stage is done with the first elements that it took, up to this number: none of them is held, is to be retried, or
    /// is in a call of a replica.
    pub(super) fn finished_up_to(&mut self) -> u64 {
        let busy = self.retry_count() as u64 + self.elements_called();
        let finished = self.links.counters.taken.ops - busy;
        // Replicas hold nothing.
        self.instance.get_mut().map_or(finished, |instance| finished.min(instance.leases_mut().released_up_to()))
    }

    /// Elements that are to be retried before anything else.
    pub(super) fn retry_count(&self) -> usize {
        self.recovery.as_ref().map_or(0, |recovery| recovery.waiting())
    }

    pub(super) fn failures(&self) -> FailureUse {
        self.recovery.as_ref().map_or(FailureUse::default(), |recovery| recovery.used)
    }
}
