//! A seed chooses which node runs next: always the same for one seed, and over all seeds in all orders that a flow
//! allows. In each order, everything holds that holds for every flow.

#![expect(clippy::print_stdout, reason = "how many seeds were tried")]

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::endpoint::{Input, Pull, Pulled, Timed};
use torvyn_runtime::flow::Step;
use torvyn_runtime::ledger::{CallRecord, DEFAULT_CAPACITY, Record};
use torvyn_runtime::pipeline::graph::{Capacity, Merge};
use torvyn_runtime::{Account, Clock, Component, Control, Flow, Limits, Recorder, Schedule};
use torvyn_tests::guest::{ROUTER, by_size, drop_all};
use torvyn_tests::{
    Collected, Elements, Part, assert_recorded, assert_settled, engine, input, output, programs, stage_of, start_with,
};

type Edge = (usize, usize, usize, Capacity);

fn capacity(elements: usize) -> Capacity {
    Capacity { elements, ..Capacity::default() }
}

fn start(parts: Vec<Part>, edges: &[Edge], schedule: Schedule, recorder: Recorder) -> Flow {
    let clock = Clock::virtual_from(0);
    let control = |control| Control { clock, schedule, recorder, ..control };
    start_with(parts, edges, control).expect("the flow starts").0
}

/// The components of the flows, compiled once.
struct Components {
    split: Component,
    pass: Component,
    drop: Component,
    upper: Component,
    repeat: Component,
    hold: Component,
    stall: Component,
}

impl Components {
    fn load() -> Components {
        let load =
            |path: &Path| Component::load(engine(), path, &Limits::default()).expect("the component can be loaded");
        Components {
            split: load(&by_size().path),
            pass: load(&ROUTER.file().path),
            drop: load(&drop_all().path),
            upper: load(programs::UPPER.as_ref()),
            repeat: load(programs::REPEAT.as_ref()),
            hold: load(programs::HOLD_FORWARD.as_ref()),
            stall: load(programs::STALL.as_ref()),
        }
    }

    fn stage(&self, name: &str, component: &Component, config: &[(&str, &str)]) -> Part {
        stage_of(name, component, config, Limits::default())
    }
}

/// Elements of these sizes.
fn sizes(sizes: impl IntoIterator<Item = usize>) -> Elements {
    Elements::new(sizes.into_iter().map(|size| Bytes::from(vec![b'x'; size])))
}

/// The elements of another input, often with nothing in between.
struct Idle<I>(I, u32);

impl<I: Input> Input for Idle<I> {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        self.1 += 1;
        if self.1.is_multiple_of(3) { self.0.pull(pull) } else { Ok(Pulled::Idle) }
    }
}

/// Two sources, one of them often idle, go through a merge and then on two paths, one of which writes again, to two
/// outputs that merge by sequence, and one that pauses.
fn busy(components: &Components, collected: &Collected) -> (Vec<Part>, Vec<Edge>) {
    let part = |name: &str, component| components.stage(name, component, &[]);
    let parts = vec![
        input(sizes((0..200).map(|number| 1 + number % 3))).named("one"),
        input(Idle(sizes((0..200).map(|number| 1 + number % 3)), 0)).named("two"),
        part("split", &components.split).outputs(2).merge(Merge::Sequence),
        part("upper", &components.upper),
        part("pass", &components.pass),
        output("out", collected.clone()).merge(Merge::Sequence),
        components.stage("stall", &components.stall, &[("batches", "20")]),
    ];
    let edges = [(0, 0, 2), (1, 0, 2), (2, 0, 3), (2, 1, 4), (3, 0, 5), (4, 0, 5), (3, 0, 6)];
    (parts, edges.map(|(from, output, to)| (from, output, to, capacity(16))).to_vec())
}

/// All records, without times.
fn recorded(recorder: &Recorder) -> Vec<Record> {
    let ring = recorder.ring().expect("it records");
    assert_eq!(ring.lost(), 0);
    let timeless = |mut record: Record| {
        match &mut record {
            Record::Transfer(copy) => copy.timestamp = 0,
            Record::Call(call) => (call.timestamp, call.duration) = (0, 0),
            Record::HandOff(hand_off) => (hand_off.timestamp, hand_off.sent) = (0, 0),
            Record::Transition(transition) => transition.timestamp = 0,
        }
        record
    };
    ring.iter().copied().map(timeless).collect()
}

/// The part of the copies that does not depend on how many elements were in a call.
fn copied(account: &Account) -> Vec<(String, [u64; 6])> {
    let stages = account.stages.iter().map(|stage| (stage.name.clone(), stage.copies, stage.elements_out));
    let ends = account.endpoints.iter().map(|end| (end.name.clone(), end.copies, end.elements));
    let copied = stages.chain(ends).map(|(name, copies, elements)| {
        let (read, written) = (copies.payload_read, copies.payload_write);
        (name, [read.ops, read.bytes, written.ops, written.bytes, copies.metadata_marshal.bytes, elements])
    });
    copied.collect()
}

#[test]
fn the_same_seed_is_the_same_flow() {
    let components = Components::load();
    let run = |schedule| {
        let (collected, recorder) = (Collected::default(), Recorder::new(1, DEFAULT_CAPACITY));
        let (parts, edges) = busy(&components, &collected);
        let account = start(parts, &edges, schedule, recorder.clone()).run().unwrap();
        assert_settled(&account);
        let names = ["one", "two", "split", "upper", "pass", "out", "stall"].map(str::to_string);
        assert_recorded(&account, &recorder, &names);
        (recorded(&recorder), collected.sequences(), copied(&account), account.elements)
    };
    let first = run(Schedule::Downstream);
    let (records, sequences, copied, elements) = run(Schedule::Downstream);
    assert!(first.0 == records, "without a seed, too");
    let mut seen = vec![records];
    for seed in 0..10 {
        let (once, again) = (run(Schedule::Seeded(seed)), run(Schedule::Seeded(seed)));
        assert!(once.0 == again.0, "seed {seed}");
        assert!(!seen.contains(&once.0), "seed {seed} is like another one");
        seen.push(once.0);
        assert_eq!((&once.1, &once.2, &once.3), (&sequences, &copied, &elements), "seed {seed}");
    }
}

#[test]
fn the_same_seed_draws_the_same_numbers() {
    let draw = Component::load(engine(), programs::DRAW.as_ref(), &Limits::default()).unwrap();
    let drawn = |seed| {
        let collected = Collected::default();
        let parts = vec![
            input(sizes([1, 2])),
            stage_of("one", &draw, &[], Limits::default()),
            stage_of("two", &draw, &[], Limits::default()),
            output("out", collected.clone()),
        ];
        let edges = [(0, 0, 1), (0, 0, 2), (1, 0, 3), (2, 0, 3)];
        let edges = edges.map(|(from, output, to)| (from, output, to, capacity(2)));
        assert_settled(&start(parts, &edges, Schedule::Seeded(seed), Recorder::off()).run().unwrap());
        let mut drawn = collected.payloads();
        drawn.sort();
        drawn
    };
    let (first, other) = (drawn(1), drawn(2));
    assert_eq!(first, drawn(1));
    let mut all = [first, other].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8, "each stage, element and seed has its own");
}

/// What a random schedule does and the default one does not: it calls any node that can be called, for any part of what
/// waits.
#[test]
fn all_that_can_happen_does() {
    let components = Components::load();
    let (mut waited, mut lent) = ([false; 9], [false; 9]);
    for seed in 0..200 {
        let recorder = Recorder::new(1, DEFAULT_CAPACITY);
        let parts = vec![
            input(sizes([1; 40])),
            components.stage("pass", &components.pass, &[]),
            output("out", Collected::default()),
        ];
        let edges = [(0, 0, 1, capacity(8)), (1, 0, 2, capacity(8))];
        let mut flow = start(parts, &edges, Schedule::Seeded(seed), recorder.clone());
        while flow.step().unwrap() == Step::Moved {
            waited[flow.snapshot().waiting[1] as usize] = true;
        }
        for record in recorded(&recorder) {
            if let Record::Call(CallRecord { node: 2, elements, .. }) = record {
                lent[elements as usize] = true;
            }
        }
    }
    assert_eq!((waited, lent[1..].to_vec()), ([true; 9], vec![true; 8]));
}

/// Time does not pass while anything can run, in any schedule.
#[test]
fn what_is_declared_to_come_later_comes_later() {
    let components = Components::load();
    let arrivals = || (0..50).map(|number| Duration::from_secs(number / 5));
    for seed in 0..50 {
        let collected = Collected::default();
        let parts = vec![
            input(Timed::new(Box::new(sizes([1; 50])), arrivals())),
            components.stage("upper", &components.upper, &[]),
            output("out", collected.clone()),
        ];
        let edges = [(0, 0, 1, capacity(2)), (1, 0, 2, capacity(2))];
        let flow = start(parts, &edges, Schedule::Seeded(seed), Recorder::off());
        let clock = flow.control().clock.clone();
        assert_settled(&flow.run().unwrap());
        let times = collected.timestamps().into_iter().map(Duration::from_nanos);
        assert_eq!(times.collect::<Vec<_>>(), arrivals().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(clock.unix_ns(), 9_000_000_000);
    }
}

/// Reproducible numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// What a stage on a path does with each element.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pass,
    Upper,
    Drop,
    Twice,
    /// Keeps each element until others have arrived.
    Hold,
}

/// An output of a flow, and what must arrive there.
struct End {
    collected: Collected,
    merge: Merge,
    /// For each path into it, the numbers of the elements, in order.
    ways: Vec<Vec<u64>>,
    /// Everything arrives in order, and from one source.
    in_time: bool,
}

/// A random flow, and what must come out.
struct Made {
    parts: Vec<Part>,
    edges: Vec<Edge>,
    ends: Vec<End>,
    entered: u64,
}

/// One source or two, often idle or not, over up to three paths of up to three stages to two outputs and, often, a sink
/// that pauses.
fn made(components: &Components, seed: u64) -> Made {
    let mut random = Random(seed);
    let count = 5 + random.below(20);
    let sources = 1 + random.below(4) / 3;
    let sent: Vec<Vec<usize>> = (0..sources).map(|_| (0..count).map(|_| random.below(8)).collect()).collect();
    let mut parts: Vec<_> = sent
        .iter()
        .enumerate()
        .map(|(source, sent)| {
            let elements = sizes(sent.iter().copied());
            let part = match random.below(3) {
                0 => input(Idle(elements, random.below(3) as u32)),
                1 => input(Timed::every(Box::new(elements), Duration::from_millis(random.below(20) as u64))),
                _ => input(elements),
            };
            part.named(&format!("source-{source}"))
        })
        .collect();
    let merge = |random: &mut Random| [Merge::Sequence, Merge::RoundRobin, Merge::Priority][random.below(3)];
    let split = parts.len();
    parts.push(components.stage("split", &components.split, &[]).outputs(3).merge(merge(&mut random)));
    let mut edges: Vec<_> = (0..sources).map(|source| (source, 0, split)).collect();
    let mut ends: Vec<_> = (0..2)
        .map(|end| {
            let (collected, merge) = (Collected::default(), merge(&mut random));
            parts.push(output(&format!("end-{end}"), collected.clone()).merge(merge));
            End { collected, merge, ways: Vec::new(), in_time: sources == 1 }
        })
        .collect();
    let sink = parts.len();
    let stalls = random.below(2) == 0;
    if stalls {
        parts.push(components.stage("stall", &components.stall, &[("batches", "3")]));
    }
    for way in 0..3 {
        let on = sent.iter().flat_map(|sent| sent.iter().enumerate());
        let mut numbers: Vec<_> =
            on.filter(|(_, size)| **size & 1 << way != 0).map(|(number, _)| number as u64).collect();
        let mut from = (split, way);
        let mut in_time = true;
        for _ in 0..random.below(3) {
            let kinds = [Kind::Pass, Kind::Upper, Kind::Drop, Kind::Twice, Kind::Hold];
            let kind = kinds[random.below(kinds.len())];
            let name = parts.len().to_string();
            let after = random.below(4).to_string();
            let mode = ["shared", "exclusive"][random.below(2)];
            parts.push(match kind {
                Kind::Pass => components.stage(&name, &components.pass, &[]),
                Kind::Upper => components.stage(&name, &components.upper, &[]),
                Kind::Drop => components.stage(&name, &components.drop, &[]),
                Kind::Twice => components.stage(&name, &components.repeat, &[("times", "2")]),
                Kind::Hold => components.stage(&name, &components.hold, &[("mode", mode), ("after", &after)]),
            });
            edges.push((from.0, from.1, parts.len() - 1));
            from = (parts.len() - 1, 0);
            in_time &= kind != Kind::Hold;
            numbers = match kind {
                Kind::Drop => Vec::new(),
                Kind::Twice => numbers.into_iter().flat_map(|number| [number; 2]).collect(),
                _ => numbers,
            };
        }
        for (end, to) in ends.iter_mut().zip(split + 1..) {
            edges.push((from.0, from.1, to));
            end.in_time &= in_time;
            end.ways.push(numbers.clone());
        }
        if stalls && (way == 2 || random.below(2) == 0) {
            edges.push((from.0, from.1, sink));
        }
    }
    let edges = edges.into_iter().map(|(from, output, to)| (from, output, to, capacity(1 + random.below(6))));
    Made { parts, edges: edges.collect(), ends, entered: (sources * count) as u64 }
}

/// What is wrong with a flow, if anything is.
fn violation(components: &Components, seed: u64) -> Result<(), String> {
    let Made { parts, edges, ends, entered } = made(components, seed);
    let mut flow = start(parts, &edges, Schedule::Seeded(seed), Recorder::off());
    let clock = flow.control().clock.clone();
    for steps in 0.. {
        match flow.step() {
            Ok(Step::Moved) => {}
            Ok(Step::Wait(time)) => clock.wait(time),
            Ok(Step::Ended) => break,
            Err(error) => return Err(error.to_string()),
        }
        let snapshot = flow.snapshot();
        let over = snapshot.waiting.iter().zip(&edges).position(|(waiting, edge)| *waiting > edge.3.elements as u64);
        if let Some(edge) = over {
            return Err(format!("edge {edge} holds more than it has room for: {snapshot:?}"));
        }
        if steps > 100_000 {
            return Err("it is stuck".to_string());
        }
    }
    let account = flow.run().map_err(|error| error.to_string())?;
    assert_settled(&account);
    if account.elements.entered != entered {
        return Err(format!("{} of {entered} elements entered", account.elements.entered));
    }
    for (number, end) in ends.iter().enumerate() {
        // At the end, a stage writes how many it had.
        let is_element = |payload: &[u8]| !payload.first().is_some_and(u8::is_ascii_digit);
        let all = end.collected.payloads().into_iter().zip(end.collected.sequences());
        let came: Vec<_> = all.filter(|(payload, _)| is_element(payload)).map(|(_, number)| number).collect();
        let (mut sorted, mut expected) = (came.clone(), end.ways.concat());
        sorted.sort_unstable();
        expected.sort_unstable();
        if sorted != expected {
            return Err(format!("to end {number} came {sorted:?}, not {expected:?}"));
        }
        if end.in_time && end.merge == Merge::Sequence && !came.is_sorted() {
            return Err(format!("end {number} is out of order: {came:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_holds_of_a_flow_holds_whatever_its_seed() {
    let components = Components::load();
    let seeds = 10_000;
    let (mut violations, mut stuck) = (Vec::new(), 0);
    for seed in 0..seeds {
        if let Err(what) = violation(&components, seed) {
            stuck += u64::from(what.contains("stuck") || what.contains("deadlock"));
            violations.push(format!("seed {seed}: {what}"));
        }
    }
    println!("seeds={seeds} violations={} stuck={stuck}", violations.len());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
