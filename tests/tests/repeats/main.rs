//! What stages copy whose elements are retried is within the bounds that `check` gives: two pipelines with exact
//! figures, and programs that fail as their elements say, under random policies and batch sizes.
//!
//! `TORVYN_REPEATS=10000` runs this many random pipelines.

#![expect(clippy::print_stdout, reason = "how much was compared is part of the result")]

use std::time::Duration;

use torvyn_runtime::analysis::{NodeBounds, compose};
use torvyn_runtime::contract::{Bound, Bounds, Budget, Proof};
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_runtime::pipeline::policy::{Retry, Then};
use torvyn_runtime::{Account, Clock, Component, Control, Error, Limits, Policy, Schedule, Stage, StageError};
use torvyn_tests::random::Random;
use torvyn_tests::{
    Collected, Elements, Part, assert_settled, engine, input, output, programs, run, stage_of, start_with,
};

mod exact;

/// Random pipelines in an ordinary run.
const PIPELINES: u64 = 60;

fn policy(retries: u32, then: Then) -> Policy {
    let retry = (retries > 0).then_some(Retry { count: retries, backoff: Duration::ZERO });
    Policy { retry, then }
}

/// A loaded program of `ops`, with the bounds of one call.
struct Program {
    component: Component,
    /// Its settings besides `reads`, which decides the budget.
    settings: &'static [(&'static str, &'static str)],
    /// How often its settings can make it read an element; `None` if no setting decides that.
    reads: Option<u64>,
}

fn all() -> Vec<Program> {
    let program = |path: &str, settings: &'static [_], reads| {
        let component = Component::load(engine(), path.as_ref(), &Limits::default()).expect("the program loads");
        Program { component, settings, reads }
    };
    vec![
        program(programs::OPS, &[("ahead", "true")], Some(2)),
        program(programs::OPS, &[("ahead", "false")], Some(2)),
        program(programs::OPS_EACH, &[], Some(3)),
        program(programs::OPS_PAYLOAD, &[], None),
        program(programs::OPS_PAYLOAD, &[], None),
        program(programs::OPS_HELD, &[], Some(1)),
        program(programs::STRICT_ROUTER, &[], None),
    ]
}

/// A stage to run, with its bounds.
struct Drawn {
    part: Part,
    node: NodeBounds,
}

impl Program {
    /// Under any policy, with any batch size, within a budget that it keeps in calls that return.
    fn draw(&self, random: &mut Random, name: &str, spins: bool) -> Drawn {
        let proven = self.component.analysis().bounds();
        let (mut budget, mut bounds) = (Budget::default(), proven);
        let mut settings = self.settings.to_vec();
        let (reads, mends) = (self.reads.map(|most| random.from(0, most)), random.from(0, 3) * 3);
        let (reads_text, mends_text) = (reads.unwrap_or_default().to_string(), mends.to_string());
        settings.extend([("reads", reads_text.as_str()), ("mends", mends_text.as_str())]);
        if spins {
            settings.push(("spins", "true"));
        }
        let limited = |bound: Bound, limit: Option<u32>| match (bound.max, limit) {
            (None, Some(limit)) => Bound::at_most(limit, Proof::Enforced),
            _ => bound,
        };
        if random.once_in(8) {
            // There is no bound.
        } else {
            // A program that holds elements reads once more when it releases them.
            let reads = reads.map(|reads| reads as u32 + u32::from(self.component.analysis().retains));
            budget = Budget { reads, writes: Some(1), ..Budget::default() };
            bounds = Bounds { reads: limited(proven.reads, reads), writes: limited(proven.writes, Some(1)), ..proven };
        }
        let then = *random.of(&[Then::Skip, Then::Skip, Then::Skip, Then::DeadLetter, Then::Stop]);
        let policy = policy(random.from(0, 3) as u32, then);
        let batch = *random.of(&[1, 2, 7, Stage::MAX_BATCH]);
        let limits = Limits { time: Duration::from_millis(if spins { 30 } else { 10_000 }), ..Limits::default() };
        let part = stage_of(name, &self.component, &settings, limits);
        let part = part.policy(policy).batch(batch).budget(budget).bounds(bounds);
        Drawn { part, node: NodeBounds::new(bounds, &policy, batch, self.component.analysis().retains) }
    }
}

/// Elements whose sizes decide what is done with them: mostly success, or mostly failure.
fn elements(random: &mut Random) -> (Elements, u64) {
    let (count, bad) = (random.from(0, 200), *random.of(&[0, 1, 5, 50, 95]));
    let size = |random: &mut Random| match random.from(0, 99) < bad {
        // Traps are rare because they are slow.
        true if random.once_in(20) => 6,
        true => *random.of(&[3, 4, 5, 7]) + 16 * random.from(0, 2),
        false => *random.of(&[0, 1, 2, 8, 9, 10, 11, 12, 13, 14, 15]) + 16 * random.from(0, 2),
    };
    (Elements::new((0..count).map(|_| vec![b'x'; size(random) as usize]).collect::<Vec<_>>()), count)
}

/// The number of comparisons and of failed ones.
#[derive(Debug, Default)]
struct Tally {
    bounded: u64,
    over: u64,
    failed_calls: u64,
    restarts: u64,
    stopped: u64,
}

impl Tally {
    fn compare(&mut self, measured: u64, bound: Option<u64>, elements: u64) {
        let Some(most) = bound.and_then(|bound| bound.checked_mul(elements)) else { return };
        self.bounded += 1;
        self.over += u64::from(measured > most);
    }
}

#[test]
fn no_pipeline_copies_more_than_is_said() {
    let pipelines = std::env::var("TORVYN_REPEATS").ok().and_then(|count| count.parse().ok()).unwrap_or(PIPELINES);
    let (all, mut tally) = (all(), Tally::default());
    let sink = Component::load(engine(), programs::OPS_SINK.as_ref(), &Limits::default()).expect("the sink loads");
    let sink = Program { component: sink, settings: &[], reads: None };
    for seed in 0..pipelines {
        let random = &mut Random::new(seed);
        let spins = seed % 50 == 49;
        let (elements, count) = elements(random);
        let (mut parts, mut nodes) = (vec![input(elements)], vec![None]);
        for place in 0..random.from(1, 3) {
            let drawn = random.of(&all).draw(random, &format!("s{place}"), spins);
            parts.push(drawn.part);
            nodes.push(Some(drawn.node));
        }
        // A row of stages, and often a branch from one of its edges to a sink.
        let row = parts.len();
        let mut edges: Vec<_> = (1..row).map(|to| (to - 1, 0, to, Capacity::default())).collect();
        edges.push((row - 1, 0, row, Capacity::default()));
        let out = Collected::default();
        parts.push(output("out", out.clone()));
        nodes.push(None);
        if random.once_in(2) {
            let drawn = sink.draw(random, "sink", spins);
            edges.push((random.from(0, row as u64 - 1) as usize, 0, row + 1, Capacity::default()));
            parts.push(drawn.part);
            nodes.push(Some(drawn.node));
        }
        let schedule = if random.once_in(2) { Schedule::Seeded(seed) } else { Schedule::Downstream };
        // Deadlines are in real time.
        let clock = if spins { Clock::system() } else { Clock::virtual_from(0) };
        let flow = start_with(parts, &edges, |control| Control { schedule, clock, ..control });
        match flow.and_then(|(flow, _)| flow.run()) {
            Ok(account) => {
                assert_eq!(account.elements.entered, count);
                hold(&mut tally, &edges, &nodes, &account);
            }
            Err(Error::Stage { .. }) => tally.stopped += 1,
            // With a short limit of the system's time, a busy machine can be late for `init` too.
            Err(Error::Start { source: StageError::Deadline { .. }, .. }) if spins => tally.stopped += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        assert_eq!(tally.over, 0, "seed {seed}: {tally:?}");
    }
    println!("repeats: pipelines={pipelines} {tally:?}");
    assert!(tally.bounded > pipelines && tally.failed_calls > pipelines && tally.stopped < pipelines / 2, "{tally:?}");
}

/// Compares the run report of a flow with the bounds of its stages and of the pipeline.
fn hold(tally: &mut Tally, edges: &[(usize, usize, usize, Capacity)], nodes: &[Option<NodeBounds>], account: &Account) {
    assert_settled(account);
    let role = |node: usize| match edges {
        _ if node == 0 => Role::Source,
        _ if edges.iter().all(|edge| edge.0 != node) => Role::Sink,
        _ => Role::Processor,
    };
    let graph_nodes =
        (0..nodes.len()).map(|node| Node::new(node.to_string(), role(node), usize::from(role(node) != Role::Sink)));
    let graph_edges = edges.iter().map(|&(from, output, to, capacity)| Edge { from, output, to, capacity });
    let graph = Graph::new(graph_nodes.collect(), graph_edges.collect()).expect("the graph is in order");
    let said = compose(&graph, nodes);
    for (stage, node) in account.stages.iter().zip(nodes.iter().flatten()) {
        let of_all = node.bounds.repeated(node.calls);
        let count = |bound: Bound| bound.max.map(u64::from);
        tally.compare(stage.copies.payload_read.ops, count(of_all.reads), stage.elements_in);
        tally.compare(stage.reads_max.into(), count(of_all.reads), 1);
        tally.compare(stage.copies.payload_write.ops, count(of_all.writes), stage.elements_in);
        // Each call is within its proven bounds, whether it returned or not.
        tally.compare(stage.failed_copies.payload_read.ops, Some(stage.copies.payload_read.ops), 1);
        tally.failed_calls += stage.failures.calls;
        tally.restarts += stage.failures.restarts;
    }
    let entered = account.elements.entered;
    let copies = account.copies.payload_read.ops + account.copies.payload_write.ops;
    tally.compare(copies, said.total, entered);
    if let (Some(amplification), Some(max)) = (account.amplification, said.amplification.max) {
        tally.bounded += 1;
        tally.over += u64::from(amplification > max);
    }
}
