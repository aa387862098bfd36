//! Which failures policies cover.

use std::sync::Mutex;

use torvyn_runtime::contract::Budget;
use torvyn_runtime::endpoint::Output;
use torvyn_runtime::payload::Batch;
use torvyn_runtime::payload::element::Element;
use torvyn_tests::guest::PROCESSOR;

use super::*;

/// A processor that executes `then` for elements of seven bytes.
fn component(then: &str) -> Component {
    let work = format!("(local $index i32) {} {}", at_poison(then), PROCESSOR.work);
    guest(Guest { work: &work, ..PROCESSOR })
}

const LOOPS: &str = "(loop $ever (br $ever))";
const GROWS: &str = "(loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable";

#[test]
fn returned_failures_traps_time_and_memory_are_covered() {
    for (then, reason, restarts) in [
        (FAILS, "the stage returned invalid-input: ", false),
        ("(call $drop_batch (local.get $batch)) (return (call $fail (i32.const 7)))", "limit-exceeded", false),
        (TRAPS, "`unreachable` instruction executed", true),
        (LOOPS, "the call exceeded its time limit of 100 ms (`limits.time`)", true),
        (GROWS, "the stage exceeded its memory limit of 8 MiB", true),
    ] {
        let came = through(stage(&component(then)).policy(DEAD_LETTER), poisoned(9, &[4]));
        assert_eq!(came.sequences, [0, 1, 2, 3, 5, 6, 7, 8], "{reason}");
        assert!(came.letters[0].reason.contains(reason), "{}", came.letters[0].reason);
        assert_eq!(came.failures().restarts > 0, restarts, "{reason}");
    }
}

/// A stage that asks for more than its budget has failed, even if it ignores the refusal.
#[test]
fn a_budget_is_covered() {
    let reads = "(call $read_to (local.get $batch) (local.get $index) (i64.const 0) (i64.const 1))
        (call $read_to (local.get $batch) (local.get $index) (i64.const 0) (i64.const 1))";
    let part = stage(&component(reads)).budget(Budget { reads: Some(1), ..Budget::default() }).policy(DEAD_LETTER);
    let came = through(part, poisoned(9, &[4]));
    assert_eq!(came.sequences, [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(came.letters[0].reason, "budget-exceeded: 2 reads of element 4, at most 1 allowed");
    assert_eq!(came.failures().restarts, 0);
}

#[test]
fn fatal_failures_and_broken_contracts_are_not() {
    for (then, reason) in [
        ("(call $drop_batch (local.get $batch)) (return (call $fail (i32.const 4)))", "the stage returned fatal: "),
        (
            "(call $drop_batch (local.get $batch)) (return (call $routes (i32.const 0) (i32.const 0)))",
            "the stage broke the contract",
        ),
    ] {
        for policy in [SKIP, DEAD_LETTER, retry(9, Then::Skip)] {
            let came = through(stage(&component(then)).policy(policy), poisoned(9, &[4]));
            assert!(came.error().contains(reason), "{}", came.error());
            assert_eq!(came.letters, []);
        }
    }
}

/// A stage that traps in `init` cannot restart.
#[test]
fn a_stage_that_cannot_begin_anew_ends_the_flow() {
    let came = through(stage(&guest(Guest { init: "unreachable", ..PROCESSOR })).policy(SKIP), poisoned(9, &[]));
    assert!(came.error().starts_with("stage `stage` failed in `init`"), "{}", came.error());
}

#[test]
fn a_dead_letter_that_cannot_be_kept_ends_the_flow() {
    let parts = vec![
        input(Elements::new(poisoned(9, &[4]))),
        stage(&component(TRAPS)).policy(DEAD_LETTER),
        output("out", Collected::default()),
    ];
    let full = |_: DeadLetter<'_>| Err(io::Error::from(io::ErrorKind::StorageFull));
    let edges = [(0, 0, 1, Capacity::default()), (1, 0, 2, Capacity::default())];
    let started = start_with(parts, &edges, |control| Control { dead_letters: Arc::new(full), ..control });
    let error = started.unwrap().0.run().unwrap_err();
    let Error::DeadLetter { stage, element: 4, source } = &error else { panic!("{error:?}") };
    assert_eq!((stage.as_str(), source.kind()), ("stage", io::ErrorKind::StorageFull));
    assert_eq!(error.to_string(), "cannot save element 4 as a dead letter of stage `stage`");
}

/// An output that keeps its elements, which no output may do.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Vec<Element>>>);

impl Output for Keeps {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.0.lock().expect("nobody panics").extend(batch.iter().map(|element| element.to_element()));
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

/// Also in a flow that fails, and in a release build.
#[test]
fn what_is_live_after_a_failure_is_told() {
    let keeps = Keeps::default();
    let parts = vec![input(Elements::new(poisoned(9, &[8]))), stage(&component(TRAPS)), output("out", keeps.clone())];
    let edges = [(0, 0, 1, Capacity { elements: 1, bytes: 1 << 20 }), (1, 0, 2, Capacity::default())];
    let error = start_with(parts, &edges, |control| control).unwrap().0.run().unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    let text = error.to_string();
    let expected = "internal error, please report it: 8 payload buffers are still held after a failure: stage `stage` failed in \
        `process` at element 8: wasm trap: wasm `unreachable` instruction executed";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(keeps.0.lock().unwrap().len(), 8);
}
