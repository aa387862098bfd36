//! The same pipeline in native Rust, without a sandbox: once by direct calls on one thread, once as three tokio tasks
//! with a bounded channel between each two.

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::payload::{self, Tally, Task};
use crate::pipeline::{Case, Contender};

/// The base of the ratios.
pub(crate) const DIRECT: &str = "native, direct calls";

/// The capacity of a channel: as many as a batch of the runtime.
const CAPACITY: usize = 64;

struct Element {
    sequence: u64,
    content_type: u32,
    payload: Bytes,
}

struct Source {
    payload: Vec<u8>,
    next: u64,
    end: u64,
}

impl Source {
    fn new(len: usize, elements: u64) -> Self {
        Self { payload: payload::blank(len), next: 0, end: elements }
    }

    // None of the three is inlined: otherwise the compiler could merge the stages.
    #[inline(never)]
    fn pull(&mut self) -> Option<Element> {
        if self.next == self.end {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        payload::stamp(&mut self.payload, sequence);
        Some(Element { sequence, content_type: 1, payload: Bytes::copy_from_slice(&self.payload) })
    }
}

#[inline(never)]
fn process(task: Task, element: Element) -> Element {
    match task {
        Task::Pass => element,
        Task::Upper => {
            let mut upper = element.payload.to_vec();
            upper.make_ascii_uppercase();
            Element { payload: Bytes::from(upper), ..element }
        }
    }
}

struct Sink {
    task: Task,
    memory: Vec<u8>,
    tally: Tally,
}

impl Sink {
    fn new(task: Task) -> Self {
        Self { task, memory: Vec::new(), tally: Tally::default() }
    }

    #[inline(never)]
    fn push(&mut self, element: &Element) {
        debug_assert_eq!((element.sequence, element.content_type), (self.tally.elements, 1), "an element in its place");
        self.memory.clear();
        self.memory.extend_from_slice(&element.payload);
        self.tally.add(self.task, &self.memory);
    }
}

/// One thread, one call after another.
pub(crate) struct Direct(Case);

impl Direct {
    pub(crate) fn new(case: Case) -> Self {
        Self(case)
    }
}

impl Contender for Direct {
    fn name(&self) -> &'static str {
        DIRECT
    }

    fn run(&mut self, elements: u64) -> Tally {
        let mut source = Source::new(self.0.len, elements);
        let mut sink = Sink::new(self.0.task);
        while let Some(element) = source.pull() {
            sink.push(&process(self.0.task, element));
        }
        sink.tally
    }
}

/// One task per stage, on two workers.
pub(crate) struct Channels {
    case: Case,
    runtime: Runtime,
}

impl Channels {
    pub(crate) fn new(case: Case) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        Self { case, runtime: runtime.expect("tokio starts its threads") }
    }
}

impl Contender for Channels {
    fn name(&self) -> &'static str {
        "native, tokio channels"
    }

    fn run(&mut self, elements: u64) -> Tally {
        let Case { task, len } = self.case;
        let (to_stage, mut from_source) = mpsc::channel(CAPACITY);
        let (to_sink, mut from_stage) = mpsc::channel(CAPACITY);
        // A send fails if the receiving task has panicked: then this task ends, and joining the sink reports it.
        self.runtime.spawn(async move {
            let mut source = Source::new(len, elements);
            while let Some(element) = source.pull() {
                if to_stage.send(element).await.is_err() {
                    return;
                }
            }
        });
        self.runtime.spawn(async move {
            while let Some(element) = from_source.recv().await {
                if to_sink.send(process(task, element)).await.is_err() {
                    return;
                }
            }
        });
        let sink = self.runtime.spawn(async move {
            let mut sink = Sink::new(task);
            while let Some(element) = from_stage.recv().await {
                sink.push(&element);
            }
            sink.tally
        });
        self.runtime.block_on(sink).expect("the sink ends")
    }
}
