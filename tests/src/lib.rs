//! What the tests share: the guest programs, handwritten guests, endpoints in memory, and one way to run a pipeline.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use torvyn_runtime::contract::Kind;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::contract::{Bounds, Budget};
use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::ledger::{Copies, DEFAULT_CAPACITY, Record};
use torvyn_runtime::payload::element::Context;
use torvyn_runtime::payload::{Batch, ElementRef, Pool};
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Merge, Node, Role};
use torvyn_runtime::pipeline::injection::Injection;
use torvyn_runtime::{Account, Body, Component, Control, Engine, Error, Flow, Limits, Policy, Recorder, Stage};

pub use wat_guests::stage as guest;

pub mod measure;
pub mod mutation;
pub mod random;

/// The guest programs, built.
pub mod programs {
    include!(concat!(env!("OUT_DIR"), "/programs.rs"));
}

/// Asserts that the test file has a test with the name of each program: a program without a test does not compile.
#[macro_export]
macro_rules! assert_tested {
    ($($name:ident)*) => { $(#[expect(unused_imports, reason = "only that it exists matters")] use self::$name as _;)* };
}

/// The engine of this test process.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().expect("the engine starts"))
}

/// Elements from memory.
pub struct Elements(std::vec::IntoIter<Bytes>);

impl Elements {
    /// These payloads, in order.
    pub fn new<T: Into<Bytes>>(payloads: impl IntoIterator<Item = T>) -> Self {
        Elements(payloads.into_iter().map(Into::into).collect::<Vec<_>>().into_iter())
    }
}

impl Input for Elements {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        for payload in self.0.by_ref() {
            if !pull.give(pull.pool.adopt(payload)) {
                return Ok(Pulled::More);
            }
        }
        Ok(Pulled::End)
    }
}

/// Keeps the elements that it gets, for assertions.
#[derive(Clone, Default)]
pub struct Collected(Rc<RefCell<Vec<Kept>>>);

struct Kept {
    payload: Vec<u8>,
    sequence: u64,
    timestamp: u64,
    context: Option<Context>,
}

impl Collected {
    /// The payloads, in order.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.0.borrow().iter().map(|element| element.payload.clone()).collect()
    }

    /// The sequence numbers, in order.
    pub fn sequences(&self) -> Vec<u64> {
        self.0.borrow().iter().map(|element| element.sequence).collect()
    }

    /// Their stamps, in order.
    pub fn contexts(&self) -> Vec<Option<Context>> {
        self.0.borrow().iter().map(|element| element.context.clone()).collect()
    }

    /// Their attributes, in order: `name=value name=value`.
    pub fn attributes(&self) -> Vec<String> {
        let pair = |(name, value): (&str, &str)| format!("{name}={value}");
        let shown = |context: &Context| context.attributes.iter().map(pair).collect::<Vec<_>>().join(" ");
        self.0.borrow().iter().map(|element| element.context.as_ref().map_or(String::new(), shown)).collect()
    }

    /// Their timestamps, in order.
    pub fn timestamps(&self) -> Vec<u64> {
        self.0.borrow().iter().map(|element| element.timestamp).collect()
    }

    /// Keeps copies of the bytes and releases the memory of the flow: nothing may be held at the end of a flow.
    fn keep(&self, batch: &Batch) {
        let pool = Pool::default();
        let copy = |element: ElementRef<'_>| Kept {
            payload: element.payload().to_vec(&pool).expect("the payload can be read"),
            sequence: element.sequence(),
            timestamp: element.timestamp(),
            context: element.context().map(|context| (**context).clone()),
        };
        self.0.borrow_mut().extend(batch.iter().map(copy));
    }
}

impl Output for Collected {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.keep(batch);
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.0.borrow().iter().map(|element| element.payload.len() as u64).sum()
    }
}

/// A node to run: its body, and its connections.
pub struct Part {
    name: String,
    role: Role,
    outputs: usize,
    merge: Merge,
    stamp: Stamp,
    body: Body,
}

/// An input of the host.
pub fn input(input: impl Input + 'static) -> Part {
    Part {
        name: "input".to_string(),
        role: Role::Source,
        outputs: 1,
        merge: Merge::default(),
        stamp: Stamp::default(),
        body: Body::Input(Box::new(input)),
    }
}

/// An output of the host.
pub fn output(name: &str, output: impl Output + 'static) -> Part {
    boxed_output(name, Box::new(output))
}

/// An output of the host of any type.
pub fn boxed_output(name: &str, output: Box<dyn Output>) -> Part {
    Part {
        name: name.to_string(),
        role: Role::Sink,
        outputs: 0,
        merge: Merge::default(),
        stamp: Stamp::default(),
        body: Body::Output(output),
    }
}

/// A stage of the component at `path`, with one output unless it is a sink.
pub fn stage(name: &str, path: impl AsRef<Path>, config: &[(&str, &str)]) -> Part {
    stage_with(name, path, config, Limits::default())
}

/// A stage with its own limits.
pub fn stage_with(name: &str, path: impl AsRef<Path>, config: &[(&str, &str)], limits: Limits) -> Part {
    let component = Component::load(engine(), path.as_ref(), &limits).expect("the component loads");
    stage_of(name, &component, config, limits)
}

/// A stage of a component that was loaded before.
pub fn stage_of(name: &str, component: &Component, config: &[(&str, &str)], limits: Limits) -> Part {
    let component = component.clone();
    let role = Role::from(component.profile().kind);
    let config = config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let bounds = component.analysis().bounds();
    let stage = Stage { config, limits, bounds, ..Stage::new(component) };
    let (outputs, merge, stamp) = (usize::from(role != Role::Sink), Merge::default(), Stamp::default());
    Part { name: name.to_string(), role, outputs, merge, stamp, body: Body::Stage(stage) }
}

impl Part {
    /// With this many outputs.
    pub fn outputs(self, outputs: usize) -> Part {
        Part { outputs, ..self }
    }

    /// With this order for several incoming edges.
    pub fn merge(self, merge: Merge) -> Part {
        Part { merge, ..self }
    }

    /// With this stamp on its elements.
    pub fn stamp(self, stamp: Stamp) -> Part {
        Part { stamp, ..self }
    }

    /// With this name.
    pub fn named(self, name: &str) -> Part {
        Part { name: name.to_string(), ..self }
    }

    /// With a budget.
    pub fn budget(mut self, budget: Budget) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.budget = budget;
        }
        self
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Whether elements end there.
    pub fn is_sink(&self) -> bool {
        self.role == Role::Sink
    }

    /// With a policy for failures.
    pub fn policy(mut self, policy: Policy) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.policy = policy;
        }
        self
    }

    /// With at most this many elements per call.
    pub fn batch(mut self, batch: usize) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.batch = batch;
        }
        self
    }

    /// With this many instances of its component.
    pub fn replicas(mut self, replicas: usize) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.replicas = replicas;
        }
        self
    }

    /// With injected faults.
    pub fn faults(mut self, faults: Vec<Injection>) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.injections = faults;
        }
        self
    }

    /// With these bounds, taken as proven.
    pub fn bounds(mut self, bounds: Bounds) -> Part {
        if let Body::Stage(stage) = &mut self.body {
            stage.bounds = bounds;
        }
        self
    }
}

/// What stages printed, as `stage: line`.
pub type Printed = Arc<Mutex<Vec<String>>>;

/// A control that nobody else has, with the lines that stages print.
pub fn control() -> (Control, Printed) {
    let printed = Printed::default();
    let lines = printed.clone();
    let log = Arc::new(move |line: torvyn_runtime::stage::log::LogLine<'_>| {
        let text = format!("{}: {}", line.stage, String::from_utf8_lossy(line.text));
        lines.lock().expect("no test panics while it prints").push(text);
    });
    (Control { log, ..Control::default() }, printed)
}

/// Starts a flow; an edge is (from, output, to, capacity), by index.
pub fn start(parts: Vec<Part>, edges: &[(usize, usize, usize, Capacity)]) -> Result<(Flow, Printed), Error> {
    start_with(parts, edges, |control| control)
}

/// Starts a flow with its own control.
pub fn start_with(
    parts: Vec<Part>,
    edges: &[(usize, usize, usize, Capacity)],
    control_of: impl FnOnce(Control) -> Control,
) -> Result<(Flow, Printed), Error> {
    let edges = edges.iter().map(|&(from, output, to, capacity)| Edge { from, output, to, capacity }).collect();
    let node = |part: Part| {
        let Part { name, role, outputs, merge, stamp, body } = part;
        (Node { name, role, outputs, merge, stamp }, body)
    };
    let (nodes, bodies) = parts.into_iter().map(node).unzip();
    let graph = Graph::new(nodes, edges).expect("the graph is in order");
    let (control, printed) = control();
    Ok((Flow::start(&graph, bodies, control_of(control))?, printed))
}

/// Starts a flow with records.
pub fn start_recorded(
    parts: Vec<Part>,
    edges: &[(usize, usize, usize, Capacity)],
    recorder: Recorder,
) -> Result<(Flow, Printed), Error> {
    start_with(parts, edges, |control| Control { recorder, ..control })
}

/// Runs parts in a row, each into the next. Panics if the totals of the run report do not add up, or do not match the
/// records.
pub fn run(parts: Vec<Part>) -> Result<Account, Error> {
    let recorder = Recorder::new(1, DEFAULT_CAPACITY);
    let names: Vec<_> = parts.iter().map(|part| part.name.clone()).collect();
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    let account = start_recorded(parts, &edges, recorder.clone())?.0.run()?;
    assert_settled(&account);
    assert_recorded(&account, &recorder, &names);
    Ok(account)
}

/// Asserts what holds for the records of every flow: together with the lost ones, they add up to the run report.
/// `names` are those of the nodes, in the order of the graph.
pub fn assert_recorded(account: &Account, recorder: &Recorder, names: &[String]) {
    let ring = recorder.ring().expect("it records");
    let mut nodes = vec![(Copies::default(), 0); names.len()];
    let mut all = ring.lost_copies();
    for record in ring.iter() {
        match record {
            Record::Transfer(copy) => {
                for copies in [&mut nodes[usize::from(copy.node)].0, &mut all] {
                    copies.get_mut(copy.reason).record(1, copy.bytes);
                }
            }
            Record::Call(call) => nodes[usize::from(call.node)].1 += u64::from(call.elements),
            _ => {}
        }
    }
    assert_eq!(account.copies, all, "the records add up to the flow");
    if ring.lost() > 0 {
        return;
    }
    for (name, (copies, elements)) in names.iter().zip(nodes) {
        let stage = account.stages.iter().find(|stage| stage.name == *name);
        let stage = stage.map(|stage| (stage.copies, (stage.kind != Kind::Source).then_some(stage.elements_in)));
        let endpoint = account.endpoints.iter().find(|endpoint| endpoint.name == *name);
        let endpoint = endpoint.map(|endpoint| (endpoint.copies, Some(endpoint.elements)));
        let (of_account, in_calls) = stage.or(endpoint).expect("every node is in the account");
        assert_eq!(copies, of_account, "the records of `{name}` add up to its copies");
        assert_eq!(elements, in_calls.unwrap_or(elements), "the calls of `{name}` add up to its elements");
    }
}

/// Asserts what holds after every flow: nothing is live, and the parts add up to the total.
pub fn assert_settled(account: &Account) {
    assert_eq!(account.pool.live_at_end, 0, "nothing is live");
    let stages = account.stages.iter().map(|stage| stage.copies);
    let endpoints = account.endpoints.iter().map(|endpoint| endpoint.copies);
    let sum = stages.chain(endpoints).fold(Default::default(), |sum, copies| sum + copies);
    assert_eq!(account.copies, sum, "the boundaries add up to the flow");
}
