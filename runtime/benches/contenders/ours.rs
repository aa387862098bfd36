//! The same pipeline on this runtime: three components, or one component between endpoints of the host.
//!
//! Components are compiled beforehand. Each run starts a flow, with the default limits and edges. That takes some
//! hundred microseconds per run, which is noticeable if runs are short.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::ledger::DEFAULT_CAPACITY;
use torvyn_runtime::payload::Batch;
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_runtime::stage::log::LogLine;
use torvyn_runtime::{Body, Component, Control, Engine, Error, Flow, Limits, Recorder, Stage};

use super::guests::build_guests;
use crate::payload::{self, Tally, Task};
use crate::{Case, Contender};

/// The base of the ratios for totals and records.
pub(crate) const HOST_ENDS: &str = "torvyn, host ends";
pub(crate) const RECORDS: &str = "torvyn, records";
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
        self.pipeline("torvyn, components", case, guest(case.task), Ends::Components { source, sink })
    }

    /// The component stage between an input and an output of the host.
    pub(crate) fn with_host_ends(&self, case: Case) -> Pipeline {
        self.pipeline(HOST_ENDS, case, guest(case.task), Ends::Host)
    }

    /// Elements forwarded between an input and an output of the host, by a stage that asks for all metadata.
    pub(crate) fn with_all_columns(&self, case: Case) -> Pipeline {
        self.pipeline("torvyn, all columns", case, "pass_in_order", Ends::Host)
    }

    /// The same as [`Ours::with_host_ends`], with records. Their memory is allocated once.
    pub(crate) fn with_records(&self, case: Case) -> Pipeline {
        let recorder = Recorder::new(1, DEFAULT_CAPACITY);
        Pipeline { recorder, ..self.pipeline(RECORDS, case, guest(case.task), Ends::Host) }
    }

    /// The same as [`Ours::with_host_ends`], with all totals this many times more.
    pub(crate) fn with_totals(&self, case: Case, name: &'static str, times: u32) -> Pipeline {
        let recorder = Recorder::recounting(times);
        Pipeline { recorder, ..self.pipeline(name, case, guest(case.task), Ends::Host) }
    }

    fn pipeline(&self, name: &'static str, case: Case, guest: &str, ends: Ends) -> Pipeline {
        let node = |name: &str, role, outputs| Node::new(name, role, outputs);
        let nodes =
            vec![node("source", Role::Source, 1), node("stage", Role::Processor, 1), node("sink", Role::Sink, 0)];
        let edges = (0..2).map(|from| Edge { from, output: 0, to: from + 1, capacity: Capacity::default() });
        let graph = Graph::new(nodes, edges.collect()).expect("three nodes in a row are in order");
        Pipeline { name, case, graph, ends, stage: self.0[guest].clone(), recorder: Recorder::off() }
    }
}

fn guest(task: Task) -> &'static str {
    match task {
        Task::Pass => "pass",
        Task::Upper => "upper",
    }
}

/// What is before and after the stage.
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
    stage: Component,
    recorder: Recorder,
}

impl Contender for Pipeline {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, elements: u64) -> Tally {
        let Case { task, len } = self.case;
        let stage = stage(&self.stage, []);
        match &self.ends {
            Ends::Components { source, sink } => {
                let settings = [("len", len.to_string()), ("elements", elements.to_string())];
                let bodies =
                    vec![self::stage(source, settings), stage, self::stage(sink, [("task", guest(task).into())])];
                parse(&self.flow(bodies))
            }
            Ends::Host => {
                let seen = Rc::default();
                let source = Stamping { payload: payload::blank(len), next: 0, end: elements };
                let sink = Sum { task, memory: Vec::new(), tally: Tally::default(), seen: Rc::clone(&seen) };
                self.flow(vec![Body::Input(Box::new(source)), stage, Body::Output(Box::new(sink))]);
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
    Body::Stage(Stage { config, ..Stage::new(component.clone()) })
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
        for index in 0..elements {
            pull.give_part(&block, index * len, len);
        }
        Ok(if self.next == self.end { Pulled::End } else { Pulled::More })
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
