//! A node of a running flow: an input, a stage or an output, and what they have in common: their edges, and when they may be
//! called next.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::rng::Rng;
use crate::error::Error;
use crate::flow::edge::Edge;
use crate::flow::input_ports::{InputPorts, Ready};
use crate::flow::output_ports::OutputPorts;
use crate::flow::signal::Signal;
use crate::flow::{Body, Control, Progress, Stage};
use crate::ledger::{Call, Count};
use crate::payload::element::Stamps;
use crate::payload::{Batch, Pool};
use crate::pipeline::graph::Graph;
use counters::Counters;
use input::InputNode;
use output::OutputNode;
use stage::StageNode;

mod counters;
mod ending;
mod input;
mod output;
mod recovering;
mod replicas;
mod replicated;
mod sending;
mod stage;

/// The most elements in one call. At this size, the cost of a call per element is already close to nothing.
pub(crate) const MAX_BATCH: usize = Stage::MAX_BATCH;
/// The most payload bytes in one call that may touch them, unless a single element has more. Larger batches leave the
/// second-level cache and are slower again.
const MAX_BATCH_BYTES: usize = 128 << 10;

/// The most payload bytes in one call of a node that touches them, or that does not.
fn max_batch_bytes(touches_bytes: bool) -> usize {
    if touches_bytes { MAX_BATCH_BYTES } else { usize::MAX }
}

/// How long a node pauses that has or wants no elements. The pause doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// What the nodes of a flow share when they start.
pub(crate) struct Shared<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) control: &'a Control,
    /// The trace of the flow, once a source needs it.
    pub(crate) trace: Option<u128>,
    /// Set whenever a call on another thread has ended.
    pub(crate) done: &'a Arc<Signal>,
    /// For each node, what follows each of its elements in its outputs.
    pub(crate) ends: Vec<&'static [u8]>,
    /// Numbers in the table of buffers for the replicas of stages, after those of the nodes.
    pub(crate) next_stage: Range<u32>,
}

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

/// A node of a running flow.
pub(crate) enum Node {
    Input(Box<InputNode>),
    Stage(Box<StageNode>),
    Output(Box<OutputNode>),
}

/// What every node has.
struct Links {
    name: String,
    phase: Phase,
    inputs: InputPorts,
    outputs: OutputPorts,
    /// The node is paused until then.
    resume: Option<Instant>,
    /// The length of the last pause, while pauses follow each other.
    pause_length: Duration,
    /// The stamps of a source that stamps its elements.
    stamps: Option<Stamps>,
    /// Whether a source of its elements gives them deadlines.
    has_deadlines: bool,
    counters: Counters,
}

impl Links {
    fn new(graph: &Graph, index: usize, stamps: Option<Stamps>) -> Links {
        let node = &graph.nodes()[index];
        let edges = || graph.edges().iter().enumerate();
        let outputs = (0..node.outputs).map(|output| {
            let from_here = edges().filter(|(_, edge)| (edge.from, edge.output) == (index, output));
            from_here.map(|(edge, _)| edge).collect()
        });
        let inputs = InputPorts::new(graph, index);
        let has_deadlines = inputs.sources().iter().any(|&source| graph.nodes()[source].stamp.deadline.is_some());
        Links {
            name: node.name.clone(),
            phase: Phase::Running,
            inputs,
            outputs: OutputPorts::new(outputs.collect()),
            resume: None,
            pause_length: Duration::ZERO,
            stamps,
            has_deadlines,
            counters: Counters::default(),
        }
    }

    /// Whether elements can be taken now. A merge that need not wait any more does not.
    fn ready(&self, context: &Context<'_>) -> Ready {
        match self.inputs.ready(context.edges) {
            Ready::Waits(_) if context.merge_limit.is_some() => Ready::Batch,
            ready => ready,
        }
    }

    /// Pauses the node, longer each time in a row.
    fn pause(&mut self, context: &mut Context<'_>) {
        self.pause_length = (2 * self.pause_length).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let rng = context.rng.as_mut();
        let pause = rng.map_or(self.pause_length, |rng| rng.part_of(self.pause_length));
        self.resume = Some(context.clock.after(context.clock.now(), pause));
    }

    /// Counts delivered elements with a deadline.
    fn count_deadlines(&mut self, batch: &Batch, clock: &Clock) {
        if self.has_deadlines {
            self.counters.count_deadlines(batch, clock.unix_ns());
        }
    }
}

impl Node {
    pub(crate) fn start(graph: &Graph, index: usize, body: Body, shared: &mut Shared<'_>) -> Result<Node, Error> {
        let control = shared.control;
        // Must differ from the numbers that the stage of this node draws.
        let mut rng = control.seed().map(|seed| Rng::for_stage(!seed, index as u32));
        let draw = || rng.as_mut().map_or_else(getrandom::u64, |rng| Ok(rng.next()));
        let stamps = Stamps::new(graph.nodes()[index].stamp, &mut shared.trace, draw);
        let stamps =
            stamps.map_err(|error| Error::Internal(format!("cannot get random numbers from the system: {error}")))?;
        let links = Links::new(graph, index, stamps);
        Ok(match body {
            Body::Input(input) => Node::Input(Box::new(InputNode::new(links, input, control, index))),
            Body::Output(output) => Node::Output(Box::new(OutputNode::new(links, output, control, index))),
            Body::Stage(stage) => Node::Stage(Box::new(StageNode::start(links, stage, shared, index)?)),
        })
    }

    fn links(&self) -> &Links {
        match self {
            Node::Input(node) => &node.links,
            Node::Stage(node) => &node.links,
            Node::Output(node) => &node.links,
        }
    }

    fn links_mut(&mut self) -> &mut Links {
        match self {
            Node::Input(node) => &mut node.links,
            Node::Stage(node) => &mut node.links,
            Node::Output(node) => &mut node.links,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.links().name
    }

    /// Does the next thing there is to do. Returns whether there was one.
    pub(crate) fn step(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let keeps_pause = self.keeps_pause();
        let links = self.links_mut();
        if links.phase == Phase::Ended {
            return Ok(false);
        }
        if links.outputs.has_held() {
            context.call = Some(Call::Send);
            return Ok(links.outputs.send_held(context.edges));
        }
        if links.phase == Phase::Last {
            links.outputs.close(context.edges);
            links.phase = Phase::Ended;
            return Ok(true);
        }
        if let Some(resume) = links.resume {
            if (!context.cancelled || keeps_pause) && context.clock.now() < resume {
                return Ok(false);
            }
            links.resume = None;
        }
        let room = links.outputs.room(context.edges);
        if room.elements == 0 {
            return Ok(false);
        }
        match self {
            Node::Input(node) => node.pull(room, context),
            Node::Stage(node) => node.step(room, context),
            Node::Output(node) => node.push(context),
        }
    }

    /// Whether a cancellation does not end a pause: a stage that is being retried keeps its backoff.
    fn keeps_pause(&self) -> bool {
        matches!(self, Node::Stage(node) if node.recovery.is_some() && !self.is_source())
    }

    /// Whether the node is an input that sets deadlines itself.
    pub(crate) fn gives_deadlines(&self) -> bool {
        matches!(self, Node::Input(node) if node.input.gives_deadlines())
    }

    /// Expects deadlines if one of the node's sources gives them; `giving` says so for each node.
    pub(crate) fn expect_deadlines(&mut self, giving: &[bool]) {
        let links = self.links_mut();
        links.has_deadlines |= links.inputs.sources().iter().any(|&source| giving[source]);
    }

    /// Ends the leases of the stage whose deadline has passed.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Node::Stage(node) = self {
            node.expire(now);
        }
    }

    /// The first deadline of the stage's leases.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match self {
            Node::Stage(node) => node.instance.get()?.leases().deadline(),
            Node::Input(_) | Node::Output(_) => None,
        }
    }

    /// Notes how long the last step took.
    pub(crate) fn end_step(&mut self, time: Duration, is_deterministic: bool) {
        self.links_mut().counters.busy += time;
        // A call of a replica is not a step: its time is known when it is taken back.
        if let Node::Stage(node) = self
            && node.replicas.is_none()
        {
            node.adapt_batch_limit(time, is_deterministic);
        }
    }

    /// Whether it is an output that waits for more elements, as long as others can move.
    #[inline]
    pub(crate) fn may_wait(&self, edges: &[Edge]) -> bool {
        matches!(self, Node::Output(node) if node.may_wait(edges))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.links().phase == Phase::Ended
    }

    /// When a paused node is to be called again, or an output flushed.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        let links = self.links();
        let resume = match self {
            Node::Output(node) => node.flush_at,
            Node::Input(_) | Node::Stage(_) => links.resume,
        };
        resume.filter(|_| links.phase == Phase::Running)
    }

    /// Whether elements enter the flow here.
    pub(crate) fn is_source(&self) -> bool {
        self.links().inputs.is_none()
    }

    /// The sources of the node's elements, by index.
    pub(crate) fn sources(&self) -> &[usize] {
        self.links().inputs.sources()
    }

    /// For a merge by sequence that could run but waits for one of its edges: the number of its first element.
    pub(crate) fn waits(&self, edges: &[Edge]) -> Option<u64> {
        let links = self.links();
        let runs = links.phase == Phase::Running && self.retry_count() == 0;
        let called = runs && !links.outputs.has_held() && links.outputs.room(edges).elements > 0;
        match links.inputs.ready(edges) {
            Ready::Waits(first) if called => Some(first),
            _ => None,
        }
    }

    /// Elements that entered the flow here.
    pub(crate) fn entered(&self) -> u64 {
        if self.is_source() { self.links().counters.made.ops } else { 0 }
    }

    /// Payload bytes of the elements that entered the flow here.
    pub(crate) fn entered_bytes(&self) -> u64 {
        if self.is_source() { self.links().counters.made.bytes } else { 0 }
    }

    /// What the node took, or for a source what it made.
    pub(crate) fn moved(&self) -> Count {
        let counters = &self.links().counters;
        if self.is_source() { counters.made } else { counters.taken }
    }

    /// How many elements it took from its edges.
    pub(crate) fn taken(&self) -> u64 {
        self.links().counters.taken.ops
    }

    /// Whether it has made elements that it could not send yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.links().outputs.has_held()
    }

    /// Of the elements that it took, the node is done with the first ones up to this number, once all that it has made is sent.
    pub(crate) fn finished_up_to(&mut self) -> u64 {
        let taken = self.taken();
        match self {
            Node::Stage(node) => node.finished_up_to(),
            Node::Input(_) | Node::Output(_) => taken,
        }
    }

    /// Whether the node is an input that wants to know what is delivered.
    pub(crate) fn wants_acknowledgement(&self) -> bool {
        matches!(self, Node::Input(node) if node.input.wants_acknowledgement())
    }

    /// Tells an input how many of its elements are delivered.
    pub(crate) fn acknowledge(&mut self, elements: u64) -> Result<(), Error> {
        match self {
            Node::Input(node) => node.acknowledge(elements),
            Node::Stage(_) | Node::Output(_) => Ok(()),
        }
    }

    /// Settles what was pushed to an output. Returns whether everything is settled.
    pub(crate) fn settle(&mut self) -> Result<bool, Error> {
        match self {
            Node::Output(node) => node.settle(),
            Node::Input(_) | Node::Stage(_) => Ok(true),
        }
    }

    pub(crate) fn is_input(&self) -> bool {
        matches!(self, Node::Input(_))
    }

    pub(crate) fn is_stage(&self) -> bool {
        matches!(self, Node::Stage(_))
    }

    /// Elements that left the flow here.
    pub(crate) fn left(&self) -> u64 {
        let links = self.links();
        if links.outputs.count() > 0 {
            return 0;
        }
        let failed = match self {
            Node::Stage(node) => node.failures(),
            Node::Input(_) | Node::Output(_) => Default::default(),
        };
        links.counters.taken.ops - failed.skipped - failed.dead_letters - self.retry_count() as u64
    }

    /// Elements that it made and could not send yet, that are to be retried, or that are in a call of a replica.
    pub(crate) fn held(&self) -> usize {
        let called = match self {
            Node::Stage(node) => node.elements_called() as usize,
            Node::Input(_) | Node::Output(_) => 0,
        };
        self.links().outputs.held() + self.retry_count() + called
    }

    /// Whether calls of replicas are under way.
    pub(crate) fn is_called(&self) -> bool {
        matches!(self, Node::Stage(node) if node.are_replicas_called())
    }

    /// Whether the node could continue as soon as a call that is under way ends.
    pub(crate) fn awaits_call(&self, edges: &[Edge]) -> bool {
        self.links().resume.is_none() && matches!(self, Node::Stage(node) if node.awaits_call(edges))
    }

    /// Elements that are to be retried.
    fn retry_count(&self) -> usize {
        match self {
            Node::Stage(node) => node.retry_count(),
            Node::Input(_) | Node::Output(_) => 0,
        }
    }
}
