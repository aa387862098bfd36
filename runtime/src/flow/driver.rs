//! A running pipeline, and the one driver that moves its elements.
//!
//! The driver runs on one thread, batch by batch. Unless the schedule says otherwise, it prefers the node nearest to the
//! end of the pipeline, so elements in the flow are finished before new ones are drawn. A node is called only when its
//! outputs have room: that is all of backpressure. Only the calls of replicas are made on other threads; the driver takes
//! them back in order, and sends what they made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::base::plural::counted;
use crate::base::rng::Rng;
use crate::error::Error;
use crate::flow::account::{Account, CutOffUse};
use crate::flow::edge::Edge;
use crate::flow::journal::Journal;
use crate::flow::marks::Marks;
use crate::flow::node::{Context, LONGEST_PAUSE, Node, Shared};
use crate::flow::signal::Signal;
use crate::flow::{Body, Control};
use crate::ledger::{Call, Count};
use crate::payload::Pool;
use crate::pipeline::graph::Graph;

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A node was called, or elements moved on.
    Moved,
    /// Nothing can be done for this long, by the [`Control::clock`].
    Wait(Duration),
    /// Everything has ended.
    Ended,
}

/// A running pipeline.
pub struct Flow {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Nodes in the order in which they are tried: sinks first, sources last.
    order: Vec<usize>,
    control: Control,
    pool: Pool,
    journal: Option<Journal>,
    /// When the flow began, by its clock.
    began: Instant,
    /// Draws the random decisions of a seeded schedule.
    rng: Option<Rng>,
    /// The earliest deadline of a lease.
    expires: Option<Instant>,
    /// When the flow began, by the system's clock: the start of the measured time.
    measured: Instant,
    /// When the last step ended, by the system's clock. The next step begins then, so the clock is read once per batch.
    last: Instant,
    /// Set whenever a call on another thread has ended.
    done: Arc<Signal>,
    /// The nodes that were interrupted; set once the flow is cut off.
    interrupted: Option<Vec<String>>,
    /// What tells inputs what was delivered, if one wants to know.
    marks: Option<Box<Marks>>,
}

/// Where the elements of a flow are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowSnapshot {
    /// Elements that came from the sources.
    pub entered: u64,
    /// Elements that the sinks took.
    pub left: u64,
    /// Elements that wait on each edge, in the order of the graph.
    pub waiting: Vec<u64>,
    /// Elements that a node made and could not send yet, that are to be retried, or that are in a call of a replica.
    pub held: u64,
}

impl Flow {
    /// Starts a pipeline. `bodies` holds one body for each node of the graph, in the same order. Every stage is instantiated
    /// and its `init` is called.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] or [`Error::Stage`] for the first stage that cannot start; [`Error::Cancelled`] if the flow is cancelled
    /// before all stages have started. Stages that have started are torn down.
    ///
    /// # Panics
    ///
    /// If there are not as many bodies as nodes.
    pub fn start(graph: &Graph, bodies: Vec<Body>, control: Control) -> Result<Flow, Error> {
        assert_eq!(graph.nodes().len(), bodies.len(), "one body for each node");
        let (measured, began) = (Instant::now(), control.clock.now());
        let nodes = graph.nodes().len();
        let others = bodies.iter().map(Body::other_replicas).sum::<usize>();
        let pool = Pool::new(control.pool.clone(), nodes + others, control.recorder.clone());
        let mut journal = Journal::new(&control.recorder, graph);
        let done = Arc::default();
        let next_stage = nodes as u32..(nodes + others) as u32;
        let ends = (0..nodes).map(|node| end_of_element(graph, &bodies, node)).collect();
        let mut shared = Shared { pool: &pool, control: &control, trace: None, done: &done, ends, next_stage };
        let mut nodes = Vec::new();
        for (index, body) in bodies.into_iter().enumerate() {
            let is_stage = matches!(body, Body::Stage(_));
            if let Some(journal) = &mut journal {
                journal.begin(Instant::now());
            }
            let started = match control.cancel.load(Ordering::Relaxed) {
                true => Err(Error::Cancelled),
                false => Node::start(graph, index, body, &mut shared),
            };
            if let Some(journal) = journal.as_mut().filter(|_| is_stage) {
                journal.end(Instant::now(), index, Some(Call::Init), Count::default(), started.is_err(), &[]);
            }
            match started {
                Ok(node) => nodes.push(node),
                Err(error) => {
                    nodes.iter_mut().for_each(Node::abandon);
                    drop(nodes);
                    return Err(with_leak(error, find_leak(&pool)));
                }
            }
        }
        let giving: Vec<_> = nodes.iter().map(Node::gives_deadlines).collect();
        nodes.iter_mut().for_each(|node| node.expect_deadlines(&giving));
        let edges = graph.edges().iter().map(|edge| Edge::new(edge.capacity)).collect();
        let order = graph.order().iter().rev().copied().collect();
        let rng = control.schedule.seed().map(Rng::new);
        let (expires, last) = (None, Instant::now());
        let marks = Marks::new(graph, &nodes).map(Box::new);
        Ok(Flow {
            nodes,
            edges,
            order,
            control,
            pool,
            journal,
            began,
            rng,
            expires,
            measured,
            last,
            done,
            interrupted: None,
            marks,
        })
    }

    /// Runs until everything has ended, and returns the run report.
    ///
    /// # Errors
    ///
    /// The first failure of a stage or an endpoint that the policy of the stage does not cover. Everything is torn down then,
    /// and outputs that write atomically leave no trace. [`Error::Internal`], with that failure in its text, if a payload is
    /// still held afterwards. A flow that was cut off has not failed: its run report says what was lost.
    pub fn run(mut self) -> Result<Account, Error> {
        while !self.control.cut.was_due(self.last) {
            match self.step() {
                Ok(Step::Moved) => {}
                Ok(Step::Wait(time)) => self.wait(time, None),
                Ok(Step::Ended) => return self.settle(),
                Err(error) if error.is_cut_off() => {
                    self.cut_off(&error);
                    return self.settle();
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
        self.interrupted = Some(Vec::new());
        self.settle()
    }

    /// Remembers which node was interrupted.
    fn cut_off(&mut self, error: &Error) {
        self.interrupted.get_or_insert_default().extend(error.node().map(str::to_string));
    }

    /// As [`Flow::run`], but stops at `deadline`, by the system's clock: after the current call, or during it if
    /// [`Control::cut`] is due as well. Everything is torn down, as after a failure, and there is no report (`None`).
    ///
    /// # Errors
    ///
    /// As [`Flow::run`].
    pub fn run_until(mut self, deadline: Instant) -> Result<Option<Account>, Error> {
        loop {
            match self.step() {
                Ok(Step::Moved) => {}
                Ok(Step::Wait(time)) => self.wait(time, Some(deadline)),
                Ok(Step::Ended) => {
                    if let Err(error) = self.tear_down() {
                        return Err(self.fail(error));
                    }
                    self.last = Instant::now();
                    if self.interrupted.is_none() || self.last < deadline {
                        return self.settle_ended().map(Some);
                    }
                }
                Err(error) if error.is_cut_off() && Instant::now() < deadline => {
                    self.cut_off(&error);
                    return self.settle().map(Some);
                }
                Err(error) if error.is_cut_off() => self.last = Instant::now(),
                Err(error) => return Err(self.fail(error)),
            }
            if self.last < deadline && self.control.cut.was_due(self.last) {
                self.interrupted = Some(Vec::new());
                return self.settle().map(Some);
            }
            if self.last >= deadline {
                return match self.take_down() {
                    None => Ok(None),
                    Some(leak) => Err(Error::Internal(format!("{leak} after its deadline"))),
                };
            }
        }
    }

    /// Tears everything down after a failure. Returns the first failure, with any leak.
    fn fail(self, error: Error) -> Error {
        with_leak(error, self.take_down())
    }

    /// Tears everything down before the flow has ended. Returns what is still held afterwards, or was misused.
    fn take_down(mut self) -> Option<String> {
        self.nodes.iter_mut().for_each(Node::abandon);
        let Flow { nodes, edges, pool, .. } = self;
        drop((nodes, edges));
        find_leak(&pool)
    }

    /// Calls one node that has work and has room for the results; the schedule chooses which. If there is none, the driver
    /// waits for the calls on other threads whose results could be sent. If there are none either, it
    /// unblocks a merge by sequence, unless a paused node may still supply its edge: of the waiting merges, the one with the
    /// smallest sequence number takes what it has, up to the smallest number of the others.
    ///
    /// # Errors
    ///
    /// The failure of the called node.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.expire();
        let moved = if self.rng.is_some() { self.step_random()? } else { self.step_nearest()? };
        if let Some(marks) = &mut self.marks {
            marks.advance(&mut self.nodes, &self.edges)?;
        }
        if moved {
            return Ok(Step::Moved);
        }
        if self.nodes.iter().all(Node::has_ended) {
            return Ok(Step::Ended);
        }
        let now = self.control.clock.now();
        if self.nodes.iter().any(|node| node.awaits_call(&self.edges)) {
            let resume = self.nodes.iter().filter_map(Node::resumes_at).min();
            let pause = resume.map_or(LONGEST_PAUSE, |at| at.saturating_duration_since(now));
            self.done.wait(pause.min(LONGEST_PAUSE));
            self.last = Instant::now();
            return Ok(Step::Wait(Duration::ZERO));
        }
        if let Some((index, last)) = self.unblock_merge()
            && self.step_node(index, self.is_cancelled(), Some(last))?
        {
            return Ok(Step::Moved);
        }
        self.nodes.iter_mut().for_each(|node| node.expire(now));
        let expires = self.nodes.iter().filter_map(Node::expires_at);
        // A lease that ends later moves no element: a flow that waits for nothing else is deadlocked.
        let resume = self.nodes.iter().filter_map(Node::resumes_at).min().map(|at| expires.fold(at, Instant::min));
        resume.map(|at| Step::Wait(at.saturating_duration_since(now))).ok_or_else(|| {
            let stuck = self.nodes.iter().filter(|node| !node.has_ended()).map(|node| format!("`{}`", node.name()));
            Error::Internal(format!("deadlock: {} cannot continue", stuck.collect::<Vec<_>>().join(", ")))
        })
    }

    /// Calls the node nearest to the end that has work: first those that do not wait for more. Returns whether there was one.
    fn step_nearest(&mut self) -> Result<bool, Error> {
        Ok(self.step_nearest_of(|node, edges| !node.may_wait(edges))? || self.step_nearest_of(Node::may_wait)?)
    }

    fn step_nearest_of(&mut self, is_meant: impl Fn(&Node, &[Edge]) -> bool) -> Result<bool, Error> {
        let cancelled = self.is_cancelled();
        for place in 0..self.order.len() {
            let index = self.order[place];
            if is_meant(&self.nodes[index], &self.edges) && self.step_node(index, cancelled, None)? {
                // Sources are last in the order, and take turns.
                if self.nodes[index].is_source() {
                    self.order[place..].rotate_left(1);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Calls a random node that has work. Returns whether there was one.
    fn step_random(&mut self) -> Result<bool, Error> {
        let cancelled = self.is_cancelled();
        for place in 0..self.order.len() {
            let left = self.order.len() - place;
            self.order.swap(place, place + self.rng.as_mut().map_or(0, |rng| rng.below(left)));
            if self.step_node(self.order[place], cancelled, None)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_cancelled(&self) -> bool {
        self.control.cancel.load(Ordering::Relaxed)
    }

    /// Ends the leases whose deadline has passed.
    fn expire(&mut self) {
        let Some(expires) = self.expires else { return };
        let now = if self.control.clock.is_virtual() { self.control.clock.now() } else { self.last };
        if expires <= now {
            self.nodes.iter_mut().for_each(|node| node.expire(now));
            self.expires = self.nodes.iter().filter_map(Node::expires_at).min();
        }
    }

    /// Calls this node if it has work. Returns whether it had.
    fn step_node(&mut self, index: usize, cancelled: bool, merge_limit: Option<u64>) -> Result<bool, Error> {
        let mut context = Context {
            edges: &mut self.edges,
            pool: &self.pool,
            progress: &self.control.progress,
            cancelled,
            now: self.last,
            failed: false,
            call: None,
            merge_limit,
            clock: &self.control.clock,
            began: self.began,
            rng: self.rng.as_mut(),
        };
        let node = &mut self.nodes[index];
        let before = self.journal.as_mut().map(|journal| {
            journal.begin(self.last);
            node.moved()
        });
        let moved = node.step(&mut context);
        if matches!(moved, Ok(false)) {
            // An input without elements may have blocked for a while.
            if node.is_input() {
                self.last = Instant::now();
            }
            return Ok(false);
        }
        let now = Instant::now();
        if let Some((journal, before)) = self.journal.as_mut().zip(before) {
            let failed = context.failed || moved.is_err();
            journal.end(now, index, context.call, node.moved().since(before), failed, context.edges);
        }
        node.end_step(now - self.last, self.control.clock.is_virtual());
        self.expires = node.expires_at().into_iter().chain(self.expires).min();
        self.last = now;
        moved
    }

    /// Chooses the merge by sequence that continues when nothing else can move. Returns its node, and the greatest sequence
    /// number that it may take.
    ///
    /// With one source, and if every stage keeps the order, the merge takes no element that a smaller number could still
    /// follow. This holds for every schedule that led to the standstill. Let `m` be its first number, which is the smallest
    /// of all waiting merges. Suppose that an element `x` with `x < m` is still to arrive on the edge that the merge waits
    /// for, and let `x` be the smallest such number in the flow. The source has already sent `m`, so it has sent `x` as well:
    /// `x` is on the edge to some node, or held there, before anything greater. That node does not wait as a merge, because
    /// then `m` would not be the smallest. It is no sink: a sink that does not move is paused, and paused nodes are waited
    /// for. So an edge that leaves the node is full of numbers that are not above `x`. The node at the end of that edge does
    /// not move either, for the same reasons, and so on to a sink, which always has room. So there is no such `x`. The same
    /// holds for what the merge takes after `m`, up to the first number of another waiting merge and until one of its edges
    /// is empty: a path that ends at a full edge into the merge itself ends at numbers that the merge still has.
    ///
    /// With several sources, a paused source can still supply smaller numbers, so it is waited for.
    fn unblock_merge(&self) -> Option<(usize, u64)> {
        let (mut first, mut last) = (None, u64::MAX);
        for (index, node) in self.nodes.iter().enumerate() {
            match (node.waits(&self.edges), first) {
                (Some(number), Some((_, smallest))) if number >= smallest => last = last.min(number),
                (Some(number), before) => {
                    last = before.map_or(last, |(_, number)| number);
                    first = Some((index, number));
                }
                (None, _) => {}
            }
        }
        let (index, _) = first?;
        let sources = self.nodes[index].sources();
        let waited_for = |(other, node): (usize, &Node)| {
            node.resumes_at().is_some() && (!node.is_source() || sources.len() > 1 && sources.contains(&other))
        };
        (!self.nodes.iter().enumerate().any(waited_for)).then_some((index, last))
    }

    /// Waits for this long. Real waits end at `deadline` at the latest, and are short enough that a cancellation is noticed.
    fn wait(&mut self, time: Duration, deadline: Option<Instant>) {
        let clock = &self.control.clock;
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        clock.wait(if clock.is_virtual() { time } else { time.min(LONGEST_PAUSE).min(left) });
        self.last = Instant::now();
    }

    /// What the flow shares with its caller.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Counts where the elements are.
    pub fn snapshot(&self) -> FlowSnapshot {
        let mut snapshot = FlowSnapshot {
            waiting: self.edges.iter().map(|edge| edge.len() as u64).collect(),
            ..FlowSnapshot::default()
        };
        for node in &self.nodes {
            snapshot.entered += node.entered();
            snapshot.left += node.left();
            snapshot.held += node.held() as u64;
        }
        snapshot
    }

    /// Tears the flow down, completes its outputs and returns the run report. If the flow was cut off, no stage is called
    /// again, and an interrupted output stays as it is.
    fn settle(mut self) -> Result<Account, Error> {
        match self.tear_down() {
            Ok(()) => self.settle_ended(),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Calls `teardown` of every stage, until one is cut off.
    fn tear_down(&mut self) -> Result<(), Error> {
        for index in 0..self.nodes.len() {
            if self.interrupted.is_some() {
                break;
            }
            if let Some(journal) = &mut self.journal {
                journal.begin(Instant::now());
            }
            let ended = self.nodes[index].teardown();
            if let Some(journal) = self.journal.as_mut().filter(|_| self.nodes[index].is_stage()) {
                journal.end(Instant::now(), index, Some(Call::Teardown), Count::default(), ended.is_err(), &[]);
            }
            match ended {
                Err(error) if error.is_cut_off() => self.cut_off(&error),
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Completes the outputs of a torn-down flow and returns its run report.
    fn settle_ended(mut self) -> Result<Account, Error> {
        let cut_off = self.interrupted.take().map(|interrupted| self.abort_stages(interrupted));
        let is_whole = |node: &Node| !cut_off.as_ref().is_some_and(|cut| cut.is_interrupted(node.name()));
        // A call that did not return has counted its copies, but its elements were not sent.
        let audited = self.nodes.iter().filter(|node| is_whole(node)).try_for_each(Node::audit);
        let mut whole = self.nodes.iter_mut().filter(|node| is_whole(node));
        let mut completed = audited.and_then(|()| whole.try_for_each(Node::complete));
        if let Some(marks) = self.marks.take().filter(|_| completed.is_ok() && cut_off.is_none()) {
            completed = marks.complete(&mut self.nodes);
        }
        if let Err(error) = completed {
            return Err(self.fail(error));
        }
        let mut account = Account {
            elements: Default::default(),
            traces: Vec::new(),
            stages: Vec::new(),
            endpoints: Vec::new(),
            copies: Default::default(),
            amplification: None,
            pool: self.pool.usage(),
            wall_ns: 0,
            cancelled: self.is_cancelled() || cut_off.is_some(),
            cut_off,
        };
        let entered_bytes = self.nodes.iter().map(Node::entered_bytes).sum();
        self.nodes.into_iter().for_each(|node| node.account(&mut account));
        drop(self.edges);
        account.traces.sort_unstable();
        account.traces.dedup();
        account.amplification = crate::ledger::amplification(account.copies.payload_bytes(), entered_bytes);
        account.pool = self.pool.usage();
        account.wall_ns = self.measured.elapsed().as_nanos() as u64;
        match find_leak(&self.pool) {
            None => Ok(account),
            Some(leak) => Err(Error::Internal(format!("{leak} after the flow has ended"))),
        }
    }
}

impl Flow {
    /// Counts the elements in a flow that is cut off, and ends its stages without a call.
    fn abort_stages(&mut self, mut interrupted: Vec<String>) -> CutOffUse {
        for node in self.nodes.iter().filter(|node| node.is_called()) {
            if !interrupted.iter().any(|name| name == node.name()) {
                interrupted.push(node.name().to_string());
            }
        }
        let snapshot = self.snapshot();
        let waiting = snapshot.waiting.iter().sum::<u64>() + snapshot.held;
        let lent: u64 = self.nodes.iter_mut().map(Node::abort).sum();
        CutOffUse { interrupted, undelivered: waiting + lent }
    }
}

/// Finds payload memory that is still held after a flow was torn down, or a buffer that was misused.
fn find_leak(pool: &Pool) -> Option<String> {
    let live = pool.usage().live_at_end;
    let are = if live == 1 { "is" } else { "are" };
    let leak = (live > 0).then(|| format!("{} {are} still held", counted(live, "payload buffer")));
    leak.or_else(|| pool.violation().map(|violation| format!("a payload buffer was misused: {violation}")))
}

/// Adds a leak, if there is one, to the failure that ended a flow, together with the causes of the failure.
fn with_leak(failure: Error, leak: Option<String>) -> Error {
    let Some(leak) = leak else { return failure };
    let mut text = format!("{leak} after a failure: {failure}");
    let mut cause = std::error::Error::source(&failure);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    Error::Internal(text)
}
/// What follows each element of a node in its outputs. Nothing if a stage takes them: what it reads at once should be one piece.
fn end_of_element(graph: &Graph, bodies: &[Body], node: usize) -> &'static [u8] {
    let taken_by = graph.edges().iter().filter(|edge| edge.from == node).map(|edge| &bodies[edge.to]);
    let mut ends = taken_by.map(|body| body.end_of_element().unwrap_or_default());
    ends.next().filter(|end| ends.all(|other| other == *end)).unwrap_or_default()
}
