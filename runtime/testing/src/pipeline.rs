//! [`Pipeline`]: the stages of a run, and its settings.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::base::clock::Clock;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::endpoint::Input;
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::payload::element::Metadata;
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, GraphError, Merge, Node, Role};
use torvyn_runtime::pipeline::injection::Injection;
use torvyn_runtime::{Body, Flow, Schedule};

use crate::ends::{MemoryInput, MemoryOutput};
use crate::run::Listener;
use crate::{Element, Error, Run, Stage};

/// The name of the node that the elements of a test come from, also in [`Stage::from`].
const INPUT: &str = "input";

/// 2000-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
const CLOCK_START: u64 = 946_684_800_000_000_000;

/// A timeout that no test reaches and that can be added to the current time.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// Stages in a row. Each takes elements from output 0 of the previous stage, unless [`from`](Stage::from) names others.
///
/// An output that no stage takes from is an output of the run. The outputs of the run are numbered from 0, in the order
/// of the stages and of the outputs of each stage.
///
/// ```no_run
/// let (by_size, upper) = (torvyn_testing::build("by-size")?, torvyn_testing::build("upper")?);
/// let run = by_size.outputs(2).then(&upper.from("by-size", 1)).run(["tiny", "not tiny"])?;
/// assert_eq!(run.output(0), ["tiny"]);
/// assert_eq!(run.output(1), ["NOT TINY"]);
/// # Ok::<(), torvyn_testing::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline {
    stages: Vec<Stage>,
    stamp: Stamp,
    clock: Option<Clock>,
    schedule: Schedule,
    pool: PoolSettings,
    timeout: Duration,
}

impl Pipeline {
    pub(crate) fn new(stage: Stage) -> Pipeline {
        Pipeline {
            stages: vec![stage],
            stamp: Stamp::default(),
            clock: None,
            schedule: Schedule::default(),
            pool: PoolSettings::default(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds a stage.
    pub fn then(mut self, next: &Stage) -> Pipeline {
        self.stages.push(next.clone());
        self
    }

    /// Sets a deadline or a trace for the elements of the test.
    pub fn stamp(self, stamp: Stamp) -> Pipeline {
        Pipeline { stamp, ..self }
    }

    /// Sets the clock. By default, each run has a virtual clock that starts at 2000-01-01T00:00:00Z.
    pub fn clock(self, clock: Clock) -> Pipeline {
        Pipeline { clock: Some(clock), ..self }
    }

    /// Schedules nodes in a random order, which is the same for the same seed. By default, the node nearest to the
    /// outputs runs first.
    pub fn seed(self, seed: u64) -> Pipeline {
        Pipeline { schedule: Schedule::Seeded(seed), ..self }
    }

    /// Sets how much payload memory is kept for reuse.
    pub fn pool(self, pool: PoolSettings) -> Pipeline {
        Pipeline { pool, ..self }
    }

    /// Sets the timeout, measured with the system clock. The default is 60 seconds.
    pub fn timeout(self, timeout: Duration) -> Pipeline {
        Pipeline { timeout, ..self }
    }

    /// Runs the pipeline to its end on elements with these payloads. A pipeline can be run any number of times.
    ///
    /// # Errors
    ///
    /// [`Error::Pipeline`] if the stages do not form a pipeline, [`Error::Failed`], [`Error::TimedOut`], and
    /// [`Error::FaultNotInjected`].
    pub fn run<T: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = T>) -> Result<Run, Error> {
        let payload = |payload: T| (Bytes::copy_from_slice(payload.as_ref()), Metadata::default());
        self.run_with(Some(Box::new(MemoryInput::new(elements.into_iter().map(payload).collect()))))
    }

    /// Runs the pipeline to its end on these elements, with their attributes. Their sequence numbers and timestamps are
    /// set by this run.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_elements(&self, elements: impl IntoIterator<Item = Element>) -> Result<Run, Error> {
        self.run_with(Some(Box::new(MemoryInput::new(elements.into_iter().map(Element::into_parts).collect()))))
    }

    /// Runs the pipeline to its end on an input of the runtime: a file that `open_file` of
    /// [`runtime::endpoint`](torvyn_runtime::endpoint) opens, or generated elements (`Generate`).
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_on(&self, input: impl Input + 'static) -> Result<Run, Error> {
        self.run_with(Some(Box::new(input)))
    }

    /// Runs the pipeline to its end. A source component makes the elements.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_source(&self) -> Result<Run, Error> {
        self.run_with(None)
    }

    fn run_with(&self, input: Option<Box<dyn Input>>) -> Result<Run, Error> {
        let wiring = self.wire()?;
        let mut bodies = Vec::new();
        match (input, wiring.takes_input) {
            (Some(input), true) => bodies.push(Body::Input(input)),
            (None, false) => {}
            (Some(_), false) => return refuse("no stage takes the elements of the test: use `run_source`"),
            (None, true) => return refuse("a stage takes elements of the test: use `run`"),
        }
        let faults: Vec<_> = self.stages.iter().map(Stage::injections).collect();
        bodies.extend(self.stages.iter().zip(&faults).map(|(stage, faults)| Body::Stage(stage.body(faults.clone()))));
        let outputs: Vec<_> = (0..wiring.outputs).map(|_| MemoryOutput::default()).collect();
        bodies.extend(outputs.iter().map(|output| Body::Output(Box::new(output.clone()))));

        let clock = self.clock.clone().unwrap_or_else(|| Clock::virtual_from(CLOCK_START));
        let listener = Listener::default();
        let control = listener.control(clock.clone(), self.schedule, self.pool.clone());
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + LONGEST);
        let ended = Flow::start(&wiring.graph, bodies, control).and_then(|flow| flow.run_until(deadline));
        let (log, dead_letters) = listener.take();
        match ended {
            Ok(Some(account)) => {
                for (stage, faults) in self.stages.iter().zip(&faults) {
                    if let Some(Injection { element, .. }) = faults.iter().find(|fault| fault.count() == 0) {
                        return Err(Error::FaultNotInjected { stage: stage.name.clone(), element: *element });
                    }
                }
                let outputs = outputs.iter().map(MemoryOutput::take).collect();
                Ok(Run { outputs, account, log, dead_letters, clock })
            }
            Ok(None) => Err(Error::TimedOut { after: self.timeout, log }),
            Err(error) => Err(Error::Failed { error: Box::new(error), log }),
        }
    }

    /// Builds the graph: the input if a stage takes from it, the stages, and an output for each output of a stage that
    /// no stage takes from.
    fn wire(&self) -> Result<Wiring, Error> {
        let feeds = self.feeds();
        let takes_input = feeds.iter().any(|(from, ..)| from == INPUT);
        let first = usize::from(takes_input);
        let mut names: Vec<_> = self.stages.iter().map(|stage| stage.name.clone()).collect();
        let mut nodes: Vec<_> = self.stages.iter().map(node).collect();
        if takes_input {
            names.insert(0, INPUT.to_string());
            nodes.insert(0, Node { stamp: self.stamp, ..Node::new(INPUT, Role::Source, 1) });
        }
        let mut edges = Vec::new();
        for (from, output, to) in feeds {
            let node = names.iter().position(|name| *name == from);
            let Some(from) = node else {
                let taker = &self.stages[to].name;
                return refuse(format!(
                    "`{taker}` takes from unknown stage `{from}`: the stages are {}",
                    quoted(&names)
                ));
            };
            edges.push(Edge { from, output, to: first + to, capacity: Capacity::default() });
        }
        let taken: HashSet<_> = edges.iter().map(|edge| (edge.from, edge.output)).collect();
        let made =
            nodes.iter().enumerate().flat_map(|(from, node)| (0..node.outputs).map(move |output| (from, output)));
        let open: Vec<_> = made.filter(|output| !taken.contains(output)).collect();
        for (index, (from, output)) in open.iter().copied().enumerate() {
            edges.push(Edge { from, output, to: nodes.len(), capacity: Capacity::default() });
            nodes.push(Node::new(format!("output {index}"), Role::Sink, 0));
        }
        let known: Vec<_> = nodes.iter().map(|node| (node.name.clone(), node.outputs)).collect();
        let graph = Graph::new(nodes, edges.clone()).or_else(|error| refuse(explain(&error, &known, &edges)))?;
        Ok(Wiring { graph, takes_input, outputs: open.len() })
    }

    /// The connections: the name of the stage that is taken from, its output, and the index of the stage that takes.
    fn feeds(&self) -> Vec<(String, usize, usize)> {
        let mut feeds = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if stage.from.is_empty() && stage.role() != Role::Source {
                let before = index.checked_sub(1).map_or(INPUT, |before| self.stages[before].name.as_str());
                feeds.push((before.to_string(), 0, index));
            }
            feeds.extend(stage.from.iter().map(|(from, output)| (from.clone(), *output, index)));
        }
        feeds
    }
}

/// A pipeline of one stage.
impl From<&Stage> for Pipeline {
    fn from(stage: &Stage) -> Pipeline {
        stage.alone()
    }
}

struct Wiring {
    graph: Graph,
    takes_input: bool,
    outputs: usize,
}

fn node(stage: &Stage) -> Node {
    let merge: Merge = stage.merge;
    Node { merge, ..Node::new(&stage.name, stage.role(), stage.outputs) }
}

fn refuse<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Pipeline(what.into()))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Explains a [`GraphError`] in terms of this crate. `nodes` has the name and the number of outputs of each node.
fn explain(error: &GraphError, nodes: &[(String, usize)], edges: &[Edge]) -> String {
    let name = |node: usize| &nodes[node].0;
    match error {
        GraphError::SameName(node, _) => {
            format!("duplicate stage name `{}`: rename one stage with `named`", name(*node))
        }
        GraphError::NoSuchOutput(edge) => {
            let Edge { from, output, to, .. } = &edges[*edge];
            let (taker, giver, has) = (name(*to), name(*from), nodes[*from].1);
            format!("`{taker}` takes from output {output} of `{giver}`, which has {has}: set the number with `outputs`")
        }
        GraphError::IntoSource(edge) => format!("`{}` is a source and cannot take elements", name(edges[*edge].to)),
        GraphError::Cycle(cycle) => {
            let names: Vec<_> = cycle.iter().map(|node| name(*node).clone()).collect();
            format!("the stages form a cycle: {}", quoted(&names))
        }
        GraphError::Empty | GraphError::NoInput(_) | GraphError::Unconnected { .. } => {
            format!("not a valid pipeline: {error:?}")
        }
    }
}
