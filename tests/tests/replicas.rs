//! Several instances of a stage take turns at its batches. What comes out is what one instance makes, in the same order and
//! with the same copies, whatever fails on the way.

#![expect(clippy::print_stdout, reason = "how much was tried is part of the result")]

use std::error::Error as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::flow::DeadLetter;
use torvyn_runtime::ledger::Copies;
use torvyn_runtime::pipeline::graph::{Capacity, Merge};
use torvyn_runtime::pipeline::injection::{FailureKind, InjectedFault, Injection};
use torvyn_runtime::pipeline::policy::{Retry, Then};
use torvyn_runtime::{Account, Clock, Component, Control, Cut, Error, Limits, Policy, Schedule};
use torvyn_tests::random::Random;
use torvyn_tests::{
    Collected, Elements, Part, assert_settled, engine, input, output, programs, stage, stage_of, stage_with, start_with,
};

type Edge = (usize, usize, usize, Capacity);

fn capacity(elements: usize) -> Capacity {
    Capacity { elements, ..Capacity::default() }
}

/// Edges from each part to the next.
fn row(parts: usize, elements: usize) -> Vec<Edge> {
    (1..parts).map(|to| (to - 1, 0, to, capacity(elements))).collect()
}

fn load(path: &str) -> Component {
    Component::load(engine(), path.as_ref(), &Limits::default()).expect("the component loads")
}

/// Payloads of these lengths, all different.
fn payloads(sizes: &[usize]) -> Elements {
    let payload = |(number, size): (usize, &usize)| {
        Bytes::from((0..*size).map(|at| (number * 7 + at * 31) as u8).collect::<Vec<_>>())
    };
    Elements::new(sizes.iter().enumerate().map(payload).collect::<Vec<_>>())
}

/// The error with its causes.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The part of the copies that does not depend on how many elements were in a call.
fn copied(account: &Account) -> Vec<(String, [u64; 8])> {
    let each = account.stages.iter().map(|stage| {
        let Copies { payload_read: read, payload_write: written, metadata_marshal, .. } = stage.copies;
        let counts = [
            read.ops,
            read.bytes,
            written.ops,
            written.bytes,
            // How many columns a chunker needs depends on which elements are in a call.
            if stage.name.starts_with("slices") { 0 } else { metadata_marshal.bytes },
            stage.elements_in,
            stage.elements_out,
            stage.elements_dropped,
        ];
        (stage.name.clone(), counts)
    });
    each.collect()
}

/// What a pipeline made, and the copies of its stages.
struct Made {
    payloads: Vec<Vec<u8>>,
    sequences: Vec<u64>,
    copied: Vec<(String, [u64; 8])>,
}

#[track_caller]
fn assert_same(made: &Made, one: &Made, what: &str) {
    assert_eq!(made.copied, one.copied, "{what}");
    assert_eq!(made.sequences, one.sequences, "{what}");
    assert!(made.payloads == one.payloads, "{what}: other payloads");
}

/// A random pipeline: one source, up to three stages in a row, and on one or two paths to one output.
fn pipeline(components: &[(&str, Component)], seed: u64, replicas: usize, out: &Collected) -> (Vec<Part>, Vec<Edge>) {
    let mut random = Random::new(seed);
    let sizes: Vec<_> = (0..200 + random.below(600)).map(|_| random.below(90)).collect();
    let split = random.once_in(3);
    let mut parts = vec![input(payloads(&sizes))];
    let mut edges = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..1 + usize::from(split) {
        let mut from = 0;
        for _ in 0..1 + random.below(3) {
            let (name, component) = random.of(components);
            let name = format!("{name}-{}", parts.len());
            let config: &[(&str, &str)] = match &name[..4] {
                "slic" => &[("size", "16")],
                "insp" => &[("needle", "\u{7f}")],
                _ => &[],
            };
            let batch = [1, 7, 256][random.below(3)];
            parts.push(stage_of(&name, component, config, Limits::default()).batch(batch).replicas(replicas));
            edges.push((from, 0, parts.len() - 1, capacity(1 + random.below(300))));
            from = parts.len() - 1;
        }
        ends.push(from);
    }
    let merge = if split { Merge::Sequence } else { Merge::default() };
    parts.push(output("out", out.clone()).merge(merge));
    edges.extend(ends.into_iter().map(|end| (end, 0, parts.len() - 1, capacity(1 + random.below(300)))));
    (parts, edges)
}

fn stateless() -> Vec<(&'static str, Component)> {
    let all = [
        ("upper", programs::UPPER),
        ("upper-on-demand", programs::UPPER_ON_DEMAND),
        ("slices", programs::SLICES),
        ("drop-empty", programs::DROP_EMPTY),
        ("works", programs::WORKS),
        ("inspect", programs::INSPECT),
    ];
    all.map(|(name, path)| (name, load(path))).into()
}

#[test]
fn replicas_make_what_one_instance_makes() {
    const SEEDS: u64 = 60;
    let components = stateless();
    let mut elements = 0;
    for seed in 0..SEEDS {
        let run = |replicas| {
            let out = Collected::default();
            let (parts, edges) = pipeline(&components, seed, replicas, &out);
            let (flow, _) = start_with(parts, &edges, |control| control).expect("it starts");
            let account = flow.run().expect("it comes to its end");
            assert_settled(&account);
            assert!(account.stages.iter().all(|stage| stage.replicas == replicas));
            Made { payloads: out.payloads(), sequences: out.sequences(), copied: copied(&account) }
        };
        let one = run(1);
        elements += one.payloads.len();
        for replicas in [2, 3] {
            assert_same(&run(replicas), &one, &format!("seed {seed}, {replicas} replicas"));
        }
    }
    println!("replicas pipelines={SEEDS} elements={elements} replicas=1,2,3 different=0");
}

/// With a seed, everything is called on one thread, and in many more orders than threads happen to take.
#[test]
fn every_order_of_calls_has_the_same_results() {
    const SEEDS: u64 = 150;
    let components = stateless();
    for seed in 0..SEEDS {
        let run = |replicas, schedule| {
            let out = Collected::default();
            let (parts, edges) = pipeline(&components, seed / 5, replicas, &out);
            let clock = Clock::virtual_from(0);
            let control = |control| Control { clock, schedule, ..control };
            let account = start_with(parts, &edges, control).expect("it starts").0.run().expect("it comes to its end");
            assert_settled(&account);
            Made { payloads: out.payloads(), sequences: out.sequences(), copied: copied(&account) }
        };
        let one = run(1, Schedule::Downstream);
        assert_same(&run(3, Schedule::Downstream), &one, &format!("seed {seed}, in turns"));
        assert_same(&run(3, Schedule::Seeded(seed)), &one, &format!("seed {seed}"));
    }
}

/// What comes of elements that a stage fails on in all ways that there are.
#[derive(Debug, PartialEq)]
struct Came {
    payloads: Vec<Vec<u8>>,
    sequences: Vec<u64>,
    letters: Vec<(u64, u32)>,
    skipped: u64,
    retries: u64,
}

/// `sizes` are as in `programs/src/ops.rs`.
fn came(component: &Component, sizes: &[usize], policy: Policy, replicas: usize, schedule: Option<u64>) -> Came {
    let out = Collected::default();
    let letters = Arc::new(Mutex::new(Vec::new()));
    let into = letters.clone();
    let keep = move |letter: DeadLetter<'_>| {
        into.lock().expect("no test panics while it keeps a letter").push((letter.element.sequence, letter.attempt));
        Ok(())
    };
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    let stage = stage_of("stage", component, &[], limits).policy(policy).replicas(replicas);
    let parts = vec![input(payloads(sizes)), stage, output("out", out.clone())];
    let control = |control| {
        let control = Control { dead_letters: Arc::new(keep), ..control };
        match schedule {
            None => control,
            Some(seed) => Control { schedule: Schedule::Seeded(seed), clock: Clock::virtual_from(0), ..control },
        }
    };
    let (flow, _) = start_with(parts, &row(3, 40), control).expect("it starts");
    let account = flow.run().expect("it comes to its end");
    assert_settled(&account);
    let failures = account.stages[0].failures;
    assert_eq!(failures.dead_letters, letters.lock().expect("no test panics while it keeps a letter").len() as u64);
    let (payloads, sequences, letters) =
        (out.payloads(), out.sequences(), letters.lock().expect("no test panics while it keeps a letter").clone());
    Came { payloads, sequences, letters, skipped: failures.skipped, retries: failures.retries }
}

#[test]
fn failures_have_the_same_results() {
    const SEEDS: u64 = 8;
    let components = [programs::OPS, programs::OPS_EACH, programs::OPS_PAYLOAD].map(load);
    let retry = Some(Retry { count: 1, backoff: Duration::ZERO });
    let policies = [(None, Then::Skip), (retry, Then::Skip), (None, Then::DeadLetter), (retry, Then::DeadLetter)];
    let mut failed = 0;
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let policy = policies[random.below(4)];
        let policy = Policy { retry: policy.0, then: policy.1 };
        let component = &components[random.below(3)];
        // Mostly elements that are passed on or written.
        let sizes: Vec<_> =
            (0..150).map(|_| if random.once_in(8) { random.below(16) } else { 8 + random.below(8) }).collect();
        let one = came(component, &sizes, policy, 1, None);
        failed += one.skipped + one.letters.len() as u64;
        for replicas in [2, 3] {
            assert_eq!(came(component, &sizes, policy, replicas, None), one, "seed {seed}, {replicas} replicas");
        }
        for schedule in 0..2 {
            assert_eq!(came(component, &sizes, policy, 3, Some(schedule)), one, "seed {seed}, schedule {schedule}");
        }
    }
    println!("replicas failing pipelines={SEEDS} failed elements={failed} different=0");
    assert!(failed > 40, "{failed}");
}

/// One replica loops for ever on an element, the others go on, and what they make waits for its place.
#[test]
fn each_call_has_its_own_time_limit() {
    let out = Collected::default();
    let config = [("how", "loop"), ("at", "process")];
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let faulty = stage_with("faulty", programs::FAULTY, &config, limits).batch(1).replicas(3);
    let faulty = faulty.policy(Policy { retry: None, then: Then::Skip });
    let elements = (0..30).map(|number| if number % 10 == 1 { "poison".to_string() } else { format!("{number}") });
    let parts = vec![input(Elements::new(elements.collect::<Vec<_>>())), faulty, output("out", out.clone())];
    let (flow, _) = start_with(parts, &row(3, 8), |control| control).expect("it starts");
    let account = flow.run().expect("it comes to its end");
    assert_settled(&account);
    let expected: Vec<_> = (0..30).filter(|number| number % 10 != 1).collect();
    assert_eq!((out.sequences(), account.elements.skipped), (expected, 3));
    assert_eq!(account.stages[0].failures.restarts, 3);
}

#[test]
fn a_failure_ends_the_flow_and_names_stage_and_element() {
    let run = |replicas| {
        let config = [("how", "trap"), ("at", "process")];
        let faulty = stage("faulty", programs::FAULTY, &config).batch(1).replicas(replicas);
        let elements = (0..40).map(|number| if number >= 20 { "poison".to_string() } else { format!("{number}") });
        let elements = Elements::new(elements.collect::<Vec<_>>());
        let parts = vec![input(elements), faulty, output("out", Collected::default())];
        let (flow, _) = start_with(parts, &row(3, 64), |control| control).expect("it starts");
        text(&flow.run().expect_err("it fails"))
    };
    let one = run(1);
    assert!(one.contains("`faulty`") && one.contains("20"), "{one}");
    assert_eq!((run(2), run(4)), (one.clone(), one));
}

/// Calls under way do not delay the end of a flow that failed: they are interrupted.
#[test]
fn calls_under_way_end_with_the_flow() {
    let config = [("how", "loop"), ("at", "process")];
    let limits = Limits { time: Duration::from_secs(600), ..Limits::default() };
    let faulty = stage_with("faulty", programs::FAULTY, &config, limits).batch(1).replicas(2);
    let elements = Elements::new(["one", "poison"].map(str::to_string));
    let fails = stage("fails", programs::FAULTY, &[("how", "fail"), ("at", "process")]);
    // The first path loops; on the second one, a stage fails.
    let parts = vec![input(elements), faulty, fails, output("out", Collected::default())];
    let edges = [(0, 0, 1), (0, 0, 2), (1, 0, 3), (2, 0, 3)].map(|(from, output, to)| (from, output, to, capacity(8)));
    let began = Instant::now();
    let (flow, _) = start_with(parts, &edges, |control| control).expect("it starts");
    let error = text(&flow.run().expect_err("it fails"));
    assert!(error.contains("`fails`"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_cut_interrupts_all_replicas_and_counts_their_elements() {
    let config = [("how", "loop"), ("at", "process")];
    let limits = Limits { time: Duration::from_secs(600), ..Limits::default() };
    let faulty = stage_with("faulty", programs::FAULTY, &config, limits).batch(1).replicas(2);
    let parts = vec![input(Elements::new(["poison"; 5])), faulty, output("out", Collected::default())];
    let cut = Cut::default();
    let later = cut.clone();
    let (flow, _) = start_with(parts, &row(3, 8), |control| Control { cut, ..control }).expect("it starts");
    let cutter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        later.now();
    });
    let account = flow.run().expect("a flow that was cut off has not failed");
    cutter.join().unwrap();
    assert_settled(&account);
    let cut_off = account.cut_off.expect("it was cut off");
    assert_eq!((cut_off.interrupted, cut_off.undelivered), (vec!["faulty".to_string()], 5));
    assert_eq!(account.elements.entered, 5);
}

#[test]
fn a_cancelled_flow_finishes_what_it_has_begun() {
    let out = Collected::default();
    let works = stage("works", programs::WORKS, &[("rounds", "2000")]).batch(4).replicas(2);
    let parts = vec![input(payloads(&[64; 4000])), works, output("out", out.clone())];
    let (flow, _) = start_with(parts, &row(3, 16), |control| control).expect("it starts");
    let cancel = flow.control().cancel.clone();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        cancel.store(true, Ordering::Relaxed);
    });
    let account = flow.run().expect("it comes to its end");
    canceller.join().unwrap();
    assert_settled(&account);
    assert_eq!(account.elements.left, account.elements.entered);
    assert_eq!(out.sequences(), (0..account.elements.entered).collect::<Vec<_>>());
}

/// Two replicas that sleep do so at the same time.
#[test]
fn replicas_are_called_at_the_same_time() {
    let out = Collected::default();
    let nap = stage("nap", programs::NAP, &[("ms", "30")]).batch(1).replicas(4);
    let parts = vec![input(payloads(&[1; 40])), nap, output("out", out.clone())];
    let (flow, _) = start_with(parts, &row(3, 8), |control| control).expect("it starts");
    let account = flow.run().expect("it comes to its end");
    assert_settled(&account);
    assert_eq!(out.sequences(), (0..40).collect::<Vec<_>>());
    let (slept, took) = (account.stages[0].busy_ns, account.wall_ns);
    println!("replicas=4 slept={} ms took={} ms", slept / 1_000_000, took / 1_000_000);
    assert!(slept >= 40 * 30_000_000, "each call counts in full");
    assert!(2 * took < 40 * 30_000_000, "one instance needs 1.2 s, they needed {took} ns");
}

#[test]
fn injected_faults_meet_their_elements() {
    let run = |replicas| {
        let out = Collected::default();
        let faults = vec![
            Injection::new(3, 1, InjectedFault::Trap),
            Injection::new(5, 2, InjectedFault::Failure(FailureKind::Unavailable)),
            Injection::new(9, 1, InjectedFault::Pause(Duration::from_millis(5))),
            Injection::new(11, 3, InjectedFault::Deadline),
            Injection::new(12, 1, InjectedFault::Allocation),
        ];
        let policy = Policy { retry: Some(Retry { count: 1, backoff: Duration::from_millis(1) }), then: Then::Skip };
        let upper = stage("upper", programs::UPPER, &[]).replicas(replicas).faults(faults.clone()).policy(policy);
        let parts = vec![input(payloads(&[8; 100])), upper, output("out", out.clone())];
        let (flow, _) = start_with(parts, &row(3, 16), |control| control).expect("it starts");
        let account = flow.run().expect("it comes to its end");
        assert_settled(&account);
        let counts: Vec<_> = faults.iter().map(Injection::count).collect();
        (out.sequences(), counts, account.stages[0].failures)
    };
    let one = run(1);
    assert!(one.2.skipped > 0 && one.2.restarts > 0, "{:?}", one.2);
    assert_eq!((run(2), run(3)), (run(1), one));
}

#[test]
fn a_recorded_flow_calls_its_replicas_in_turns() {
    let out = Collected::default();
    let upper = stage("upper", programs::UPPER, &[]).replicas(3);
    let account = torvyn_tests::run(vec![input(payloads(&[8; 500])), upper, output("out", out.clone())]);
    let account = account.expect("it comes to its end");
    assert_eq!((account.stages[0].replicas, out.sequences()), (3, (0..500).collect::<Vec<_>>()));
}

#[test]
fn a_stage_with_a_state_is_refused() {
    let refused = |part: Part, parts: fn(Part) -> Vec<Part>| {
        let parts = parts(part);
        let edges = row(parts.len(), 8);
        let flow = start_with(parts, &edges, |control| control);
        let error = flow.map_or_else(|error| error, |(flow, _)| flow.run().expect_err("it is refused"));
        assert!(matches!(error, Error::Start { .. } | Error::Stage { .. }), "{error:?}");
        text(&error)
    };
    let between = |part| vec![input(payloads(&[8; 10])), part, output("out", Collected::default())];
    let two = |path: &str| stage("stage", path, &[]).replicas(2);
    assert_eq!(
        refused(two(programs::NUMBERS), |part| vec![part, output("out", Collected::default())]),
        "stage `stage` cannot start: the stage cannot have replicas: only a processor can, and it is a source"
    );
    assert_eq!(
        refused(two(programs::DIGEST), |part| vec![input(payloads(&[8; 10])), part]),
        "stage `stage` cannot start: the stage cannot have replicas: only a processor can, and it is a sink"
    );
    assert_eq!(
        refused(two(programs::WINDOW), between),
        "stage `stage` cannot start: the stage cannot have replicas: it can hold elements beyond the call that lent \
         them"
    );
    assert_eq!(
        refused(two(programs::REPEAT), between),
        "stage `stage` failed in `flush`: the stage cannot have replicas: it made 1 element at the end of its input, so \
         it keeps something between its calls"
    );
    assert_eq!(
        refused(stage("stage", programs::UPPER, &[]).replicas(65), between),
        "stage `stage` cannot start: the stage cannot have replicas: at most 64 are possible, found 65"
    );
}

/// A replica that cannot start ends the ones that have.
#[test]
fn all_replicas_start_or_none() {
    let faulty = stage("faulty", programs::FAULTY, &[("how", "fail"), ("at", "init")]).replicas(3);
    let parts = vec![input(payloads(&[8; 10])), faulty, output("out", Collected::default())];
    let error = start_with(parts, &row(3, 8), |control| control).map(drop).expect_err("it cannot start");
    assert!(text(&error).contains("told to fail in init"), "{}", text(&error));
}

/// Every replica starts, is told of the end and is torn down once, and what they print is that of the stage.
#[test]
fn every_replica_lives_a_whole_life() {
    for (at, expected) in [("init", 3), ("flush", 3), ("teardown", 3)] {
        let faulty = stage("faulty", programs::FAULTY, &[("how", "print"), ("at", at)]).replicas(3);
        let parts = vec![input(payloads(&[8; 10])), faulty, output("out", Collected::default())];
        let (flow, printed) = start_with(parts, &row(3, 8), |control| control).expect("it starts");
        let account = flow.run().expect("it comes to its end");
        let lines = printed.lock().unwrap().iter().filter(|line| **line == format!("faulty: printed in {at}")).count();
        assert_eq!((lines, account.stages[0].log.lines), (expected, 2 * expected as u64), "{at}");
    }
}

/// Two replicas of stages that take up to about 10 µs an element, against one, in turns. It needs two quiet cores:
/// `cargo test --workspace --test replicas -- --ignored --nocapture`.
#[test]
#[ignore = "it measures time"]
fn two_replicas_are_nearly_twice_as_fast() {
    const ROUNDS: usize = 21;
    let component = load(programs::WORKS);
    let run = |replicas, rounds: u64, count: usize| {
        let (out, rounds) = (Collected::default(), rounds.to_string());
        let works = stage_of("works", &component, &[("rounds", &rounds)], Limits::default()).replicas(replicas);
        let parts = vec![input(payloads(&vec![64; count])), works, output("out", out.clone())];
        let (flow, _) = start_with(parts, &row(3, 256), |control| control).expect("it starts");
        let account = flow.run().expect("it comes to its end");
        assert_eq!(out.sequences(), (0..count as u64).collect::<Vec<_>>());
        account.wall_ns as f64 / count as f64
    };
    let (least, more) = (run(1, 1, 20_000), run(1, 101, 20_000));
    let each = (more - least) / 100.0;
    let mut at_ten = 0.0;
    for time in [100.0, 1_000.0, 3_000.0, 10_000.0] {
        let rounds = ((time / each).round() as u64).max(1);
        let count = (3e8 / (time + least)) as usize;
        let mut both: Vec<_> = (0..ROUNDS).map(|_| (run(1, rounds, count), run(2, rounds, count))).collect();
        both.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let ratio = |place: usize| both[place].0 / both[place].1;
        let best = |of: fn(&(f64, f64)) -> f64| both.iter().map(of).fold(f64::MAX, f64::min);
        let (one, two) = (best(|both| both.0), best(|both| both.1));
        println!(
            "work={time} ns an element: one {one:.0} ns, two {two:.0} ns at best; ratio min={:.2} median={:.2} max={:.2}",
            ratio(0),
            ratio(ROUNDS / 2),
            ratio(ROUNDS - 1)
        );
        at_ten = ratio(ROUNDS / 2);
    }
    assert!(at_ten >= 1.8, "{at_ten}");
}
