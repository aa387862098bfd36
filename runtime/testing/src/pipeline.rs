//! Stages put together, and what a whole run of them goes by.

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

use crate::ends::{Given, Kept};
use crate::run::Listener;
use crate::{Element, Error, Run, Stage};

/// The name of the node that the elements of a test come from, and what [`Stage::from`] calls it.
const INPUT: &str = "input";

/// 2000-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
const BEGINNING: u64 = 946_684_800_000_000_000;

/// A time that no test takes, and that can be reckoned with.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// Stages in a row, each taking from the one before it unless it says [`from`](Stage::from) where. An output that no stage
/// takes from is an output of the run: they count from 0, in the order of the stages and of the outputs of each.
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

    /// With another stage.
    pub fn then(mut self, next: &Stage) -> Pipeline {
        self.stages.push(next.clone());
        self
    }

    /// With a deadline or a trace for the elements of the test.
    pub fn stamp(self, stamp: Stamp) -> Pipeline {
        Pipeline { stamp, ..self }
    }

    /// By this clock. Without one each run has a virtual one that begins at 2000-01-01T00:00:00Z.
    pub fn clock(self, clock: Clock) -> Pipeline {
        Pipeline { clock: Some(clock), ..self }
    }

    /// With the nodes taking their turns by chance, the same one for the same seed. Without one the node nearest to the
    /// end has its turn.
    pub fn seed(self, seed: u64) -> Pipeline {
        Pipeline { schedule: Schedule::Seeded(seed), ..self }
    }

    /// With so much payload memory that is kept for reuse.
    pub fn pool(self, pool: PoolSettings) -> Pipeline {
        Pipeline { pool, ..self }
    }

    /// Given up after this time of the system; without it after 60 seconds.
    pub fn timeout(self, timeout: Duration) -> Pipeline {
        Pipeline { timeout, ..self }
    }

    /// Runs it to its end on these payloads. It can be run again.
    ///
    /// # Errors
    ///
    /// [`Error::Pipeline`] where the stages cannot be put together so, [`Error::Failed`], [`Error::TimedOut`], and
    /// [`Error::FaultNeverCame`].
    pub fn run<T: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = T>) -> Result<Run, Error> {
        let payload = |payload: T| (Bytes::copy_from_slice(payload.as_ref()), Metadata::default());
        self.run_with(Some(Box::new(Given::new(elements.into_iter().map(payload).collect()))))
    }

    /// Runs it to its end on these elements, with their attributes. Their numbers and times are those of this run.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_elements(&self, elements: impl IntoIterator<Item = Element>) -> Result<Run, Error> {
        self.run_with(Some(Box::new(Given::new(elements.into_iter().map(Element::into_given).collect()))))
    }

    /// Runs it to its end on what comes from an input of the runtime: a file, as `open_file` of
    /// [`runtime::endpoint`](torvyn_runtime::endpoint) opens one, or so many made up elements of a size, `Generate`.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_on(&self, input: impl Input + 'static) -> Result<Run, Error> {
        self.run_with(Some(Box::new(input)))
    }

    /// Runs it to its end, where a component makes the elements.
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
            (Some(_), false) => return wrong("nothing takes the elements that are given: use `run_source`"),
            (None, true) => return wrong("no elements are given: use `run`"),
        }
        let faults: Vec<_> = self.stages.iter().map(Stage::injections).collect();
        bodies.extend(self.stages.iter().zip(&faults).map(|(stage, faults)| Body::Stage(stage.body(faults.clone()))));
        let kept: Vec<_> = (0..wiring.outputs).map(|_| Kept::default()).collect();
        bodies.extend(kept.iter().map(|kept| Body::Output(Box::new(kept.clone()))));

        let clock = self.clock.clone().unwrap_or_else(|| Clock::virtual_from(BEGINNING));
        let listener = Listener::default();
        let control = listener.control(clock.clone(), self.schedule, self.pool.clone());
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + LONGEST);
        let ended = Flow::start(&wiring.graph, bodies, control).and_then(|flow| flow.run_until(deadline));
        let (log, dead_letters) = listener.heard();
        match ended {
            Ok(Some(account)) => {
                for (stage, faults) in self.stages.iter().zip(&faults) {
                    if let Some(Injection { element, .. }) = faults.iter().find(|fault| fault.happened() == 0) {
                        return Err(Error::FaultNeverCame { stage: stage.name.clone(), element: *element });
                    }
                }
                let outputs = kept.iter().map(Kept::take).collect();
                Ok(Run { outputs, account, log, dead_letters, clock })
            }
            Ok(None) => Err(Error::TimedOut { after: self.timeout, log }),
            Err(error) => Err(Error::Failed { error: Box::new(error), log }),
        }
    }

    /// The graph: the input where something takes from it, the stages, and an output for each that nothing takes from.
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
                return wrong(format!("`{taker}` takes from `{from}`, which is no stage here: {}", quoted(&names)));
            };
            edges.push(Edge { from, output, to: first + to, capacity: Capacity::default() });
        }
        let taken: HashSet<_> = edges.iter().map(|edge| (edge.from, edge.output)).collect();
        let made =
            nodes.iter().enumerate().flat_map(|(from, node)| (0..node.outputs).map(move |output| (from, output)));
        let open: Vec<_> = made.filter(|of| !taken.contains(of)).collect();
        for (index, (from, output)) in open.iter().copied().enumerate() {
            edges.push(Edge { from, output, to: nodes.len(), capacity: Capacity::default() });
            nodes.push(Node::new(format!("output {index}"), Role::Sink, 0));
        }
        let told: Vec<_> = nodes.iter().map(|node| (node.name.clone(), node.outputs)).collect();
        let graph = Graph::new(nodes, edges.clone()).or_else(|error| wrong(explained(&error, &told, &edges)))?;
        Ok(Wiring { graph, takes_input, outputs: open.len() })
    }

    /// Which stage takes from where: a name, the number of an output, and the index of the stage.
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

fn wrong<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Pipeline(what.into()))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What the graph refuses, in the words of this crate. Nodes are told by name and number of outputs.
fn explained(error: &GraphError, nodes: &[(String, usize)], edges: &[Edge]) -> String {
    let name = |node: usize| &nodes[node].0;
    match error {
        GraphError::SameName(node, _) => {
            format!("two stages are called `{}`: give one another name with `named`", name(*node))
        }
        GraphError::NoSuchOutput(edge) => {
            let Edge { from, output, to, .. } = &edges[*edge];
            let (taker, giver, has) = (name(*to), name(*from), nodes[*from].1);
            format!("`{taker}` takes from output {output} of `{giver}`, which has {has}: `outputs` says how many")
        }
        GraphError::IntoSource(edge) => format!("`{}` is a source, and takes from nothing", name(edges[*edge].to)),
        GraphError::Cycle(cycle) => {
            let names: Vec<_> = cycle.iter().map(|node| name(*node).clone()).collect();
            format!("stages take from one another in a circle: {}", quoted(&names))
        }
        GraphError::Empty | GraphError::NoInput(_) | GraphError::Unconnected { .. } => {
            format!("this is no pipeline: {error:?}")
        }
    }
}
