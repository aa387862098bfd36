//! The bounds of a pipeline hold for its flows: random pipelines of model stages that only copy, and of real
//! components. A bound is never exceeded, and an exact bound is met.

use std::collections::HashMap;

use torvyn_runtime::analysis::{NodeBounds, PipelineBounds, compose};
use torvyn_runtime::contract::{Bound, Bounds, Proof};
use torvyn_runtime::endpoint::Discard;
use torvyn_runtime::pipeline::graph::{Graph, Role};
use torvyn_runtime::{Account, Component, Limits};
use torvyn_tests::random::Random;
use torvyn_tests::{Elements, Part, assert_settled, engine, input, output, programs, stage_of, start};

mod graph;
mod model;

use model::{Conduct, Measured};

const PLAIN_PIPELINES: u64 = 10_000;
const REAL_PIPELINES: u64 = 200;

/// The number of comparisons and of failed ones.
#[derive(Debug, Default)]
struct Tally {
    pipelines: u64,
    elements: u64,
    bounded: u64,
    exact: u64,
    /// Measured above a bound.
    over: u64,
    /// Measured below an exact bound.
    unequal: u64,
}

impl Tally {
    /// Compares what was measured for this many elements with a bound per element.
    fn compare(&mut self, measured: u64, bound: Option<u64>, elements: u64, exact: bool) {
        let Some(most) = bound.and_then(|bound| bound.checked_mul(elements)) else { return };
        self.bounded += 1;
        self.exact += u64::from(exact);
        self.over += u64::from(measured > most);
        self.unequal += u64::from(exact && measured < most);
    }

    #[track_caller]
    fn assert_held(&self, what: &str) {
        assert_eq!((self.over, self.unequal), (0, 0), "{what}: {self:?}");
    }
}

fn bound(random: &mut Random, most: u64) -> Bound {
    let times = random.from(1, most) as u32;
    match random.from(0, 9) {
        0..=3 => Bound::never(Proof::Component),
        4..=6 => Bound::exactly(times, Proof::Bounded),
        7..=8 => Bound::at_most(times, Proof::Bounded),
        _ => Bound::unknown(),
    }
}

/// Nodes with random roles and outputs, and what they copy.
fn plain(random: &mut Random) -> (Graph, Vec<Option<Bounds>>) {
    let mut nodes = Vec::new();
    let mut bounds = Vec::new();
    for (role, least, most) in [(Role::Source, 1, 2), (Role::Processor, 0, 4), (Role::Sink, 1, 3)] {
        for _ in 0..random.from(least, most) {
            let component = role == Role::Processor || random.once_in(2);
            let outputs = match role {
                Role::Sink => 0,
                Role::Source if !component => 1,
                _ => random.from(1, 3) as usize,
            };
            nodes.push((role, outputs));
            let copies = |random: &mut Random| Bounds::copying(bound(random, 3), bound(random, 2));
            bounds.push(component.then(|| copies(random)));
        }
    }
    (graph::random(random, &nodes), bounds)
}

/// Compares the measurements of the model with the bounds of the pipeline.
fn compare(tally: &mut Tally, said: &PipelineBounds, measured: &Measured, tight: bool) {
    tally.compare(measured.copies, said.total, measured.entered, said.exact || tight);
    tally.compare(measured.path, said.copies, 1, tight);
    for (said, &(elements, written)) in said.edges.iter().zip(&measured.edges) {
        tally.compare(elements, said.elements, measured.entered, tight);
        tally.over += u64::from(written > 0 && !said.written);
        tally.unequal += u64::from(tight && said.written && written == 0);
    }
    let within =
        said.amplification.max.is_none_or(|max| measured.copied_bytes as f64 <= max * measured.entered_bytes as f64);
    let least = said.amplification.min * measured.entered_bytes as f64;
    tally.over += u64::from(!within || (measured.copied_bytes as f64) < least);
    if let Some(max) = said.amplification.max.filter(|_| tight) {
        tally.unequal += u64::from(measured.copied_bytes as f64 != max * measured.entered_bytes as f64);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was compared is part of the result")]
fn plain_stages() {
    let mut tally = Tally::default();
    let mut tight_pipelines = 0;
    for seed in 0.. {
        if tally.pipelines == PLAIN_PIPELINES {
            break;
        }
        let mut random = Random::new(seed);
        let (graph, nodes) = plain(&mut random);
        let said = compose(&graph, &once(&nodes));
        let [any, worst] =
            [Conduct::Any, Conduct::Worst].map(|conduct| model::run(&mut random, &graph, &nodes, conduct));
        let (Some(any), Some(worst)) = (any, worst) else { continue };
        compare(&mut tally, &said, &any, false);
        // One source with the worst behaviour meets every bound: none is larger than necessary.
        let sources = graph.nodes().iter().filter(|node| node.role == Role::Source).count();
        compare(&mut tally, &said, &worst, sources == 1);
        tight_pipelines += u64::from(sources == 1);
        tally.pipelines += 1;
        tally.elements += any.entered + worst.entered;
        tally.assert_held(&format!("seed {seed}: {said:#?}\nof {nodes:?}\nin {graph:#?}"));
    }
    assert!(tally.exact > tally.pipelines, "{tally:?}");
    assert!(tight_pipelines > PLAIN_PIPELINES / 4);
    let Tally { pipelines, elements, over, unequal, bounded, exact } = tally;
    println!(
        "plain: pipelines={pipelines} elements={elements} bounded={bounded} exact={exact} over={over} unequal={unequal}"
    );
}

/// A stage to run: a program, its settings, and what it copies according to its source code.
struct Program {
    path: &'static str,
    config: Vec<(&'static str, String)>,
    outputs: usize,
    bounds: Bounds,
}

fn never() -> Bound {
    Bound::never(Proof::Bounded)
}

fn exactly(times: u64) -> Bound {
    Bound::exactly(times as u32, Proof::Bounded)
}

fn at_most(times: u64) -> Bound {
    Bound::at_most(times as u32, Proof::Bounded)
}

fn program(path: &'static str, reads: Bound, writes: Bound) -> Program {
    Program { path, config: Vec::new(), outputs: 1, bounds: Bounds::copying(reads, writes) }
}

impl Program {
    fn with(mut self, name: &'static str, value: impl ToString) -> Program {
        self.config.push((name, value.to_string()));
        self
    }
}

fn source(random: &mut Random) -> Program {
    let count = random.from(0, 100);
    match random.from(0, 1) {
        0 => program(programs::NUMBERS, never(), exactly(1)).with("count", count),
        _ => program(programs::BLOCKS, never(), exactly(1)).with("count", count).with("size", random.from(1, 300)),
    }
}

fn processor(random: &mut Random) -> Program {
    match random.from(0, 8) {
        0 => program(programs::DROP_EMPTY, never(), never()),
        1 => program(programs::INSPECT, exactly(1), never()).with("needle", "1"),
        2 => Program { outputs: 2, ..program(programs::SPLIT, exactly(1), never()) },
        3 => program(programs::UPPER, exactly(1), exactly(1)),
        4 => program(programs::UPPER_ON_DEMAND, at_most(1), at_most(1)).with("longest", random.from(0, 100)),
        5 => program(programs::REPEAT, exactly(1), Bound::unknown()).with("times", random.from(0, 3)),
        6 => program(programs::FAULTY, exactly(1), never()).with("how", "print").with("at", "nowhere"),
        _ => {
            let times = random.from(0, 3);
            let by = *random.of(&["element", "byte", "batch"]);
            program(programs::REREAD, exactly(times), never()).with("times", times).with("by", by)
        }
    }
}

fn sink(random: &mut Random) -> Program {
    match random.from(0, 3) {
        0 => program(programs::STALL, never(), never()).with("batches", random.from(0, 2)),
        _ => program(programs::DIGEST, exactly(1), never()),
    }
}

/// Nodes of a random pipeline; `None` is an endpoint of the host.
fn real(random: &mut Random) -> (Graph, Vec<Option<Program>>) {
    let mut programs: Vec<_> = (0..random.from(1, 2)).map(|_| random.once_in(2).then(|| source(random))).collect();
    let sources = programs.len();
    programs.extend((0..random.from(0, 4)).map(|_| Some(processor(random))));
    let processors = programs.len();
    programs.extend((0..random.from(1, 3)).map(|_| random.once_in(2).then(|| sink(random))));
    let nodes = programs.iter().enumerate().map(|(node, program)| match node {
        _ if node < sources => (Role::Source, 1),
        _ if node < processors => (Role::Processor, program.as_ref().map_or(0, |program| program.outputs)),
        _ => (Role::Sink, 0),
    });
    let graph = graph::random(random, &nodes.collect::<Vec<_>>());
    // It wants the sequence numbers of a source in their order.
    for (node, program) in programs.iter_mut().enumerate().take(processors).skip(sources) {
        let mut from = graph.edges().iter().filter(|edge| edge.to == node).map(|edge| edge.from);
        let after_a_source = from.next().is_some_and(|from| from < sources) && from.next().is_none();
        if after_a_source && graph.nodes()[node].outputs == 1 && random.once_in(3) {
            *program = Some(self::program(programs::EVERY_OTHER, never(), never()));
        }
    }
    (graph, programs)
}

fn lines(random: &mut Random) -> Elements {
    let line = |random: &mut Random| {
        let first = *random.of(b"abcd1");
        (0..random.from(0, 200)).fold(vec![first], |mut line, _| {
            line.push(random.from(b' '.into(), b'~'.into()) as u8);
            line
        })
    };
    Elements::new((0..random.from(0, 100)).map(|_| line(random)).collect::<Vec<_>>())
}

/// Each element is in one batch only.
fn once(stages: &[Option<Bounds>]) -> Vec<Option<NodeBounds>> {
    stages.iter().map(|bounds| bounds.map(NodeBounds::from)).collect()
}

/// Compares the run report of a flow with the bounds of its stages and of the pipeline.
fn hold(tally: &mut Tally, graph: &Graph, stages: &[Option<Bounds>], account: &Account) -> PipelineBounds {
    let said = compose(graph, &once(stages));
    let place = |name: &str| name.parse::<usize>().expect("nodes are named by their number");
    for stage in &account.stages {
        let node = place(&stage.name);
        let Bounds { reads, writes, .. } = stages[node].expect("a stage");
        let made = if graph.nodes()[node].role == Role::Source { stage.elements_out } else { stage.elements_in };
        let count = |max: Option<u32>| max.map(u64::from);
        tally.compare(stage.copies.payload_read.ops, count(reads.max), stage.elements_in, reads.exact);
        tally.compare(stage.copies.payload_write.ops, count(writes.max), made, writes.exact);
        tally.compare(stage.reads_max.into(), count(reads.max), 1, reads.exact && stage.elements_in > 0);
        tally.compare(stage.writes_max.into(), count(writes.max), 1, false);
    }
    let entered = account.elements.entered;
    let copies = account.copies.payload_read.ops + account.copies.payload_write.ops;
    tally.compare(copies, said.total, entered, said.exact);
    let stages = account.stages.iter().map(|stage| (place(&stage.name), stage.elements_in));
    let outputs = account.endpoints.iter().map(|endpoint| (place(&endpoint.name), endpoint.elements));
    for (node, elements) in stages.chain(outputs).filter(|(node, _)| graph.nodes()[*node].role != Role::Source) {
        let edges = graph.edges().iter().zip(&said.edges).filter(|(edge, _)| edge.to == node);
        let most = edges.map(|(_, said)| said.elements).sum::<Option<u64>>();
        tally.compare(elements, most, entered, false);
    }
    let copied = account.copies.payload_bytes() as f64;
    if let Some(amplification) = account.amplification {
        let within = said.amplification.max.is_none_or(|max| amplification <= max);
        tally.over += u64::from(!within || amplification < said.amplification.min);
    } else {
        tally.over += u64::from(said.amplification.max.is_some() && copied > 0.0);
    }
    said
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was compared is part of the result")]
fn real_components() {
    let mut components: HashMap<&str, Component> = HashMap::new();
    let limits = Limits::default();
    let mut tally = Tally::default();
    for seed in 0..REAL_PIPELINES {
        let mut random = Random::new(seed);
        let (graph, programs) = real(&mut random);
        let parts = programs.iter().zip(graph.nodes()).map(|(program, node)| {
            let part = match program {
                None if node.role == Role::Source => input(lines(&mut random)),
                None => output("", Discard),
                Some(Program { path, config, outputs, .. }) => {
                    let load = || Component::load(engine(), path.as_ref(), &limits).expect("the component loads");
                    let component = components.entry(path).or_insert_with(load);
                    let config: Vec<_> = config.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    let part = stage_of("", component, &config, limits.clone());
                    if node.role == Role::Sink { part } else { part.outputs(*outputs) }
                }
            };
            part.named(&node.name)
        });
        let parts: Vec<Part> = parts.collect();
        let edges: Vec<_> = graph.edges().iter().map(|edge| (edge.from, edge.output, edge.to, edge.capacity)).collect();
        let flow = start(parts, &edges).and_then(|(flow, _)| flow.run());
        let account = flow.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_settled(&account);
        let proven = |program: &Program| components[program.path].analysis().bounds();
        let known = |program: &Program| program.bounds;
        for bounds in [&proven as &dyn Fn(&Program) -> Bounds, &known] {
            let bounds: Vec<_> = programs.iter().map(|program| program.as_ref().map(bounds)).collect();
            let said = hold(&mut tally, &graph, &bounds, &account);
            tally.assert_held(&format!("seed {seed}: {said:#?}\nof {bounds:?}\nin {graph:#?}\n{account:#?}"));
        }
        tally.pipelines += 1;
        tally.elements += account.elements.entered;
    }
    assert!(components.len() > 12, "{:?}", components.keys());
    let Tally { pipelines, elements, over, unequal, bounded, exact } = tally;
    println!(
        "real: pipelines={pipelines} elements={elements} bounded={bounded} exact={exact} over={over} unequal={unequal}"
    );
}
