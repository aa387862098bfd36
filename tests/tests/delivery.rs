//! An input is told that elements are delivered only when everything that was made of them has been settled by every output,
//! whatever holds, joins, retries or delays them on the way; and it is told while the flow runs, not only at its end.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::payload::{Batch, Pool};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::injection::{FailureKind, InjectedFault, Injection};
use torvyn_runtime::pipeline::policy::{Retry, Then};
use torvyn_runtime::{Clock, Component, Control, Limits, Policy, Schedule};
use torvyn_tests::random::Random;
use torvyn_tests::{Part, engine, input, output, programs, stage, stage_of, start_with};

/// What the outputs of a flow have settled, and what its input was told.
#[derive(Default)]
struct Seen {
    /// The numbers that each output has settled.
    settled: Vec<BTreeSet<u64>>,
    given: u64,
    told: u64,
    /// How often the input was told more.
    times: u64,
    /// The most elements that were given and not delivered.
    most_open: u64,
}

type Shared = Rc<RefCell<Seen>>;

/// Gives the numbers up to `count`, each with a `;`, and checks what it is told.
struct Numbers {
    seen: Shared,
    count: u64,
    /// At most this many in a pull.
    step: u64,
}

impl Input for Numbers {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let mut seen = self.seen.borrow_mut();
        for _ in 0..self.step {
            if seen.given == self.count {
                return Ok(Pulled::End);
            }
            let payload = pull.pool.adopt(Bytes::from(format!("{};", seen.given)));
            seen.given += 1;
            if !pull.give(payload) {
                break;
            }
        }
        seen.most_open = seen.most_open.max(seen.given - seen.told);
        Ok(Pulled::More)
    }

    fn wants_acknowledgement(&self) -> bool {
        true
    }

    fn acknowledge(&mut self, elements: u64) -> io::Result<()> {
        let mut seen = self.seen.borrow_mut();
        assert!(elements >= seen.told && elements <= seen.given, "{} {elements} {}", seen.told, seen.given);
        for settled in &seen.settled {
            let missing: Vec<_> = (0..elements).filter(|number| !settled.contains(number)).collect();
            assert!(missing.is_empty(), "{elements} are acknowledged, and {missing:?} are not settled");
        }
        seen.times += u64::from(elements > seen.told);
        seen.told = elements;
        Ok(())
    }
}

/// Settles what was pushed when it likes.
struct Settles {
    seen: Shared,
    index: usize,
    /// Settles one time in this many; 0 if only at the end.
    one_in: u64,
    random: Random,
    pushed: Vec<u64>,
    written: u64,
}

impl Settles {
    fn new(seen: &Shared, one_in: u64) -> Settles {
        let index = seen.borrow().settled.len();
        seen.borrow_mut().settled.push(BTreeSet::new());
        Settles { seen: seen.clone(), index, one_in, random: Random::new(one_in), pushed: Vec::new(), written: 0 }
    }

    fn settle_all(&mut self) {
        self.seen.borrow_mut().settled[self.index].extend(self.pushed.drain(..));
    }
}

impl Output for Settles {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let pool = Pool::default();
        for element in batch.iter() {
            let payload = String::from_utf8(element.payload().to_vec(&pool).unwrap()).unwrap();
            self.written += payload.len() as u64;
            self.pushed.extend(payload.split_terminator(';').map(|number| number.parse::<u64>().unwrap()));
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<bool> {
        let settles = self.one_in > 0 && self.random.once_in(self.one_in);
        if settles {
            self.settle_all();
        }
        Ok(settles)
    }

    fn complete(&mut self) -> io::Result<()> {
        self.settle_all();
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }
}

fn capacity(elements: usize) -> Capacity {
    Capacity { elements, ..Capacity::default() }
}

/// The components of random stages, loaded once.
struct Components {
    echo: Component,
    upper: Component,
    hold: Component,
    window: Component,
}

impl Components {
    fn load() -> Components {
        let load = |path: &str| Component::load(engine(), path.as_ref(), &Limits::default()).unwrap();
        let (echo, upper) = (load(programs::ECHO), load(programs::UPPER));
        Components { echo, upper, hold: load(programs::HOLD_FORWARD), window: load(programs::WINDOW) }
    }
}

/// A stage of a random kind that passes every number on, sooner or later.
fn random_stage(random: &mut Random, index: usize, components: &Components) -> Part {
    let stage = |name: &str, component: &Component, config: &[(&str, &str)]| {
        stage_of(name, component, config, Limits::default())
    };
    let name = format!("stage{index}");
    let small = (1 + random.below(9)).to_string();
    let policy = Policy { retry: Some(Retry { count: 5, backoff: Duration::ZERO }), then: Then::Stop };
    let fails = InjectedFault::Failure(FailureKind::Unavailable);
    let failing = |part: Part, random: &mut Random| {
        let faults =
            (0..3).map(|_| Injection::new(random.below(200) as u64, 1 + random.below(3) as u32, fails.clone()));
        part.policy(policy).faults(faults.collect())
    };
    let part = match random.below(7) {
        0 => stage(&name, &components.echo, &[]),
        1 => stage(&name, &components.upper, &[]),
        2 => stage(&name, &components.hold, &[("mode", "shared"), ("after", &small)]),
        3 => stage(&name, &components.hold, &[("mode", "exclusive"), ("after", &small)]),
        4 => stage(&name, &components.window, &[("window", &small)]),
        5 => stage(&name, &components.upper, &[]).replicas(1 + random.below(3)),
        _ => failing(stage(&name, &components.upper, &[]), random),
    };
    part.batch(1 + random.below(256))
}

#[test]
fn what_is_acknowledged_is_settled() {
    let components = Components::load();
    let (mut told, mut most_stages) = (0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let seen = Shared::default();
        let (count, step) = (200 + random.below(2_000) as u64, 1 + random.below(300) as u64);
        let mut parts = vec![input(Numbers { seen: seen.clone(), count, step })];
        let stages = random.below(4);
        parts.extend((0..stages).map(|index| random_stage(&mut random, index, &components)));
        let last = parts.len() - 1;
        let mut edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, capacity(1 + random.below(400)))).collect();
        for index in 0..1 + random.below(2) {
            let one_in = [0, 1, 1, 2, 5][random.below(5)];
            parts.push(output(&format!("out{index}"), Settles::new(&seen, one_in)));
            edges.push((last, 0, parts.len() - 1, capacity(1 + random.below(400))));
        }
        let by_seed = random.below(2) == 0;
        let control = |control: Control| match by_seed {
            true => Control { schedule: Schedule::Seeded(seed), clock: Clock::virtual_from(0), ..control },
            false => control,
        };
        let account = start_with(parts, &edges, control).unwrap().0.run().unwrap();
        let seen = seen.borrow();
        assert_eq!((seen.given, seen.told), (count, count), "seed {seed}");
        assert_eq!(account.pool.live_at_end, 0);
        told += u64::from(seen.times > 1);
        most_stages = most_stages.max(stages);
    }
    assert!(told > 60 && most_stages == 3, "inputs are told while the flow runs: {told}");
}

/// What is open is what the edges and the stages can hold, however long the flow runs.
#[test]
fn acknowledgements_keep_up() {
    for (replicas, held, bound) in [(1, "7", 3_000), (3, "1", 6_000)] {
        let seen = Shared::default();
        let parts = vec![
            input(Numbers { seen: seen.clone(), count: 100_000, step: 256 }),
            stage("holds", programs::HOLD_FORWARD, &[("mode", "exclusive"), ("after", held)]),
            stage("upper", programs::UPPER, &[]).replicas(replicas),
            output("out", Settles::new(&seen, 1)),
        ];
        let edges = [(0, 0, 1, capacity(512)), (1, 0, 2, capacity(512)), (2, 0, 3, capacity(512))];
        start_with(parts, &edges, |control| control).unwrap().0.run().unwrap();
        let seen = seen.borrow();
        assert!(seen.times > 100 && seen.most_open < bound, "{} times, {} open", seen.times, seen.most_open);
    }
}

/// A flow that fails or is cancelled acknowledges nothing that was not delivered.
#[test]
fn what_fails_is_not_acknowledged() {
    let seen = Shared::default();
    let fault = Injection::new(500, 1, InjectedFault::Failure(FailureKind::InvalidInput));
    let parts = vec![
        input(Numbers { seen: seen.clone(), count: 1_000, step: 10 }),
        stage("upper", programs::UPPER, &[]).faults(vec![fault]),
        output("out", Settles::new(&seen, 1)),
    ];
    let edges = [(0, 0, 1, capacity(64)), (1, 0, 2, capacity(64))];
    start_with(parts, &edges, |control| control).unwrap().0.run().unwrap_err();
    let told = seen.borrow().told;
    assert!(told <= 500 && told > 200, "{told}");

    let seen = Shared::default();
    let parts = vec![
        input(Numbers { seen: seen.clone(), count: u64::MAX, step: 10 }),
        stage("holds", programs::HOLD_FORWARD, &[("mode", "exclusive"), ("after", "9")]),
        output("out", Settles::new(&seen, 1)),
    ];
    let (mut flow, _) = start_with(parts, &edges, |control| control).unwrap();
    while seen.borrow().given < 5_000 {
        flow.step().unwrap();
    }
    flow.control().cancel.store(true, Ordering::Relaxed);
    flow.run().unwrap();
    let seen = seen.borrow();
    assert_eq!(seen.told, seen.given, "what was taken is delivered before the flow ends");
}
