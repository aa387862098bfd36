//! A node of a running flow: what it calls, when it may be called next, and counts of what went through it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::cut::CutOff;
use crate::base::plural::counted;
use crate::base::rng::Rng;
use crate::contract::{Bounds, Kind};
use crate::endpoint::{CopyRecorder, Input, Output, Pull, Pulled};
use crate::error::{Error, StageError};
use crate::flow::edge::{Edge, Room};
use crate::flow::identity_writes::IdentityWrites;
use crate::flow::input_ports::{InputPorts, Ready};
use crate::flow::output_ports::OutputPorts;
use crate::flow::recovery::{FailureUse, Recovery};
use crate::flow::{Body, Control, Progress, Stage};
use crate::ledger::ownership::StageId;
use crate::ledger::{Boundary, Call, Copies, Count};
use crate::payload::element::{self, Stamps};
use crate::payload::run::Runs;
use crate::payload::{Batch, Pool, Unreadable};
use crate::pipeline::graph::Graph;
use crate::stage::host::BackpressureSignal;
use crate::stage::instance::{FailedCall, Instance, Start};

mod ending;
mod recovering;
mod sending;

/// The most elements in one call. At this size, the cost of a call per element is already close to nothing.
pub(crate) const MAX_BATCH: usize = Stage::MAX_BATCH;
/// The most payload bytes in one call, unless a single element has more. Larger batches leave the second-level cache and
/// are slower again.
const MAX_BATCH_BYTES: usize = 128 << 10;
/// The batch limit shrinks when the last call took more than this fraction of its time limit.
const CALL_SHARE: u32 = 8;
/// How long a node pauses that has or wants no elements. The pause doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// What a step uses besides the node.
pub(crate) struct Context<'a> {
    pub(crate) edges: &'a mut [Edge],
    pub(crate) pool: &'a Pool,
    pub(crate) progress: &'a Progress,
    pub(crate) cancelled: bool,
    /// When the step begins, by the system's clock.
    pub(crate) now: Instant,
    /// Whether the step had a failure that the flow survives.
    pub(crate) failed: bool,
    /// The call that the step made, if any.
    pub(crate) call: Option<Call>,
    /// Set when a merge by sequence need not wait any more: the greatest sequence number that it may take.
    pub(crate) merge_limit: Option<u64>,
    pub(crate) clock: &'a Clock,
    /// When the flow began, by `clock`.
    pub(crate) began: Instant,
    /// Draws the random decisions of a seeded schedule.
    pub(crate) rng: Option<&'a mut Rng>,
}

impl Context<'_> {
    /// The number of elements for the next call, at most `elements`: a seeded schedule draws it.
    fn limit_batch(&mut self, elements: usize) -> usize {
        match &mut self.rng {
            None => elements,
            Some(rng) => 1 + rng.below(elements),
        }
    }
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The node is not called again, but may still hold elements to send.
    Last,
    Ended,
}

enum Callee {
    Input { input: Box<dyn Input>, runs: Runs, copies: Copies, boundary: Boundary },
    Output { output: Box<dyn Output>, batch: Batch },
    Stage { instance: Box<Instance>, kind: Kind, bounds: Bounds, time_limit: Duration },
}

/// A node of a running flow.
pub(crate) struct Node {
    name: String,
    callee: Callee,
    /// The recovery of a stage whose policy survives failures, or that has injected faults.
    recovery: Option<Box<Recovery>>,
    phase: Phase,
    inputs: InputPorts,
    outputs: OutputPorts,
    /// The node is paused until then.
    resume: Option<Instant>,
    /// The length of the last pause, while pauses follow each other.
    pause_length: Duration,
    /// The most elements in the next call.
    batch_limit: usize,
    /// The most elements in any call.
    batch_max: usize,
    /// The most calls that lend one element and copy it, if the stage holds no elements.
    calls: u32,
    /// For a source, the number of its next element; otherwise that of the last element lent.
    sequence: u64,
    timestamp: u64,
    context: Option<Arc<element::Context>>,
    /// The stamps of a source that stamps its elements.
    stamps: Option<Stamps>,
    /// Whether a source of its elements gives them deadlines.
    has_deadlines: bool,
    due: u64,
    late: u64,
    taken: u64,
    taken_bytes: u64,
    made: u64,
    made_bytes: u64,
    /// Of the payloads that the stage made, those it wrote.
    written: Count,
    identity_writes: IdentityWrites,
    /// Reused from call to call.
    runs: Runs,
    dropped: u64,
    busy: Duration,
}

impl Node {
    pub(crate) fn start(
        graph: &Graph,
        index: usize,
        body: Body,
        pool: &Pool,
        control: &Control,
        trace: &mut Option<u128>,
    ) -> Result<Node, Error> {
        let node = &graph.nodes()[index];
        // Must differ from the numbers that the stage of this node draws.
        let mut rng = control.seed().map(|seed| Rng::for_stage(!seed, index as u32));
        let draw = || rng.as_mut().map_or_else(getrandom::u64, |rng| Ok(rng.next()));
        let stamps = Stamps::new(node.stamp, trace, draw);
        let stamps =
            stamps.map_err(|error| Error::Internal(format!("cannot get random numbers from the system: {error}")))?;
        let (mut recovery, mut batch_max, mut calls) = (None, MAX_BATCH, 1);
        let callee = match body {
            Body::Input(mut input) => {
                input.give_up_at(&control.cut);
                let boundary = control.recorder.at(index);
                Callee::Input { input, runs: Runs::default(), copies: Copies::default(), boundary }
            }
            Body::Output(mut output) => {
                output.give_up_at(&control.cut);
                Callee::Output { output, batch: Batch::default() }
            }
            Body::Stage(stage) => {
                batch_max = stage.batch.clamp(1, MAX_BATCH);
                calls = stage.policy.calls(batch_max);
                recovery = Recovery::new(stage.policy, stage.injections, control);
                let start = Start {
                    name: &node.name,
                    stage: StageId(index as u32),
                    component: &stage.component,
                    config: &stage.config,
                    limits: &stage.limits,
                    budget: stage.budget,
                    bounds: stage.bounds,
                    pool,
                    boundary: control.recorder.at(index),
                    log: &control.log,
                    clock: &control.clock,
                    cut: &control.cut,
                    rng: control.seed().map(|seed| Rng::for_stage(seed, index as u32)),
                    policy: stage.policy.into(),
                    restarts: recovery.is_some(),
                };
                let profile = stage.component.profile();
                Callee::Stage {
                    instance: Box::new(Instance::start(start)?),
                    kind: profile.kind,
                    bounds: stage.bounds,
                    time_limit: stage.limits.time,
                }
            }
        };
        let edges = || graph.edges().iter().enumerate();
        let outputs = (0..node.outputs).map(|output| {
            let from_here = edges().filter(|(_, edge)| (edge.from, edge.output) == (index, output));
            from_here.map(|(edge, _)| edge).collect()
        });
        let inputs = InputPorts::new(graph, index);
        let has_deadlines = inputs.sources().iter().any(|&source| graph.nodes()[source].stamp.deadline.is_some());
        Ok(Node {
            name: node.name.clone(),
            callee,
            recovery,
            phase: Phase::Running,
            inputs,
            outputs: OutputPorts::new(outputs.collect()),
            resume: None,
            pause_length: Duration::ZERO,
            batch_limit: 1,
            batch_max,
            calls,
            sequence: 0,
            timestamp: 0,
            context: None,
            stamps,
            has_deadlines,
            due: 0,
            late: 0,
            taken: 0,
            taken_bytes: 0,
            made: 0,
            made_bytes: 0,
            written: Count::default(),
            identity_writes: IdentityWrites::new(),
            runs: Runs::default(),
            dropped: 0,
            busy: Duration::ZERO,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does the next thing there is to do. Returns whether there was one.
    pub(crate) fn step(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.phase == Phase::Ended {
            return Ok(false);
        }
        if self.outputs.held() > 0 {
            context.call = Some(Call::Send);
            return Ok(self.outputs.send_held(context.edges));
        }
        if self.phase == Phase::Last {
            self.outputs.close(context.edges);
            self.phase = Phase::Ended;
            return Ok(true);
        }
        if let Some(resume) = self.resume {
            // Cancellation ends a pause, but a stage that is being retried keeps its backoff.
            let waits = !context.cancelled || self.recovery.is_some() && !self.is_source();
            if waits && context.clock.now() < resume {
                return Ok(false);
            }
            self.resume = None;
        }
        let room = self.outputs.room(context.edges);
        if room.elements == 0 {
            return Ok(false);
        }
        if let Callee::Stage { instance, .. } = &mut self.callee {
            instance.begin_step(context.now);
        }
        match &self.callee {
            Callee::Stage { kind: Kind::Source, .. } if context.cancelled => {
                self.phase = Phase::Last;
                Ok(true)
            }
            Callee::Input { .. } => self.pull_input(room, context),
            Callee::Stage { kind: Kind::Source, .. } => self.pull_source(room, context),
            Callee::Output { .. } | Callee::Stage { .. } => self.take_batch(room, context),
        }
    }

    /// Whether the node is an input that sets deadlines itself.
    pub(crate) fn gives_deadlines(&self) -> bool {
        matches!(&self.callee, Callee::Input { input, .. } if input.gives_deadlines())
    }

    /// Expects deadlines if one of the node's sources gives them; `giving` says so for each node.
    pub(crate) fn expect_deadlines(&mut self, giving: &[bool]) {
        self.has_deadlines |= self.inputs.sources().iter().any(|&source| giving[source]);
    }

    /// Pulls elements from an input. A cancelled flow only takes those that the input has already read.
    fn pull_input(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        let Callee::Input { input, runs, copies, boundary } = &mut self.callee else {
            unreachable!("only inputs are pulled from here")
        };
        context.call = Some(Call::Pull);
        let mut metadata = Vec::new();
        let mut pull = Pull {
            pool: context.pool,
            max_elements: context.limit_batch(MAX_BATCH.min(room.elements)),
            max_bytes: MAX_BATCH_BYTES.min(room.bytes.max(1)),
            given: 0,
            runs,
            metadata: &mut metadata,
            host_serialize: CopyRecorder { count: &mut copies.host_serialize, boundary },
            clock: context.clock,
            began: context.began,
        };
        let pulled = if context.cancelled { input.drain(&mut pull) } else { input.pull(&mut pull) };
        let elements = pull.given as u64;
        let timestamp = context.clock.unix_ns();
        let moved = elements > 0;
        let stamp = self.stamps.as_mut().filter(|_| moved).map(|stamps| stamps.next(timestamp));
        let mut bytes = 0;
        let mut metadata = metadata.into_iter().peekable();
        for (index, mut run) in runs.drain().enumerate() {
            bytes += run.bytes() as u64;
            run.stamp(self.sequence, timestamp, stamp.clone());
            // Few inputs bring metadata, and only for elements by themselves.
            if let Some((_, metadata)) = metadata.next_if(|(of, _)| *of == index)
                && let Some(element) = run.alone_mut()
            {
                metadata.apply_to(element);
            }
            self.sequence = run.last_sequence().saturating_add(1);
            self.outputs.send(context.edges, run, 1);
        }
        context.progress.add(elements, bytes);
        self.made += elements;
        self.made_bytes += bytes;
        let pulled = pulled.map_err(|source| Error::Input { input: self.name.clone(), elements: self.made, source })?;
        match pulled {
            Pulled::More => self.pause_length = Duration::ZERO,
            Pulled::Idle => self.pause(context),
            Pulled::Until(time) => {
                self.pause_length = Duration::ZERO;
                self.resume = Some(context.clock.after(context.began, time));
            }
            Pulled::End => self.phase = Phase::Last,
        }
        Ok(moved || pulled == Pulled::End)
    }

    /// Pulls elements from a source component.
    fn pull_source(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.wait_if_injected(context) {
            return Ok(false);
        }
        context.call = Some(Call::Pull);
        let begun = self.begin_call("pull");
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages are sources") };
        instance.boundary().makes_from(self.sequence);
        let max_elements = context.limit_batch(self.batch_limit.min(room.elements));
        let injections = self.recovery.as_ref().map(|recovery| &recovery.injections);
        let max_elements =
            injections.map_or(max_elements, |injections| injections.limit_batch(self.sequence, max_elements)) as u32;
        let max_bytes = MAX_BATCH_BYTES.min(room.bytes.max(1)) as u64;
        let made = match begun.and_then(|()| instance.pull(max_elements, max_bytes)) {
            Ok(Some(made)) => made,
            Ok(None) => {
                self.phase = Phase::Last;
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
            return Err(instance.error("pull", StageError::Contract(broken)));
        }
        self.timestamp = context.clock.unix_ns();
        let moved = elements > 0;
        self.context = self.stamps.as_mut().filter(|_| moved).map(|stamps| stamps.next(self.timestamp));
        context.progress.add(elements as u64, made.written_bytes());
        self.send_made("pull", made, context.edges)?;
        if moved {
            self.pause_length = Duration::ZERO;
        } else {
            self.pause(context);
        }
        Ok(moved)
    }

    /// Takes a batch from the edges, for a processor, a sink or an output.
    fn take_batch(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        if !self.has_retries() {
            match self.inputs.ready(context.edges) {
                Ready::Batch => {}
                Ready::Waits(_) if context.merge_limit.is_some() => {}
                Ready::Waits(_) | Ready::Nothing => return Ok(false),
                Ready::Finished => return self.finish(context).map(|()| true),
            }
        }
        let last = context.merge_limit.unwrap_or(u64::MAX);
        let mut max = if self.is_output() { MAX_BATCH } else { self.batch_limit.min(room.elements) };
        if context.rng.is_some() {
            let again = self.retry_count();
            max = context.limit_batch(max.min(if again > 0 { again } else { self.inputs.waiting(context.edges) }));
        }
        match &mut self.callee {
            Callee::Output { output, batch } => {
                context.call = Some(Call::Push);
                let bytes = self.inputs.take(context.edges, batch, max, MAX_BATCH_BYTES, last);
                let pushed = output.push(batch);
                self.taken += batch.len() as u64;
                self.taken_bytes += bytes as u64;
                if self.has_deadlines {
                    let (due, late) = due_and_late(batch, context.clock.unix_ns());
                    (self.due, self.late) = (self.due + due, self.late + late);
                }
                let sequences = batch.iter().filter(|_| pushed.is_err()).map(|element| element.sequence());
                let elements = sequences.clone().min().zip(sequences.max());
                // An interrupted batch is counted later.
                if !pushed.as_ref().is_err_and(CutOff::is) {
                    batch.clear();
                }
                pushed.map_err(|source| match Unreadable::from_error(&source) {
                    Some(_) => Error::Payload { reader: self.name.clone(), elements, source },
                    None => output_error(&self.name, output.as_ref(), source),
                })?;
            }
            Callee::Stage { .. } => {
                if self.wait_if_injected(context) {
                    return Ok(false);
                }
                self.fill_batch(max, last, context);
                if let Err(failed) = self.lend_batch(context) {
                    self.recover(*failed, context)?;
                }
            }
            Callee::Input { .. } => unreachable!("nothing goes to an input"),
        }
        Ok(true)
    }

    /// Lends the batch to the stage, and sends the results.
    fn lend_batch(&mut self, context: &mut Context<'_>) -> Result<(), Box<FailedCall>> {
        if matches!(self.callee, Callee::Stage { kind: Kind::Sink, .. }) {
            context.call = Some(Call::Push);
            self.begin_call("push").map_err(FailedCall::of_batch)?;
            let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages are lent a batch") };
            let signal = instance.push()?;
            if instance.has_skipped() {
                self.finish_push_with_skips(context).map_err(FailedCall::of_batch)?;
            } else {
                self.finish_push(context);
            }
            match signal {
                BackpressureSignal::Ready => self.pause_length = Duration::ZERO,
                BackpressureSignal::Pause => self.pause(context),
            }
            return Ok(());
        }
        context.call = Some(Call::Process);
        self.begin_call("process").map_err(FailedCall::of_batch)?;
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages are lent a batch") };
        let processed = instance.process()?;
        if instance.has_skipped() {
            return self.send_with_skips(processed, context).map_err(FailedCall::of_batch);
        }
        self.send(processed, context.edges).map_err(FailedCall::of_batch)
    }

    /// Completes a push: the sink took the batch.
    fn finish_push(&mut self, context: &Context<'_>) {
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages are lent a batch") };
        if self.has_deadlines {
            let (due, late) = due_and_late(instance.batch(), context.clock.unix_ns());
            (self.due, self.late) = (self.due + due, self.late + late);
        }
        instance.batch().clear();
    }

    /// Ends the input of the node: every incoming element was taken.
    fn finish(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let Callee::Stage { instance, kind, .. } = &mut self.callee else {
            self.phase = Phase::Last;
            return Ok(());
        };
        if let Some(recovery) = &mut self.recovery {
            recovery.begin_call(instance.copies());
        }
        let is_sink = *kind == Kind::Sink;
        context.call = Some(if is_sink { Call::Complete } else { Call::Flush });
        let ended = if is_sink { instance.complete().map(|()| None) } else { instance.flush() };
        match ended {
            Ok(Some(made)) => self.send_made("flush", made, context.edges)?,
            Ok(None) => self.dropped += instance.settle(0),
            Err(error) => return self.retry_call(error, context),
        }
        self.phase = Phase::Last;
        Ok(())
    }

    /// Ends the leases of the stage whose deadline has passed.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Callee::Stage { instance, .. } = &mut self.callee
            && instance.leases().deadline().is_some_and(|deadline| deadline <= now)
        {
            self.dropped += instance.expire(now);
        }
    }

    /// The first deadline of the stage's leases.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match &self.callee {
            Callee::Stage { instance, .. } => instance.leases().deadline(),
            Callee::Input { .. } | Callee::Output { .. } => None,
        }
    }

    /// Pauses the node, longer each time in a row.
    fn pause(&mut self, context: &mut Context<'_>) {
        self.pause_length = (2 * self.pause_length).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let rng = context.rng.as_mut();
        let pause = rng.map_or(self.pause_length, |rng| rng.part_of(self.pause_length));
        self.resume = Some(context.clock.after(context.clock.now(), pause));
    }

    /// Adapts the batch limit to the duration of the last step: a call that took much of its time limit lends fewer elements
    /// next time. Not if the flow must be deterministic, because then time must not matter.
    pub(crate) fn adapt_batch_limit(&mut self, time: Duration, is_deterministic: bool) {
        self.busy += time;
        if let Callee::Stage { time_limit, .. } = &self.callee {
            let long = !is_deterministic && time > *time_limit / CALL_SHARE;
            self.batch_limit =
                if long { (self.batch_limit / 2).max(1) } else { (self.batch_limit * 2).min(self.batch_max) };
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// When a paused node is to be called again.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        self.resume.filter(|_| self.phase == Phase::Running)
    }

    /// Whether elements enter the flow here.
    pub(crate) fn is_source(&self) -> bool {
        self.inputs.is_none()
    }

    /// The sources of the node's elements, by index.
    pub(crate) fn sources(&self) -> &[usize] {
        self.inputs.sources()
    }

    /// For a merge by sequence that could run but waits for one of its edges: the number of its first element.
    pub(crate) fn waits(&self, edges: &[Edge]) -> Option<u64> {
        let runs = self.phase == Phase::Running && !self.has_retries();
        let called = runs && self.outputs.held() == 0 && self.outputs.room(edges).elements > 0;
        match self.inputs.ready(edges) {
            Ready::Waits(first) if called => Some(first),
            _ => None,
        }
    }

    /// Elements that entered the flow here.
    pub(crate) fn entered(&self) -> u64 {
        if self.is_source() { self.made } else { 0 }
    }

    /// Payload bytes of the elements that entered the flow here.
    pub(crate) fn entered_bytes(&self) -> u64 {
        if self.is_source() { self.made_bytes } else { 0 }
    }

    /// What the node took, or for a source what it made.
    pub(crate) fn moved(&self) -> Count {
        let (ops, bytes) = if self.is_source() { (self.made, self.made_bytes) } else { (self.taken, self.taken_bytes) };
        Count { ops, bytes }
    }

    pub(crate) fn is_input(&self) -> bool {
        matches!(self.callee, Callee::Input { .. })
    }

    fn is_output(&self) -> bool {
        matches!(self.callee, Callee::Output { .. })
    }

    pub(crate) fn is_stage(&self) -> bool {
        matches!(self.callee, Callee::Stage { .. })
    }

    /// Elements that left the flow here.
    pub(crate) fn left(&self) -> u64 {
        if self.outputs.count() > 0 {
            return 0;
        }
        let failed = self.failures();
        self.taken - failed.skipped - failed.dead_letters - self.retry_count() as u64
    }

    pub(crate) fn held(&self) -> usize {
        self.outputs.held() + self.retry_count()
    }

    fn retry_count(&self) -> usize {
        self.recovery.as_ref().map_or(0, |recovery| recovery.waiting())
    }

    fn failures(&self) -> FailureUse {
        self.recovery.as_ref().map_or(FailureUse::default(), |recovery| recovery.used)
    }
}

fn output_error(name: &str, output: &dyn Output, source: std::io::Error) -> Error {
    Error::Output { output: name.to_string(), bytes: output.written(), source }
}

/// Counts the elements with a deadline in a delivered batch, and those of them that are late.
fn due_and_late(batch: &Batch, now: u64) -> (u64, u64) {
    let deadlines = batch.iter().filter_map(|element| element.deadline());
    deadlines.fold((0, 0), |(due, late), deadline| (due + 1, late + u64::from(deadline < now)))
}
