//! A node of a running flow: what is called, what it may do next, and what went through it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::account::{Account, EndpointAccount, StageAccount};
use crate::analysis::Bounds;
use crate::audit::Audit;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::edge::{Edge, Outlet, Room};
use crate::element::{self, Element, Stamps};
use crate::endpoint::{Input, Joins, Output, Pull, Pulled};
use crate::error::{Error, Fault};
use crate::flow::{Body, Control, Progress};
use crate::graph::Graph;
use crate::host::{BY_HANDLE, BackpressureSignal, Made, Origin, Part, View, Written, all_outputs};
use crate::inlet::{Inlet, Ready};
use crate::instance::{Instance, Processed, Start};
use crate::ledger::{Boundary, Call, Copies, Count, amplification};
use crate::ownership::StageId;
use crate::payload::{Payload, Pool, Unreadable};
use crate::profile::Kind;
use crate::unchanged::Unchanged;

/// Elements of a call. Beyond it a call costs an element next to nothing already.
const MAX_BATCH: usize = 64;
/// Payload bytes of a call, unless one element has more. Batches that leave the second-level cache are slower again.
const MAX_BATCH_BYTES: usize = 128 << 10;
/// A call takes at most this part of its time limit, as far as the last one tells.
const CALL_SHARE: u32 = 8;
/// How long a node is left alone that has nothing, or wants nothing, just now. It doubles up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// In the `lineage` of an output: the element comes from none of the batch.
const NO_LINEAGE: u32 = u32::MAX;

/// What a step works with besides the node.
pub(crate) struct Context<'a> {
    pub(crate) edges: &'a mut [Edge],
    pub(crate) pool: &'a Pool,
    pub(crate) progress: &'a Progress,
    pub(crate) cancelled: bool,
    /// Which call the step made, if it made one.
    pub(crate) call: Option<Call>,
    /// A merge by sequence need not wait: the greatest number that it may take.
    pub(crate) released: Option<u64>,
    pub(crate) clock: &'a Clock,
    /// When the flow began, by that clock.
    pub(crate) began: Instant,
    /// What a seed decides, in a flow that has one.
    pub(crate) chance: Option<&'a mut Chance>,
}

impl Context<'_> {
    /// How many elements a call is for that could be for so many.
    fn some_of(&mut self, elements: usize) -> usize {
        match &mut self.chance {
            None => elements,
            Some(chance) => 1 + chance.below(elements),
        }
    }
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// It will not be called again; what it made may still be held.
    Last,
    Ended,
}

/// What of a batch is in what was sent of an output so far.
struct Sent {
    /// The elements that something was sent of, as bits.
    named: u64,
    /// For each element the outputs it was passed on to by handle.
    passed: [u32; MAX_BATCH],
}

enum Called {
    Input { input: Box<dyn Input>, payloads: Vec<Payload>, copies: Copies, boundary: Boundary },
    Output { output: Box<dyn Output>, batch: Vec<Element> },
    Stage { instance: Box<Instance>, kind: Kind, bounds: Bounds, time_limit: Duration },
}

/// A node of a running flow.
pub(crate) struct Node {
    name: String,
    called: Called,
    phase: Phase,
    inlet: Inlet,
    outlet: Outlet,
    /// Not to be called before.
    resume: Option<Instant>,
    /// How long it was left alone the last time in a row.
    pause_length: Duration,
    /// How many elements the next call is lent at most.
    batch_limit: usize,
    /// For a source the number of its next element, otherwise that of the last it was lent.
    sequence: u64,
    timestamp: u64,
    context: Option<Arc<element::Context>>,
    /// Of a source that stamps its elements.
    stamps: Option<Stamps>,
    /// A source of its elements stamps them with deadlines.
    has_deadlines: bool,
    due: u64,
    late: u64,
    taken: u64,
    taken_bytes: u64,
    made: u64,
    made_bytes: u64,
    /// Of what a stage made, the payloads that it wrote.
    written: Count,
    unchanged: Unchanged,
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
        let stamps = Stamps::new(node.stamp, trace);
        let stamps = stamps.map_err(|error| Error::Internal(format!("the system gives no random numbers: {error}")))?;
        let called = match body {
            Body::Input(input) => {
                let boundary = control.recorder.at(index);
                Called::Input { input, payloads: Vec::new(), copies: Copies::default(), boundary }
            }
            Body::Output(output) => Called::Output { output, batch: Vec::new() },
            Body::Stage(stage) => {
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
                    chance: control.schedule.seed().map(|seed| Chance::of_stage(seed, index as u32)),
                };
                let profile = stage.component.profile();
                Called::Stage {
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
        let inlet = Inlet::new(graph, index);
        let has_deadlines = inlet.sources().iter().any(|&source| graph.nodes()[source].stamp.deadline.is_some());
        Ok(Node {
            name: node.name.clone(),
            called,
            phase: Phase::Running,
            inlet,
            outlet: Outlet::new(outputs.collect()),
            resume: None,
            pause_length: Duration::ZERO,
            batch_limit: 1,
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
            unchanged: Unchanged::new(),
            dropped: 0,
            busy: Duration::ZERO,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does the next thing there is to do. Tells whether there was one.
    pub(crate) fn step(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.phase == Phase::Ended {
            return Ok(false);
        }
        if self.outlet.held() > 0 {
            context.call = Some(Call::Send);
            return Ok(self.outlet.send_held(context.edges));
        }
        if self.phase == Phase::Last {
            self.outlet.close(context.edges);
            self.phase = Phase::Ended;
            return Ok(true);
        }
        if let Some(resume) = self.resume {
            if !context.cancelled && context.clock.now() < resume {
                return Ok(false);
            }
            self.resume = None;
        }
        let room = self.outlet.room(context.edges);
        if room.elements == 0 {
            return Ok(false);
        }
        match &self.called {
            Called::Input { .. } | Called::Stage { kind: Kind::Source, .. } if context.cancelled => {
                self.phase = Phase::Last;
                Ok(true)
            }
            Called::Input { .. } => self.draw(room, context),
            Called::Stage { kind: Kind::Source, .. } => self.pull(room, context),
            Called::Output { .. } | Called::Stage { .. } => self.take(room, context),
        }
    }

    /// Asks an input for elements.
    fn draw(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        let Called::Input { input, payloads, copies, boundary } = &mut self.called else {
            unreachable!("only inputs are drawn")
        };
        context.call = Some(Call::Pull);
        let mut pull = Pull {
            pool: context.pool,
            max_elements: context.some_of(MAX_BATCH.min(room.elements)),
            max_bytes: MAX_BATCH_BYTES.min(room.bytes.max(1)),
            payloads,
            host_serialize: Joins { count: &mut copies.host_serialize, boundary },
            clock: context.clock,
            began: context.began,
        };
        let pulled = input.pull(&mut pull);
        let timestamp = context.clock.unix_ns();
        let moved = !payloads.is_empty();
        let stamp = self.stamps.as_mut().filter(|_| moved).map(|stamps| stamps.next(timestamp));
        let mut bytes = 0;
        for payload in payloads.drain(..) {
            bytes += payload.len() as u64;
            let element = Element { payload, sequence: self.sequence, timestamp, context: stamp.clone() };
            self.sequence += 1;
            self.outlet.send(context.edges, element, 1);
        }
        context.progress.add(self.sequence - self.made, bytes);
        self.made = self.sequence;
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

    /// Asks a source component for elements.
    fn pull(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages are sources") };
        context.call = Some(Call::Pull);
        instance.boundary().makes_from(self.sequence);
        let max_elements = context.some_of(self.batch_limit.min(room.elements)) as u32;
        let max_bytes = MAX_BATCH_BYTES.min(room.bytes.max(1)) as u64;
        let Some(made) = instance.pull(max_elements, max_bytes)? else {
            self.phase = Phase::Last;
            return Ok(true);
        };
        let elements = made.len();
        if elements > max_elements as usize {
            let broken = format!("it made {elements} elements where {max_elements} were asked for");
            return Err(instance.failed("pull", Fault::Contract(broken)));
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
    fn take(&mut self, room: Room, context: &mut Context<'_>) -> Result<bool, Error> {
        match self.inlet.ready(context.edges) {
            Ready::Batch => {}
            Ready::Waits(_) if context.released.is_some() => {}
            Ready::Waits(_) | Ready::Nothing => return Ok(false),
            Ready::Finished => return self.finish(context).map(|()| true),
        }
        let last = context.released.unwrap_or(u64::MAX);
        let mut max = if self.is_output() { MAX_BATCH } else { self.batch_limit.min(room.elements) };
        if context.chance.is_some() {
            max = context.some_of(max.min(self.inlet.waiting(context.edges)));
        }
        let (inlet, edges) = (&mut self.inlet, &mut *context.edges);
        let mut take = |batch: &mut _| inlet.take(edges, batch, max, MAX_BATCH_BYTES, last);
        match &mut self.called {
            Called::Output { output, batch } => {
                context.call = Some(Call::Push);
                let bytes = take(batch);
                let pushed = output.push(batch);
                self.taken += batch.len() as u64;
                self.taken_bytes += bytes as u64;
                if self.has_deadlines {
                    let (due, late) = due_and_late(batch, context.clock.unix_ns());
                    (self.due, self.late) = (self.due + due, self.late + late);
                }
                let sequences = batch.iter().filter(|_| pushed.is_err()).map(|element| element.sequence);
                let elements = sequences.clone().min().zip(sequences.max());
                batch.clear();
                pushed.map_err(|source| match Unreadable::of(&source) {
                    Some(_) => Error::Payload { reader: self.name.clone(), elements, source },
                    None => output_error(&self.name, output.as_ref(), source),
                })?;
            }
            Called::Stage { instance, kind: Kind::Sink, .. } => {
                context.call = Some(Call::Push);
                let bytes = take(instance.batch());
                self.taken += instance.batch().len() as u64;
                self.taken_bytes += bytes as u64;
                let signal = instance.push()?;
                if self.has_deadlines {
                    let (due, late) = due_and_late(instance.batch(), context.clock.unix_ns());
                    (self.due, self.late) = (self.due + due, self.late + late);
                }
                instance.batch().clear();
                match signal {
                    BackpressureSignal::Ready => self.pause_length = Duration::ZERO,
                    BackpressureSignal::Pause => self.pause(context),
                }
            }
            Called::Stage { instance, .. } => {
                context.call = Some(Call::Process);
                let bytes = take(instance.batch());
                self.taken += instance.batch().len() as u64;
                self.taken_bytes += bytes as u64;
                if let Some(last) = instance.batch().last() {
                    (self.sequence, self.timestamp) = (last.sequence, last.timestamp);
                    self.context = last.context.clone();
                }
                match instance.process()? {
                    Processed::Routes(routes) => self.send_routes(&routes, context.edges)?,
                    Processed::Made(made) => self.send_made("process", made, context.edges)?,
                }
            }
            Called::Input { .. } => unreachable!("nothing goes to an input"),
        }
        Ok(true)
    }

    /// Everything that comes in was taken.
    fn finish(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        self.phase = Phase::Last;
        let Called::Stage { instance, kind, .. } = &mut self.called else { return Ok(()) };
        context.call = Some(if *kind == Kind::Sink { Call::Complete } else { Call::Flush });
        if *kind == Kind::Sink {
            return instance.complete();
        }
        match instance.flush()? {
            Some(made) => self.send_made("flush", made, context.edges),
            None => {
                self.dropped += instance.settle(0);
                Ok(())
            }
        }
    }

    /// Sends the batch on as a processor routed it.
    fn send_routes(&mut self, routes: &[u32], edges: &mut [Edge]) -> Result<(), Error> {
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages route") };
        if let Some(broken) = beyond(all_outputs(routes), self.outlet.outputs()) {
            return Err(instance.failed("process", broken));
        }
        let held = instance.leases().held_here();
        let gone = instance.leases().exclusive();
        if gone != 0 {
            let named = routes.iter().enumerate().filter(|(_, outputs)| **outputs != 0);
            let named = gone & named.fold(0, |named, (index, _)| named | 1u64 << index);
            if named != 0 {
                return Err(instance.failed("process", exclusive(named)));
            }
        }
        let mut named = 0u64;
        for (index, (element, &outputs)) in instance.batch().drain(..).zip(routes).enumerate() {
            if outputs == 0 {
                self.dropped += u64::from(held & 1 << index == 0);
            } else {
                self.made += 1;
                named |= 1 << index;
                self.outlet.send(edges, element, outputs);
            }
        }
        self.dropped += instance.settle(named);
        Ok(())
    }

    /// Sends what a stage made, and what it passed on in between.
    fn send_made(&mut self, call: &'static str, made: Made, edges: &mut [Edge]) -> Result<(), Error> {
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages make") };
        if let Some(broken) = beyond(made.goes_to(), self.outlet.outputs()) {
            return Err(instance.failed(call, broken));
        }
        let mut sent = Sent { named: 0, passed: [0; MAX_BATCH] };
        for part in made.into_parts() {
            match part {
                Part::Written(part) => self.send_written(call, &part, &mut sent, edges)?,
                Part::Views(views) => self.send_views(views, &mut sent, edges),
            }
        }
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages make") };
        let batch = instance.batch().len() as u64;
        instance.batch().clear();
        self.dropped += batch - u64::from((sent.named | instance.leases().held_here()).count_ones());
        self.dropped += instance.settle(sent.named);
        Ok(())
    }

    /// Sends what a stage wrote, and what it passed on in between.
    fn send_written(
        &mut self,
        call: &'static str,
        made: &Written,
        sent: &mut Sent,
        edges: &mut [Edge],
    ) -> Result<(), Error> {
        let Called::Stage { instance, kind, .. } = &mut self.called else { unreachable!("only stages make") };
        let gone = instance.leases().exclusive();
        let batch = instance.batch();
        let named = made.lineage.iter().filter(|index| **index != NO_LINEAGE);
        if let Some(index) = named.clone().find(|index| **index as usize >= batch.len()) {
            let broken = format!("an element comes from element {index} of a batch of {}", batch.len());
            return Err(instance.failed(call, Fault::Contract(broken)));
        }
        if gone != 0 {
            let named = named.fold(0, |named, index| named | 1u64 << index);
            if named & gone != 0 {
                return Err(instance.failed(call, exclusive(named & gone)));
            }
        }
        self.unchanged.look(made, batch);
        let mut at = 0;
        for (entry, &size) in made.sizes.iter().enumerate() {
            let lineage = made.lineage.get(entry).copied().filter(|index| *index != NO_LINEAGE);
            let origin = lineage.map(|index| &batch[index as usize]);
            let outputs = made.outputs.get(entry).copied().unwrap_or(1);
            if outputs != 0 {
                sent.named |= lineage.map_or(0, |index| 1 << index);
            }
            let payload = match origin {
                Some(origin) if size == BY_HANDLE => {
                    let passed = &mut sent.passed[lineage.unwrap_or_default() as usize];
                    if *passed & outputs != 0 {
                        let output = (*passed & outputs).trailing_zeros();
                        let broken = format!("an element is passed on to output {output} twice");
                        return Err(instance.failed(call, Fault::Contract(broken)));
                    }
                    *passed |= outputs;
                    origin.payload.clone()
                }
                None if size == BY_HANDLE => {
                    let broken = "an element without lineage is passed on by handle".to_string();
                    return Err(instance.failed(call, Fault::Contract(broken)));
                }
                _ => {
                    let from = at;
                    at += size as usize;
                    self.written.record(1, size);
                    made.bytes.slice(from, at - from).expect("the sizes add up to the bytes")
                }
            };
            let (sequence, timestamp, context) = match origin {
                Some(origin) => (origin.sequence, origin.timestamp, origin.context.clone()),
                None => (self.sequence, self.timestamp, self.context.clone()),
            };
            if *kind == Kind::Source {
                self.sequence += 1;
                self.dropped += u64::from(outputs == 0);
            }
            self.made += 1;
            self.made_bytes += payload.len() as u64;
            self.outlet.send(edges, Element { payload, sequence, timestamp, context }, outputs);
        }
        Ok(())
    }

    /// Sends what a stage made of others without a copy.
    fn send_views(&mut self, views: Vec<View>, sent: &mut Sent, edges: &mut [Edge]) {
        let Called::Stage { instance, .. } = &mut self.called else { unreachable!("only stages make") };
        for View { element, outputs, origin } in views {
            if outputs != 0 {
                match origin {
                    Origin::Lent(index) => sent.named |= 1 << index,
                    Origin::Held(place) => instance.came_of(&[place]),
                    Origin::Joined(places) => instance.came_of(&places),
                }
            }
            self.made += 1;
            self.made_bytes += element.payload.len() as u64;
            self.outlet.send(edges, element, outputs);
        }
    }

    /// Takes back what its stage holds by leases whose deadline is past.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Called::Stage { instance, .. } = &mut self.called
            && instance.leases().deadline().is_some_and(|deadline| deadline <= now)
        {
            self.dropped += instance.expire(now);
        }
    }

    /// When the first lease of its stage is over.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match &self.called {
            Called::Stage { instance, .. } => instance.leases().deadline(),
            Called::Input { .. } | Called::Output { .. } => None,
        }
    }

    /// Leaves the node alone for a while, longer each time in a row.
    fn pause(&mut self, context: &mut Context<'_>) {
        self.pause_length = (2 * self.pause_length).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let chance = context.chance.as_mut();
        let pause = chance.map_or(self.pause_length, |chance| chance.part_of(self.pause_length));
        self.resume = Some(context.clock.after(context.clock.now(), pause));
    }

    /// Learns from how long its last step took. A call that takes a good part of its time limit is lent less, unless
    /// what the flow does is to be `the_same` every time.
    pub(crate) fn called_for(&mut self, time: Duration, the_same: bool) {
        self.busy += time;
        if let Called::Stage { time_limit, .. } = &self.called {
            let long = !the_same && time > *time_limit / CALL_SHARE;
            self.batch_limit = if long { (self.batch_limit / 2).max(1) } else { (self.batch_limit * 2).min(MAX_BATCH) };
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// When to call again a node that is left alone.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        self.resume.filter(|_| self.phase == Phase::Running)
    }

    /// Elements come into the flow here.
    pub(crate) fn is_source(&self) -> bool {
        self.inlet.is_none()
    }

    /// The sources that its elements come from, by index.
    pub(crate) fn sources(&self) -> &[usize] {
        self.inlet.sources()
    }

    /// Of a merge by sequence that could be called and waits for one of its edges: the number of its first element.
    pub(crate) fn waits(&self, edges: &[Edge]) -> Option<u64> {
        let called = self.phase == Phase::Running && self.outlet.held() == 0 && self.outlet.room(edges).elements > 0;
        match self.inlet.ready(edges) {
            Ready::Waits(first) if called => Some(first),
            _ => None,
        }
    }

    /// Elements that came into the flow here.
    pub(crate) fn entered(&self) -> u64 {
        if self.is_source() { self.made } else { 0 }
    }

    /// Their payload bytes.
    pub(crate) fn entered_bytes(&self) -> u64 {
        if self.is_source() { self.made_bytes } else { 0 }
    }

    /// What it took, or made if elements enter the flow here.
    pub(crate) fn moved(&self) -> Count {
        let (ops, bytes) = if self.is_source() { (self.made, self.made_bytes) } else { (self.taken, self.taken_bytes) };
        Count { ops, bytes }
    }

    fn is_output(&self) -> bool {
        matches!(self.called, Called::Output { .. })
    }

    pub(crate) fn is_stage(&self) -> bool {
        matches!(self.called, Called::Stage { .. })
    }

    /// Elements that left the flow here.
    pub(crate) fn left(&self) -> u64 {
        if self.outlet.outputs() == 0 { self.taken } else { 0 }
    }

    pub(crate) fn held(&self) -> usize {
        self.outlet.held()
    }

    /// Ends the stage, when the flow has come to its end.
    pub(crate) fn teardown(&mut self) -> Result<(), Error> {
        if let Called::Stage { instance, .. } = &mut self.called {
            self.dropped += instance.teardown()?;
        }
        Ok(())
    }

    /// Ends the stage, when the flow has failed. How it ends no longer matters: the first failure is the one to tell.
    pub(crate) fn abandon(&mut self) {
        _ = self.teardown();
    }

    /// Lets an output show what it has.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        match &mut self.called {
            Called::Output { output, .. } => {
                let completed = output.complete();
                completed.map_err(|source| output_error(&self.name, output.as_ref(), source))
            }
            _ => Ok(()),
        }
    }

    /// Whether its ledger holds, in a flow that has come to its end.
    pub(crate) fn audit(&self) -> Result<(), Error> {
        let Called::Stage { instance, kind, bounds, .. } = &self.called else { return Ok(()) };
        let audit = Audit {
            stage: &self.name,
            bounds: *bounds,
            copies: instance.copies(),
            reads_max: instance.meter().reads_max,
            refused: instance.meter().refused,
            taken: Count { ops: self.taken, bytes: self.taken_bytes },
            written: self.written,
            rewritten: instance.rewritten(),
            given_up: instance.given_up(),
            elements: if *kind == Kind::Source { self.made } else { self.taken },
        };
        audit.check()
    }

    /// Adds its part to the account.
    pub(crate) fn account(self, account: &mut Account) {
        account.elements.entered += self.entered();
        account.elements.left += self.left();
        account.elements.dropped += self.dropped;
        account.elements.due += self.due;
        account.elements.late += self.late;
        account.traces.extend(self.stamps.and_then(|stamps| stamps.trace_id()).map(|id| format!("{id:032x}")));
        let busy_ns = self.busy.as_nanos() as u64;
        let copies = match self.called {
            Called::Stage { instance, kind, bounds, .. } => {
                let copies = instance.copies();
                account.stages.push(StageAccount {
                    name: self.name,
                    kind,
                    verdict: bounds.verdict(),
                    proof: bounds.proof(),
                    bounds,
                    elements_in: self.taken,
                    elements_out: self.outlet.sent,
                    elements_dropped: self.dropped,
                    busy_ns,
                    copies,
                    reads_max: instance.meter().reads_max,
                    writes_max: instance.meter().writes_max,
                    writes_unchanged: self.unchanged.count(),
                    rewritten: instance.rewritten(),
                    given_up: instance.given_up(),
                    leases: instance.leases().used,
                    amplification: amplification(copies.payload_bytes(), self.taken_bytes),
                });
                copies
            }
            Called::Input { input, copies, .. } => {
                account.endpoints.push(EndpointAccount {
                    name: self.name,
                    kind: "input",
                    elements: self.made,
                    payload_bytes: self.made_bytes,
                    busy_ns,
                    copies,
                    kernel: input.kernel(),
                });
                copies
            }
            Called::Output { output, .. } => {
                account.endpoints.push(EndpointAccount {
                    name: self.name,
                    kind: "output",
                    elements: self.taken,
                    payload_bytes: self.taken_bytes,
                    busy_ns,
                    copies: Copies::default(),
                    kernel: output.kernel(),
                });
                Copies::default()
            }
        };
        account.copies += copies;
    }
}

/// What is wrong with elements that go to outputs their stage does not have.
fn beyond(goes_to: u32, outputs: usize) -> Option<Fault> {
    let known = u32::MAX.checked_shl(outputs as u32).map_or(u32::MAX, |unknown| !unknown);
    let unknown = goes_to & !known;
    let output = (unknown != 0).then_some(unknown.trailing_zeros())?;
    Some(Fault::Contract(format!("an element goes to output {output}, of {outputs}, counted from 0")))
}

/// What is wrong with elements of a batch that are named after they left it, as bits.
fn exclusive(named: u64) -> Fault {
    let index = named.trailing_zeros();
    Fault::Contract(format!("element {index} of the batch is held by an exclusive lease, and is named all the same"))
}

fn output_error(name: &str, output: &dyn Output, source: std::io::Error) -> Error {
    Error::Output { output: name.to_string(), bytes: output.written(), source }
}

/// Of elements that an end has taken by now, those that had a deadline, and those that missed it.
fn due_and_late(batch: &[Element], now: u64) -> (u64, u64) {
    let deadlines = batch.iter().filter_map(Element::deadline);
    deadlines.fold((0, 0), |(due, late), deadline| (due + 1, late + u64::from(deadline < now)))
}
