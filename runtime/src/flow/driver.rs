//! A running pipeline, and the one driver that moves its elements.
//!
//! The driver runs on one thread, batch by batch, and prefers the node nearest to the end, unless its schedule is
//! another: what is on its way is finished before more is begun. A node is called only when its outputs have room, and
//! that is all of backpressure.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::base::plural::counted;
use crate::base::rng::Rng;
use crate::error::Error;
use crate::flow::account::{Account, CutOffUse};
use crate::flow::edge::Edge;
use crate::flow::journal::Journal;
use crate::flow::node::{Context, LONGEST_PAUSE, Node};
use crate::flow::{Body, Control};
use crate::ledger::{Call, Count};
use crate::payload::Pool;
use crate::pipeline::graph::Graph;

/// What became of a step.
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
    /// Nodes from the ends to the sources, which are last.
    order: Vec<usize>,
    control: Control,
    pool: Pool,
    journal: Option<Journal>,
    /// When it began, by its clock.
    began: Instant,
    /// What the seed decides, where there is one.
    chance: Option<Rng>,
    /// No lease ends before.
    expires: Option<Instant>,
    /// When it began by the time of the system, which is what is measured.
    measured: Instant,
    /// When the last step ended by that time, which is when the next begins: one reading of the clock a batch.
    last: Instant,
    /// Who was interrupted, once it is cut off.
    interrupted: Option<Vec<String>>,
}

/// What is where in a flow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowSnapshot {
    /// Elements that came from the sources.
    pub entered: u64,
    /// Elements that the sinks took.
    pub left: u64,
    /// Elements that wait on each edge of the graph.
    pub waiting: Vec<u64>,
    /// Elements that a node made and has not got rid of, or is to be given again.
    pub held: u64,
}

impl Flow {
    /// Starts a pipeline: `bodies` are the nodes of the graph, in its order. Every stage is instantiated and its `init`
    /// is called, sinks first.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] or [`Error::Stage`] for the first stage that cannot start, and [`Error::Cancelled`] where the flow is
    /// cancelled before all have; those that did are torn down.
    ///
    /// # Panics
    ///
    /// Where there are not as many bodies as nodes.
    pub fn start(graph: &Graph, bodies: Vec<Body>, control: Control) -> Result<Flow, Error> {
        assert_eq!(graph.nodes().len(), bodies.len(), "one body for each node");
        let (measured, began) = (Instant::now(), control.clock.now());
        let pool = Pool::new(control.pool.clone(), graph.nodes().len(), control.recorder.clone());
        let mut journal = Journal::new(&control.recorder, graph);
        let (mut nodes, mut trace) = (Vec::new(), None);
        for (index, body) in bodies.into_iter().enumerate() {
            let is_stage = matches!(body, Body::Stage(_));
            if let Some(journal) = &mut journal {
                journal.begin(Instant::now());
            }
            let started = match control.cancel.load(Ordering::Relaxed) {
                true => Err(Error::Cancelled),
                false => Node::start(graph, index, body, &pool, &control, &mut trace),
            };
            if let Some(journal) = journal.as_mut().filter(|_| is_stage) {
                journal.end(Instant::now(), index, Some(Call::Init), Count::default(), started.is_err(), &[]);
            }
            match started {
                Ok(node) => nodes.push(node),
                Err(error) => {
                    nodes.iter_mut().for_each(Node::abandon);
                    drop(nodes);
                    return Err(told(held(&pool), error));
                }
            }
        }
        let giving: Vec<_> = nodes.iter().map(Node::gives_deadlines).collect();
        nodes.iter_mut().for_each(|node| node.expect_deadlines(&giving));
        let edges = graph.edges().iter().map(|edge| Edge::new(edge.capacity)).collect();
        let order = graph.order().iter().rev().copied().collect();
        let chance = control.schedule.seed().map(Rng::new);
        let (expires, last) = (None, Instant::now());
        let interrupted = None;
        Ok(Flow { nodes, edges, order, control, pool, journal, began, chance, expires, measured, last, interrupted })
    }

    /// Runs until everything has ended, and settles the account.
    ///
    /// # Errors
    ///
    /// The first failure of a stage or an endpoint that the policy of the stage does not cover. Everything is torn down
    /// then, and outputs that could wait with what they were given show nothing of it. [`Error::Internal`], which names
    /// that failure, where a payload is held even so. A flow that is cut off has not failed: its account says what is lost.
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

    /// Remembers who was interrupted.
    fn cut_off(&mut self, error: &Error) {
        self.interrupted.get_or_insert_default().extend(error.node().map(str::to_string));
    }

    /// As [`Flow::run`], but gives up at `deadline`, by the time of the system, after the call that it is in, or within it
    /// where [`Control::cut`] is due then too: everything is torn down, as after a failure, and there is no account.
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
                    Some(held) => Err(Error::Internal(format!("{held} after its deadline"))),
                };
            }
        }
    }

    /// The first failure is the one to tell.
    fn fail(self, error: Error) -> Error {
        told(self.take_down(), error)
    }

    /// Takes everything down before it has ended, and gives back what it has. Tells what is held even so, or was done to it.
    fn take_down(mut self) -> Option<String> {
        self.nodes.iter_mut().for_each(Node::abandon);
        let Flow { nodes, edges, pool, .. } = self;
        drop((nodes, edges));
        held(&pool)
    }

    /// Calls one node that has something to do and room for what comes of it: which one, the schedule says. Where there is
    /// none, a merge by sequence need not wait any more, unless for a node that is left alone for a while: of those that
    /// wait the one that has the smallest number takes what it has up to the smallest of the others.
    ///
    /// # Errors
    ///
    /// The failure of that node.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.expire();
        let moved = if self.chance.is_some() { self.step_any()? } else { self.step_nearest()? };
        if moved {
            return Ok(Step::Moved);
        }
        if self.nodes.iter().all(Node::has_ended) {
            return Ok(Step::Ended);
        }
        let now = self.control.clock.now();
        if let Some((index, last)) = self.released()
            && self.step_node(index, self.is_cancelled(), Some(last))?
        {
            return Ok(Step::Moved);
        }
        self.nodes.iter_mut().for_each(|node| node.expire(now));
        let expires = self.nodes.iter().filter_map(Node::expires_at);
        // What a stage holds until then moves nothing on: a flow that waits for nothing else is stuck.
        let resume = self.nodes.iter().filter_map(Node::resumes_at).min().map(|at| expires.fold(at, Instant::min));
        resume.map(|at| Step::Wait(at.saturating_duration_since(now))).ok_or_else(|| {
            let stuck = self.nodes.iter().filter(|node| !node.has_ended()).map(|node| format!("`{}`", node.name()));
            Error::Internal(format!("nothing can go on: {}", stuck.collect::<Vec<_>>().join(", ")))
        })
    }

    /// Calls the node nearest to the end that has something to do. Tells whether there was one.
    fn step_nearest(&mut self) -> Result<bool, Error> {
        let cancelled = self.is_cancelled();
        for place in 0..self.order.len() {
            let index = self.order[place];
            if self.step_node(index, cancelled, None)? {
                // Sources stand together at the end of the order, and have their turn one after the other.
                if self.nodes[index].is_source() {
                    self.order[place..].rotate_left(1);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Calls a node that has something to do, whichever chance will have it. Tells whether there was one.
    fn step_any(&mut self) -> Result<bool, Error> {
        let cancelled = self.is_cancelled();
        for place in 0..self.order.len() {
            let left = self.order.len() - place;
            self.order.swap(place, place + self.chance.as_mut().map_or(0, |chance| chance.below(left)));
            if self.step_node(self.order[place], cancelled, None)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_cancelled(&self) -> bool {
        self.control.cancel.load(Ordering::Relaxed)
    }

    /// Takes back what stages hold by leases whose deadline is past.
    fn expire(&mut self) {
        let Some(expires) = self.expires else { return };
        let now = if self.control.clock.is_virtual() { self.control.clock.now() } else { self.last };
        if expires <= now {
            self.nodes.iter_mut().for_each(|node| node.expire(now));
            self.expires = self.nodes.iter().filter_map(Node::expires_at).min();
        }
    }

    /// Calls this node, if it has something to do. Tells whether it had.
    fn step_node(&mut self, index: usize, cancelled: bool, released: Option<u64>) -> Result<bool, Error> {
        let mut context = Context {
            edges: &mut self.edges,
            pool: &self.pool,
            progress: &self.control.progress,
            cancelled,
            now: self.last,
            failed: false,
            call: None,
            released,
            clock: &self.control.clock,
            began: self.began,
            chance: self.chance.as_mut(),
        };
        let node = &mut self.nodes[index];
        let before = self.journal.as_mut().map(|journal| {
            journal.begin(self.last);
            node.moved()
        });
        let moved = node.step(&mut context);
        if matches!(moved, Ok(false)) {
            // An input that has nothing may have been waited for.
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
        node.called_for(now - self.last, self.control.clock.is_virtual());
        self.expires = node.expires_at().into_iter().chain(self.expires).min();
        self.last = now;
        moved
    }

    /// Of the merges by sequence that wait for an edge, the one to go on when nothing else can move, and the greatest
    /// number that it may take then.
    ///
    /// It takes nothing that a smaller number could still come after, where there is one source and every stage keeps
    /// the order, whichever schedule led to where no node can move. For let `m` be its first number, the smallest of
    /// all merges that wait, and `x` the smallest in the flow that is to come on the edge it waits for, with `x < m`.
    /// The source has sent `m` already, so `x` has been sent too, and is on the edge to some node, or held there,
    /// before anything greater. That node does not wait as a merge, or `m` were not the smallest; it is no sink, for
    /// one that is left alone is waited for; so an edge that goes on from it is full, of numbers that are not above
    /// `x`. The node at the end of that edge does not move either, for the same reasons, and so on to a sink, which
    /// always has room. So there is no such `x`. The same holds of what it takes after `m`, up to the first number of
    /// another merge that waits, and until one of its edges has been emptied: a way that ends at a full edge into the
    /// merge itself ends at numbers that it still has.
    ///
    /// Of several sources one that is left alone can have smaller numbers, and is waited for.
    fn released(&self) -> Option<(usize, u64)> {
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

    /// Lets this time go by. What is really waited for ends at `deadline`, and after a while that nobody who cancels the flow
    /// feels.
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

    /// What is where.
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

    /// Tears down, lets the outputs show what they have, and settles the account. Where the flow is cut off, no stage is called
    /// any more, and an output that was interrupted stays as it is.
    fn settle(mut self) -> Result<Account, Error> {
        match self.tear_down() {
            Ok(()) => self.settle_ended(),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Calls `teardown` of the stages, until one is cut off.
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

    /// Settles the account of a flow that was torn down.
    fn settle_ended(mut self) -> Result<Account, Error> {
        let cut_off = self.interrupted.take().map(|interrupted| self.lose(interrupted));
        let is_whole = |node: &Node| !cut_off.as_ref().is_some_and(|cut| cut.is_interrupted(node.name()));
        // A call that did not return has counted what it copied, and nothing came of it.
        let audited = self.nodes.iter().filter(|node| is_whole(node)).try_for_each(Node::audit);
        let mut whole = self.nodes.iter_mut().filter(|node| is_whole(node));
        if let Err(error) = audited.and_then(|()| whole.try_for_each(Node::complete)) {
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
        match held(&self.pool) {
            None => Ok(account),
            Some(held) => Err(Error::Internal(format!("{held} after everything has ended"))),
        }
    }
}

impl Flow {
    /// Counts what is on its way in a flow that is cut off, and ends its stages without a call.
    fn lose(&mut self, interrupted: Vec<String>) -> CutOffUse {
        let snapshot = self.snapshot();
        let waiting = snapshot.waiting.iter().sum::<u64>() + snapshot.held;
        let lent: u64 = self.nodes.iter_mut().map(Node::end_at_once).sum();
        CutOffUse { interrupted, undelivered: waiting + lent }
    }
}

/// What is still held of the payload memory of a flow that is down, or was done to it and is not allowed.
fn held(pool: &Pool) -> Option<String> {
    let live = pool.usage().live_at_end;
    let are = if live == 1 { "is" } else { "are" };
    let held = (live > 0).then(|| format!("{} {are} held", counted(live, "payload buffer")));
    held.or_else(|| pool.fault().map(|fault| format!("a payload buffer: {fault}")))
}

/// The failure that a flow ended with. Where something is held even so, that is told, with the failure and its causes.
fn told(held: Option<String>, failure: Error) -> Error {
    let Some(held) = held else { return failure };
    let mut after = format!("{held} after a failure: {failure}");
    let mut cause = std::error::Error::source(&failure);
    while let Some(error) = cause {
        after += &format!(": {error}");
        cause = error.source();
    }
    Error::Internal(after)
}
