//! Injected faults: each kind, at the given element, the given number of times.

use std::time::{Duration, Instant};

use torvyn_runtime::pipeline::injection::{FailureKind, InjectedFault, Injection};
use torvyn_tests::guest::{PROCESSOR, ROUTER, SINK, TRANSFORM};
use torvyn_tests::programs;

use super::*;

const KINDS: [(InjectedFault, &str); 8] = [
    (InjectedFault::Trap, "a trap injected by a test"),
    (InjectedFault::Deadline, "the call exceeded its time limit of 100 ms (`limits.time`)"),
    (InjectedFault::Failure(FailureKind::InvalidInput), "the stage returned invalid-input: injected by a test"),
    (InjectedFault::Failure(FailureKind::Unavailable), "the stage returned unavailable: injected by a test"),
    (InjectedFault::Failure(FailureKind::Internal), "the stage returned internal: injected by a test"),
    (InjectedFault::Failure(FailureKind::DeadlineExceeded), "the stage returned deadline-exceeded"),
    (InjectedFault::Failure(FailureKind::Fatal), "the stage returned fatal: injected by a test"),
    (InjectedFault::Allocation, "the stage returned limit-exceeded: "),
];

/// `upper` reads and writes everything, through the guest library: it returns a refusal of the host as its failure.
fn upper() -> Component {
    Component::load(engine(), programs::UPPER.as_ref(), &limits()).expect("the component loads")
}

#[test]
fn each_kind_ends_a_flow_that_stops() {
    for (what, reason) in KINDS {
        for element in [0, 1, 66, 99] {
            let fault = Injection::new(element, 1, what.clone());
            let came = through(stage(&upper()).faults(vec![fault.clone()]), poisoned(100, &[]));
            let error = came.error();
            assert!(error.starts_with(&format!("stage `stage` failed in `process` at element {element}: ")), "{error}");
            assert!(error.contains(reason), "{what:?}: {error}");
            assert_eq!(fault.count(), 1);
        }
    }
}

#[test]
fn each_kind_is_covered_by_policies() {
    for (what, reason) in KINDS.into_iter().filter(|(what, _)| *what != InjectedFault::Failure(FailureKind::Fatal)) {
        for element in [0, 5, 64, 99] {
            let fault = Injection::new(element, 3, what.clone());
            let part = |policy| stage(&upper()).faults(vec![fault.clone()]).policy(policy);
            let came = through(part(retry(2, Then::DeadLetter)), poisoned(100, &[]));
            assert_eq!(came.sequences, (0..100).filter(|sequence| *sequence != element).collect::<Vec<_>>());
            assert_eq!((came.letters.len(), came.letters[0].attempt, fault.count()), (1, 3, 3));
            assert!(came.letters[0].reason.contains(reason), "{}", came.letters[0].reason);
            let restarts = if matches!(what, InjectedFault::Trap | InjectedFault::Deadline) { 3 } else { 0 };
            let used = came.failures();
            assert_eq!((used.calls, used.retries, used.dead_letters, used.restarts), (3, 2, 1, restarts), "{what:?}");
            // In the next try it succeeds.
            let came = through(part(retry(3, Then::Stop)), poisoned(100, &[]));
            assert_eq!((came.sequences, fault.count()), ((0..100).collect(), 6));
        }
    }
}

/// The trap is a real one: the engine reports where the stage was.
#[test]
fn a_trap_has_a_backtrace() {
    let part = stage(&upper()).faults(vec![Injection::new(0, 1, InjectedFault::Trap)]);
    let Err(Error::Stage { source: torvyn_runtime::StageError::Trap { backtrace, .. }, .. }) =
        through(part, poisoned(1, &[])).result
    else {
        panic!("it traps")
    };
    assert!(!backtrace.is_empty());
}

/// A stage that needs no memory in the call does not notice that memory would be refused.
#[test]
fn refused_memory_is_survived_by_who_needs_none() {
    let fault = Injection::new(3, 1, InjectedFault::Allocation);
    let came = through(stage(&guest(ROUTER)).faults(vec![fault.clone()]), poisoned(9, &[]));
    assert_eq!((came.sequences.len(), fault.count()), (9, 1));
    // More than it has: its memory cannot grow in this call. Before and afterwards it can.
    let grows = Guest {
        work: &format!(
            "(if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0)) (then unreachable)) {}",
            PROCESSOR.work
        ),
        ..PROCESSOR
    };
    let fault = Injection::new(3, 1, InjectedFault::Allocation);
    let came = through(stage(&guest(grows)).faults(vec![fault.clone()]).policy(DEAD_LETTER), poisoned(9, &[]));
    assert!(
        came.letters[0].reason.starts_with("the stage exceeded its memory limit of 8 MiB"),
        "{}",
        came.letters[0].reason
    );
    assert_eq!((came.sequences.len(), came.letters[0].sequence, came.failures().restarts), (8, 3, 1));
}

#[test]
fn a_pause_puts_a_call_off() {
    let clock = Clock::virtual_from(0);
    let pause = Injection::new(70, 1, InjectedFault::Pause(Duration::from_secs(3600)));
    let before = Instant::now();
    let part = stage(&guest(TRANSFORM)).faults(vec![pause.clone()]);
    let came = through_with(part, poisoned(100, &[]), |control| Control { clock: clock.clone(), ..control });
    assert_eq!((came.sequences.len(), pause.count()), (100, 1));
    assert_eq!(clock.unix_ns(), 3_600_000_000_000);
    println!("pause virtual_ns={} real={:?}", clock.unix_ns(), before.elapsed());
}

/// In sinks and sources too.
#[test]
fn sinks_and_sources_suffer_too() {
    let fault = Injection::new(40, 2, InjectedFault::Trap);
    let came =
        through(stage(&guest(SINK)).faults(vec![fault.clone()]).policy(retry(2, Then::Stop)), poisoned(100, &[]));
    assert_eq!((came.account().elements.left, fault.count(), came.failures().restarts), (100, 2, 2));

    let numbers = Component::load(engine(), programs::NUMBERS.as_ref(), &limits()).unwrap();
    let run = |faults: Vec<Injection>, policy| {
        let out = Collected::default();
        let source = stage_of("source", &numbers, &[("count", "100")], limits()).faults(faults).policy(policy);
        let account = torvyn_tests::run(vec![source, output("out", out.clone())]);
        (account, out.sequences())
    };
    let fault = Injection::new(33, 2, InjectedFault::Failure(FailureKind::Unavailable));
    let (account, sequences) = run(vec![fault.clone()], retry(2, Then::Stop));
    assert_eq!((account.unwrap().stages[0].failures.retries, sequences, fault.count()), (2, (0..100).collect(), 2));
    let fault = Injection::new(33, 1, InjectedFault::Trap);
    let (account, _) = run(vec![fault.clone()], retry(2, Then::Skip));
    assert!(matches!(account, Err(Error::Stage { call: "pull", .. })), "{account:?}");
    assert_eq!(fault.count(), 1);
}

/// The count shows that a fault was never reached.
#[test]
fn a_fault_that_never_comes() {
    let fault = Injection::new(100, 1, InjectedFault::Trap);
    let came = through(stage(&guest(TRANSFORM)).faults(vec![fault.clone()]), poisoned(100, &[]));
    assert_eq!((came.sequences.len(), fault.count()), (100, 0));
}
