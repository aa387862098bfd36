//! The same pipeline on this runtime: components, or components between endpoints of the host.
//!
//! Components are compiled beforehand. Each run starts a flow, with the default limits and edges. That takes some
//! hundred microseconds per run, which is noticeable if runs are short.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use torvyn_runtime::endpoint::{Generate, Input, Output, Pull, Pulled};
use torvyn_runtime::ledger::DEFAULT_CAPACITY;
use torvyn_runtime::payload::Batch;
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_runtime::stage::log::LogLine;
use torvyn_runtime::{Body, Component, Control, Engine, Error, Flow, Limits, Recorder, Stage};

use super::guests::build_guests;
use crate::payload::{self, Tally, Task};
use crate::pipeline::{Case, Contender};

pub(crate) const COMPONENTS: &str = "torvyn, components";
/// The base of the ratios for totals and records.
pub(crate) const HOST_ENDS: &str = "torvyn, host ends";
pub(crate) const RECORDS: &str = "torvyn, records";
pub(crate) const ACKNOWLEDGED: &str = "torvyn, acknowledged";
/// Totals once, as always, but in the same way as the contenders below.
pub(crate) const TOTALS: &str = "torvyn, totals once";
/// Totals this many times more.
pub(crate) const MORE_TOTALS: &str = "torvyn, totals 1 + 32";
pub(crate) const MORE: u32 = 32;

/// The compiled guests.
pub(crate) struct Ours(BTreeMap<String, Component>);

impl Ours {
    pub(crate) fn build() -> Result<Self, Error> {
        let engine = Engine::new()?;
        let guests = build_guests("tests/stages/Cargo.toml").into_iter();
        let load = guests.map(|(name, path)| Ok((name, Component::load(&engine, &path, &Limits::default())?)));
        load.collect::<Result<_, _>>().map(Self)
    }

    /// A component source, a component stage and a component sink.
    pub(crate) fn with_components(&self, case: Case) -> Pipeline {
        let [source, sink] = ["source", "sink"].map(|name| self.0[name].clone());
        self.pipeline(COMPONENTS, case, &[guest(case.task)], Ends::Components { source, sink })
    }

    /// A component source and a component sink, with nothing between.
    pub(crate) fn with_two_components(&self, case: Case) -> Pipeline {
        let [source, sink] = ["source", "sink"].map(|name| self.0[name].clone());
        self.pipeline(COMPONENTS, case, &[], Ends::Components { source, sink })
    }

    /// The component stage between an input and an output of the host.
    pub(crate) fn with_host_ends(&self, case: Case) -> Pipeline {
        self.pipeline(HOST_ENDS, case, &[guest(case.task)], Ends::Host)
    }

    /// Elements forwarded between an input and an output of the host, by a stage that asks for all metadata.
    pub(crate) fn with_all_columns(&self, case: Case) -> Pipeline {
        self.pipeline("torvyn, all columns", case, &["pass_in_order"], Ends::Host)
    }

    /// The same as [`Ours::with_host_ends`], with a stage that is written by hand for batches.
    pub(crate) fn with_stage_by_hand(&self, case: Case) -> Pipeline {
        let guest = match case.task {
            Task::Pass => "pass_by_hand",
            Task::Upper => "upper_by_hand",
        };
        self.pipeline("by hand", case, &[guest], Ends::Host)
    }

    /// Three stages that forward elements of `len` bytes. The edges have room for as many elements of any size.
    pub(crate) fn with_routers(&self, len: usize) -> impl FnMut(u64) -> Tally + 'static {
        let capacity = Capacity { bytes: Capacity::default().elements * ROUTED, ..Capacity::default() };
        let (graph, stage) = (graph(3, capacity), self.0["pass"].clone());
        move |elements| {
            let seen = Rc::default();
            let input = Body::Input(Box::new(Generate::new(elements, len)));
            let output = Body::Output(Box::new(Glance { tally: Tally::default(), seen: Rc::clone(&seen) }));
            let stages = (0..3).map(|_| self::stage(&stage, []));
            let bodies = [input].into_iter().chain(stages).chain([output]).collect();
            let flow = Flow::start(&graph, bodies, Control::default());
            flow.and_then(Flow::run).expect("the pipeline of the benchmark does not fail");
            seen.get()
        }
    }

    /// The same as [`Ours::with_host_ends`], with records. Their memory is allocated once.
    pub(crate) fn with_records(&self, case: Case) -> Pipeline {
        let recorder = Recorder::new(1, DEFAULT_CAPACITY);
        Pipeline { recorder, ..self.pipeline(RECORDS, case, &[guest(case.task)], Ends::Host) }
    }

    /// The same as [`Ours::with_host_ends`], with an input that gets acknowledgements.
    pub(crate) fn with_acknowledgement(&self, case: Case) -> Pipeline {
        Pipeline { is_acknowledged: true, ..self.pipeline(ACKNOWLEDGED, case, &[guest(case.task)], Ends::Host) }
    }

    /// The same as [`Ours::with_host_ends`], with all totals this many times more.
    pub(crate) fn with_totals(&self, case: Case, name: &'static str, times: u32) -> Pipeline {
        let recorder = Recorder::recounting(times);
        Pipeline { recorder, ..self.pipeline(name, case, &[guest(case.task)], Ends::Host) }
    }

    fn pipeline(&self, name: &'static str, case: Case, guests: &[&str], ends: Ends) -> Pipeline {
        let stages = guests.iter().map(|guest| self.0[*guest].clone()).collect();
        Pipeline {
            name,
            case,
            graph: graph(guests.len(), Capacity::default()),
            ends,
            stages,
            recorder: Recorder::off(),
            is_acknowledged: false,
        }
    }
}

/// The most bytes of an element of [`Ours::with_routers`].
const ROUTED: usize = 64 << 10;

/// This many stages in a row, between a source and a sink.
fn graph(stages: usize, capacity: Capacity) -> Graph {
    let middle = (0..stages).map(|nth| Node::new(format!("stage-{nth}"), Role::Processor, 1));
    let source = Node::new("source", Role::Source, 1);
    let nodes = [source].into_iter().chain(middle).chain([Node::new("sink", Role::Sink, 0)]).collect();
    let edges = (0..=stages).map(|from| Edge { from, output: 0, to: from + 1, capacity });
    Graph::new(nodes, edges.collect()).expect("nodes in a row are in order")
}

fn guest(task: Task) -> &'static str {
    match task {
        Task::Pass => "pass",
        Task::Upper => "upper",
    }
}

/// What is before and after the stages.
enum Ends {
    Components { source: Component, sink: Component },
    Host,
}

/// A flow that can be started.
pub(crate) struct Pipeline {
    name: &'static str,
    case: Case,
    graph: Graph,
    ends: Ends,
    stages: Vec<Component>,
    recorder: Recorder,
    /// Whether the input gets acknowledgements.
    is_acknowledged: bool,
}

impl Contender for Pipeline {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, elements: u64) -> Tally {
        let Case { task, len } = self.case;
        let bodies = |source, sink| {
            let stages = self.stages.iter().map(|component| stage(component, []));
            [source].into_iter().chain(stages).chain([sink]).collect()
        };
        match &self.ends {
            Ends::Components { source, sink } => {
                let settings = [("len", len.to_string()), ("elements", elements.to_string())];
                let (source, sink) = (stage(source, settings), stage(sink, [("task", guest(task).into())]));
                parse(&self.flow(bodies(source, sink)))
            }
            Ends::Host => {
                let seen = Rc::default();
                let payload = payload::blank(len);
                let is_acknowledged = self.is_acknowledged;
                let source = Stamping { payload, next: 0, end: elements, is_acknowledged, acknowledged: 0 };
                let sink = Sum { task, memory: Vec::new(), tally: Tally::default(), seen: Rc::clone(&seen) };
                self.flow(bodies(Body::Input(Box::new(source)), Body::Output(Box::new(sink))));
                seen.get()
            }
        }
    }
}

impl Pipeline {
    /// Runs the flow, and returns what its stages printed.
    fn flow(&self, bodies: Vec<Body>) -> String {
        let printed = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&printed);
        let log = Arc::new(move |line: LogLine<'_>| {
            to.lock().expect("nothing panics that prints").push_str(&String::from_utf8_lossy(line.text));
        });
        let control = Control { log, recorder: self.recorder.clone(), ..Control::default() };
        let flow = Flow::start(&self.graph, bodies, control);
        flow.and_then(Flow::run).expect("the pipeline of the benchmark does not fail");
        printed.lock().expect("nothing panics that prints").clone()
    }
}

fn stage<const N: usize>(component: &Component, config: [(&str, String); N]) -> Body {
    let config = config.map(|(name, value)| (name.to_owned(), value)).into();
    // With what is proven of it, as a run has it.
    let bounds = component.analysis().bounds();
    Body::Stage(Stage { config, bounds, ..Stage::new(component.clone()) })
}

/// The line that the sink component printed.
fn parse(printed: &str) -> Tally {
    let mut numbers = printed.split(' ').map(|number| number.parse().expect("the sink prints numbers"));
    let mut next = || numbers.next().expect("the sink prints three numbers");
    Tally { elements: next(), bytes: next(), sum: next() }
}

/// Stamps payloads into blocks of the pool, as many per block as fit.
struct Stamping {
    payload: Vec<u8>,
    next: u64,
    end: u64,
    is_acknowledged: bool,
    acknowledged: u64,
}

impl Input for Stamping {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let len = self.payload.len();
        let elements = pull.max_elements.min((self.end - self.next) as usize).min(pull.max_bytes.div_ceil(len));
        let mut block = pull.pool.take(elements * len);
        for _ in 0..elements {
            payload::stamp(&mut self.payload, self.next);
            self.next += 1;
            block.append(&self.payload).expect("the block was taken for so many");
        }
        let block = block.freeze();
        let mut parts = pull.parts(&block);
        for index in 0..elements {
            parts.give(index * len, len);
        }
        Ok(if self.next == self.end { Pulled::End } else { Pulled::More })
    }

    fn wants_acknowledgement(&self) -> bool {
        self.is_acknowledged
    }

    fn acknowledge(&mut self, elements: u64) -> io::Result<()> {
        assert!((self.acknowledged..=self.next).contains(&elements), "what is delivered was given");
        self.acknowledged = elements;
        Ok(())
    }
}

impl Drop for Stamping {
    fn drop(&mut self) {
        let expected = if self.is_acknowledged { self.end } else { 0 };
        assert_eq!(self.acknowledged, expected, "all that was given is delivered");
    }
}

/// Copies every payload into its own memory, as the other sinks do, and adds it up.
struct Sum {
    task: Task,
    memory: Vec<u8>,
    tally: Tally,
    seen: Rc<Cell<Tally>>,
}

impl Output for Sum {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        for element in batch.iter() {
            self.memory.clear();
            let piece = element.as_slice().expect("every payload is in one piece");
            self.memory.extend_from_slice(piece);
            self.tally.add(self.task, &self.memory);
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.seen.set(self.tally);
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

/// Adds up the first eight bytes of every payload, without a copy.
struct Glance {
    tally: Tally,
    seen: Rc<Cell<Tally>>,
}

impl Output for Glance {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        for element in batch.iter() {
            self.tally.add(Task::Pass, element.as_slice().expect("every payload is in one piece"));
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.seen.set(self.tally);
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }

    fn touches_bytes(&self) -> bool {
        false
    }
}
