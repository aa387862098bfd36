//! What a stage is given again, and when.

use std::time::{Duration, Instant};

use torvyn_tests::guest::{PROCESSOR, SINK, SOURCE};

use super::*;

/// Fails a given number of times on an element, and then succeeds.
fn first_times(times: u32) -> String {
    format!(
        "(if (i32.lt_u (global.get $tries) (i32.const {times}))
          (then (global.set $tries (i32.add (global.get $tries) (i32.const 1))) {{}}))"
    )
}

const TRIES: &str = "(global $tries (mut i32) (i32.const 0))";

fn fails_twice(fails: &str) -> String {
    first_times(2).replace("{}", fails)
}

#[test]
fn it_succeeds_at_the_third_time() {
    let work = format!("(local $index i32) {} {}", at_poison(&fails_twice(FAILS)), PROCESSOR.work);
    let component = guest(Guest { work: &work, fields: TRIES, ..PROCESSOR });
    let policy = |backoff| Policy { retry: Some(Retry { count: 2, backoff }), then: Then::Stop };
    let clock = Clock::virtual_from(1_000);
    let (before, part) = (Instant::now(), stage(&component).policy(policy(Duration::from_secs(20))));
    let came = through_with(part, poisoned(9, &[0]), |control| Control { clock: clock.clone(), ..control });
    assert_eq!(came.sequences, (0..9).collect::<Vec<_>>());
    assert_eq!(came.failures(), FailureUse { calls: 2, retries: 2, ..FailureUse::default() });
    println!("backoff virtual_ns={} real={:?}", clock.unix_ns() - 1_000, before.elapsed());
    assert_eq!(clock.unix_ns() - 1_000, 60_000_000_000, "20 s, and then 40");
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[test]
fn it_does_not_within_the_tries_that_it_has() {
    let work = format!("(local $index i32) {} {}", at_poison(&fails_twice(FAILS)), PROCESSOR.work);
    let component = guest(Guest { work: &work, fields: TRIES, ..PROCESSOR });
    let came = through(stage(&component).policy(retry(1, Then::Stop)), poisoned(9, &[0]));
    assert!(
        came.error().ends_with("failed in `process` at element 0: the stage returned invalid-input: "),
        "{}",
        came.error()
    );
    let came = through(stage(&component).policy(retry(1, Then::DeadLetter)), poisoned(9, &[0]));
    assert_eq!(came.sequences, (1..9).collect::<Vec<_>>());
    assert_eq!(came.letters[0].attempt, 2);
}

/// While a stage backs off, others continue, and it is not called.
#[test]
fn others_go_on_while_a_stage_is_left_alone() {
    let work = format!("(local $index i32) {} {}", at_poison(&fails_twice(FAILS)), PROCESSOR.work);
    let component = guest(Guest { work: &work, fields: TRIES, ..PROCESSOR });
    let backoff = Duration::from_millis(30);
    let slow = stage(&component).policy(Policy { retry: Some(Retry { count: 2, backoff }), then: Then::Stop });
    let out = Collected::default();
    let capacity = Capacity { elements: 4, bytes: 1 << 20 };
    let parts = vec![
        input(Elements::new(poisoned(20, &[0]))),
        slow,
        output("slow", out.clone()),
        input(Elements::new(poisoned(1000, &[]))).named("other input"),
        output("fast", Collected::default()),
    ];
    let edges = [(0, 0, 1, capacity), (1, 0, 2, capacity), (3, 0, 4, capacity)];
    let (mut flow, _) = start_with(parts, &edges, |control| control).unwrap();
    let before = Instant::now();
    let waited = loop {
        match flow.step().unwrap() {
            torvyn_runtime::flow::Step::Moved => {}
            torvyn_runtime::flow::Step::Wait(time) => break time,
            torvyn_runtime::flow::Step::Ended => panic!("it has something to wait for"),
        }
    };
    assert!(waited <= backoff && before.elapsed() < backoff, "{waited:?}");
    let snapshot = flow.snapshot();
    assert_eq!((snapshot.left, snapshot.held, out.payloads().len()), (1000, 1, 0), "{snapshot:?}");
    assert_settled(&flow.run().unwrap());
    assert!(before.elapsed() >= 3 * backoff, "30 ms and 60");
    assert_eq!(out.sequences(), (0..20).collect::<Vec<_>>());
}

/// Calls without elements are repeated too, and only a repetition helps them.
#[test]
fn the_end_of_the_input_is_tried_again() {
    let last = fails_twice("(return (call $fail (i32.const 1)))") + "(call $ok)";
    for guest_of in [PROCESSOR, SINK] {
        let component = guest(Guest { last: &last, fields: TRIES, ..guest_of });
        let came = through(stage(&component).policy(retry(2, Then::Skip)), poisoned(70, &[]));
        assert_eq!(came.failures(), FailureUse { calls: 2, retries: 2, ..FailureUse::default() });
        assert_eq!(came.account().elements.left, 70);
        for policy in [retry(1, Then::Skip), SKIP, DEAD_LETTER, STOP] {
            let came = through(stage(&component).policy(policy), poisoned(70, &[]));
            assert!(came.error().contains("the stage returned unavailable: "), "{}", came.error());
        }
        // A trap is not retried there.
        let component = guest(Guest { last: "unreachable", ..guest_of });
        let came = through(stage(&component).policy(retry(9, Then::Skip)), poisoned(7, &[]));
        assert!(came.error().contains("wasm trap"), "{}", came.error());
    }
}

#[test]
fn a_source_is_asked_again() {
    // Fails twice, makes three elements, fails twice more at the end.
    let fails = "(return (call $fail (i32.const 1)))";
    let work = format!(
        "{} {}
        (global.set $tries (i32.const 9))
        (if (call $emit (i32.const 1024) (i32.const 3) (call $sizes) (i32.const 3)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (then))
        (call $output (i32.load (i32.const 68)))",
        fails_twice(fails),
        "(if (i32.eq (global.get $tries) (i32.const 9)) (then (return (call $ok))))"
    );
    let fields = format!(
        "{TRIES} (func $sizes (result i32)
          (i64.store (i32.const 2048) (i64.const 1)) (i64.store (i32.const 2056) (i64.const 1))
          (i64.store (i32.const 2064) (i64.const 1)) (i32.const 2048))"
    );
    let component = guest(Guest { work: &work, fields: &fields, ..SOURCE });
    let run = |policy| {
        let out = Collected::default();
        let account = torvyn_tests::run(vec![stage(&component).policy(policy), output("out", out.clone())]);
        account.map(|account| (account, out.sequences()))
    };
    let (account, sequences) = run(retry(2, Then::Stop)).unwrap();
    assert_eq!((sequences, account.elements.entered), (vec![0, 1, 2], 3));
    assert_eq!(account.stages[0].failures, FailureUse { calls: 2, retries: 2, ..FailureUse::default() });
    run(retry(1, Then::Skip)).map(|_| ()).unwrap_err();
    run(SKIP).map(|_| ()).unwrap_err();
}
