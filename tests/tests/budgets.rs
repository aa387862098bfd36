//! Budgets are counted per element: a copy beyond one is not made, and the stage fails whatever it does then. What is
//! taken as proven of a stage is enforced in every call and at the end.

use std::sync::Arc;

use bytes::Bytes;
use torvyn_runtime::contract::{Bound, Bounds, Budget, Limited, Overrun, Proof};
use torvyn_runtime::{Account, Error, StageError};
use torvyn_tests::guest::{Guest, PROCESSOR, SINK, SOURCE};
use torvyn_tests::{Collected, Elements, Part, input, output, programs, run, stage};

const NONE: Budget = Budget { reads: None, writes: None, read_bytes: None, leases: None, lease_bytes: None };

fn reads(reads: u32) -> Budget {
    Budget { reads: Some(reads), ..NONE }
}

fn writes(writes: u32) -> Budget {
    Budget { writes: Some(writes), ..NONE }
}

fn read_bytes(bytes: u64) -> Budget {
    Budget { read_bytes: Some(bytes), ..NONE }
}

fn guest(guest: Guest<'_>) -> Part {
    stage("stage", guest.file().path, &[])
}

/// A payload that shows whether anything still has it.
struct Held(&'static str, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Runs the processor on four elements of 3, 0, 5 and 2 bytes, which arrive in batches of one, two and one. Afterwards
/// none of them is left.
fn through(stage: Part) -> Result<Account, Error> {
    let held = Arc::new(());
    let payloads = ["abc", "", "defgh", "ij"].map(|payload| Bytes::from_owner(Held(payload, held.clone())));
    let result = run(vec![input(Elements::new(payloads)), stage, output("out", Collected::default())]);
    assert_eq!(Arc::strong_count(&held), 1, "no payload is left");
    result
}

/// The first overrun of a stage, in `call`.
#[track_caller]
fn overrun(result: Result<Account, Error>, call: &str) -> (Overrun, String) {
    match result {
        Err(Error::Stage { stage, call: failed, source: source @ StageError::Budget(overrun), .. })
            if stage == "stage" =>
        {
            assert_eq!(failed, call);
            (overrun, source.to_string())
        }
        other => panic!("expected a budget to be exceeded: {other:?}"),
    }
}

#[track_caller]
fn assert_beyond(result: Result<Account, Error>, call: &str, expected: &str) {
    assert_eq!(overrun(result, call).1, format!("budget-exceeded: {expected}"));
}

#[test]
fn reads_beyond_the_budget() {
    for by in ["element", "byte", "batch"] {
        let reread =
            |times: &str, then: &str| stage("stage", programs::REREAD, &[("by", by), ("times", times), ("then", then)]);
        for then in ["fail", "ignore", "trap"] {
            if by != "byte" {
                let account = through(reread("2", then).budget(reads(2))).unwrap();
                assert_eq!((account.stages[0].copies.payload_read.ops, account.stages[0].reads_max), (8, 2));
            }
            assert_beyond(
                through(reread("3", then).budget(reads(2))),
                "process",
                "3 reads of element 0, at most 2 allowed",
            );
            assert_beyond(
                through(reread("1", then).budget(reads(0))),
                "process",
                "1 read of element 0, at most 0 allowed",
            );
        }
    }
    // Not the first element; its number is the one it has at its source.
    let small = stage("small", programs::UPPER_ON_DEMAND, &[("longest", "0")]);
    let parts = vec![
        input(Elements::new(["", "abc", "", "defgh"])),
        stage("drop", programs::DROP_EMPTY, &[]),
        small,
        stage("stage", programs::REREAD, &[("then", "ignore")]).budget(reads(1)),
        output("out", Collected::default()),
    ];
    let (overrun, _) = overrun(run(parts), "process");
    assert_eq!(overrun, Overrun { what: Limited::Reads, element: Some(1), count: 2, limit: 1 });
}

#[test]
fn bytes_read_beyond_the_budget() {
    let upper = || stage("stage", programs::UPPER, &[]);
    through(upper().budget(read_bytes(5))).unwrap();
    assert_beyond(through(upper().budget(read_bytes(4))), "process", "5 bytes read of element 2, at most 4 allowed");
    let reread =
        |by: &str, times: &str| stage("stage", programs::REREAD, &[("by", by), ("times", times), ("then", "ignore")]);
    through(reread("element", "2").budget(read_bytes(10))).unwrap();
    assert_beyond(
        through(reread("element", "2").budget(read_bytes(9))),
        "process",
        "10 bytes read of element 2, at most 9 allowed",
    );
    assert_beyond(
        through(reread("batch", "3").budget(read_bytes(10))),
        "process",
        "15 bytes read of element 2, at most 10 allowed",
    );
    assert_beyond(
        through(reread("byte", "3").budget(read_bytes(2))),
        "process",
        "3 bytes read of element 0, at most 2 allowed",
    );
}

/// A refused copy was not made: the guest has only what the host gave it before.
#[test]
fn what_is_refused_is_not_copied() {
    let twice = "(call $read_all (local.get $batch) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (i32.store8 (i32.load (i32.const 68)) (i32.const 0x2a))
        (call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 0))
        (call $expect_failure (i32.const 6))
        (call $read_all (local.get $batch) (i32.const 64))
        (call $expect_failure (i32.const 6))
        (call $drop_batch (local.get $batch)) (call $ok)";
    let sink = || vec![input(Elements::new(["abc"])), guest(Guest { work: twice, ..SINK }).budget(reads(1))];
    assert_beyond(run(sink()), "push", "2 reads of element 0, at most 1 allowed");
    // A guest that traps or loops after the refusal has failed because of the refusal.
    let traps = twice.replace("(call $expect_failure (i32.const 6))", "(if (call $done) (then) (else unreachable))");
    let parts = vec![input(Elements::new(["abc"])), guest(Guest { work: &traps, ..SINK }).budget(reads(1))];
    assert_beyond(run(parts), "push", "2 reads of element 0, at most 1 allowed");
}

/// Reads of an element and reads of its batch count alike, in any order.
#[test]
fn reads_of_both_kinds_add_up() {
    let one = "(call $read_to (local.get $batch) (i32.const 0) (i64.const 1) (i64.const 2))";
    let all = "(call $read_all (local.get $batch) (i32.const 64))";
    let done = "(call $drop_batch (local.get $batch)) (call $ok)";
    for reads_of in [[one, one, all], [one, all, one], [all, one, one], [all, one, all]] {
        let work = format!("{} {done}", reads_of.concat());
        let reading = |budget| {
            let sink = guest(Guest { work: &work, ..SINK }).budget(budget);
            run(vec![input(Elements::new(["abcd"])), sink])
        };
        let bytes: u64 = reads_of.iter().map(|read| if *read == one { 2 } else { 4 }).sum();
        let account = reading(Budget { reads: Some(3), read_bytes: Some(bytes), ..writes(0) }).unwrap();
        assert_eq!((account.stages[0].reads_max, account.copies.payload_read.bytes), (3, bytes));
        assert_beyond(reading(reads(2)), "push", "3 reads of element 0, at most 2 allowed");
        let text = format!("{bytes} bytes read of element 0, at most {} allowed", bytes - 1);
        assert_beyond(reading(read_bytes(bytes - 1)), "push", &text);
    }
    // Counts of one call do not carry over to the next.
    let twice = guest(Guest { work: &format!("{one} {all} {done}"), ..SINK }).budget(reads(2));
    let account = run(vec![input(Elements::new(["abcd"; 300])), twice]).unwrap();
    assert_eq!((account.elements.left, account.stages[0].reads_max), (300, 2));
}

#[test]
fn writes_beyond_the_budget() {
    let repeat = |times: &str| stage("stage", programs::REPEAT, &[("times", times)]);
    // Three of each, and one more at the end.
    let account = through(repeat("3").budget(writes(4))).unwrap();
    assert_eq!((account.stages[0].copies.payload_write.ops, account.stages[0].writes_max), (13, 3));
    assert_beyond(
        through(repeat("3").budget(writes(2))),
        "process",
        "3 payloads written from element 0, at most 2 allowed",
    );
    assert_beyond(through(repeat("3").budget(writes(3))), "flush", "13 payloads written in total, at most 12 allowed");
    assert_beyond(through(repeat("0").budget(writes(0))), "flush", "1 payload written in total, at most 0 allowed");
    assert_beyond(
        through(stage("stage", programs::UPPER, &[]).budget(writes(0))),
        "process",
        "1 payload written from element 0, at most 0 allowed",
    );
    through(stage("stage", programs::UPPER, &[]).budget(writes(1))).unwrap();
    // Forwarding by handle is not a write.
    let forwards =
        stage("stage", programs::UPPER_ON_DEMAND, &[("longest", "0")]).budget(Budget { reads: Some(1), ..writes(1) });
    let account = through(forwards).unwrap();
    assert_eq!(account.stages[0].copies.payload_write.ops, 1);
}

/// A guest that writes `elements` empty payloads, `lineage` of them from element 0, and then executes `then`.
fn writing(elements: u32, lineage: u32, then: &str) -> String {
    format!(
        "(call $drop_batch (local.get $batch))
        (memory.fill (i32.const 2048) (i32.const 0) (i32.const 128))
        (drop (call $emit (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const {elements})
          (i32.const 2048) (i32.const {lineage}) (i32.const 0) (i32.const 0)))
        {then}"
    )
}

#[test]
fn writes_that_the_guest_goes_on_after() {
    let returns = "(call $output (i32.load (i32.const 68)))";
    let forwards = "(call $all_to (local.get $count) (i32.const 1))";
    // A payload without lineage belongs to no particular element.
    let two = |then| guest(Guest { work: &writing(2, 0, then), ..PROCESSOR });
    let account = through(two(returns).budget(writes(2))).unwrap();
    assert_eq!(account.stages[0].writes_max, 0);
    let (overrun, text) = overrun(through(two(forwards).budget(writes(1))), "process");
    assert_eq!(overrun, Overrun { what: Limited::Writes, element: None, count: 2, limit: 1 });
    assert_eq!(text, "budget-exceeded: 2 payloads written in total, at most 1 allowed");
    let from_one = guest(Guest { work: &writing(3, 3, forwards), ..PROCESSOR }).budget(writes(2));
    assert_beyond(through(from_one), "process", "3 payloads written from element 0, at most 2 allowed");
    // In two outputs of one call.
    let once = writing(2, 2, "");
    let again = once.replace("(call $drop_batch (local.get $batch))", "");
    let work = format!("{once} {again} {forwards}");
    let twice = guest(Guest { work: &work, ..PROCESSOR }).budget(writes(3));
    assert_beyond(through(twice), "process", "4 payloads written from element 0, at most 3 allowed");
    let last = "(drop (call $emit (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (call $ok)";
    let flushes = guest(Guest { last, ..PROCESSOR }).budget(writes(0));
    assert_beyond(through(flushes), "flush", "1 payload written in total, at most 0 allowed");
}

#[test]
fn a_source_writes_what_it_makes() {
    let source = |budget| {
        let numbers = stage("stage", programs::NUMBERS, &[("count", "100")]).budget(budget);
        run(vec![numbers, output("out", Collected::default())])
    };
    let account = source(writes(1)).unwrap();
    assert_eq!((account.elements.entered, account.stages[0].copies.payload_write.ops), (100, 100));
    assert_beyond(source(writes(0)), "pull", "1 payload written in total, at most 0 allowed");
    let quiet = guest(Guest { work: "(drop (call $empty)) (call $ok)", ..SOURCE }).budget(writes(0));
    run(vec![quiet, output("out", Collected::default())]).unwrap();
}

fn bounds(reads: Bound, writes: Bound) -> Bounds {
    Bounds::copying(reads, writes)
}

/// The text of an internal error.
#[track_caller]
fn assert_refuted(result: Result<Account, Error>, expected: &str) {
    match result {
        Err(error @ Error::Internal(_)) => {
            assert_eq!(error.to_string(), format!("internal error, please report it: {expected}"))
        }
        other => panic!("expected a proof to be refuted: {other:?}"),
    }
}

#[test]
fn a_wrong_proof_is_found_out() {
    let (some, never) = (Bound::at_most(9, Proof::Bounded), Bound::never(Proof::CallGraph));
    let reread = |times: &str| stage("stage", programs::REREAD, &[("times", times)]);
    assert_refuted(
        through(reread("1").bounds(bounds(never, never))),
        "stage `stage`: 1 read of element 0 in `process`, but the proof allows at most 0",
    );
    assert_refuted(
        through(reread("3").bounds(bounds(Bound::exactly(2, Proof::Bounded), never))),
        "stage `stage`: 3 reads of element 0 in `process`, but the proof allows at most 2",
    );
    assert_refuted(
        through(reread("1").bounds(bounds(Bound::exactly(2, Proof::Bounded), never))),
        "stage `stage`: 4 reads of 4 elements, but the proof says exactly 2 per element",
    );
    let upper = stage("stage", programs::UPPER, &[]).bounds(bounds(some, never));
    assert_refuted(
        through(upper),
        "stage `stage`: 1 payload written from element 0 in `process`, but the proof allows at most 0",
    );
    let flushes = stage("stage", programs::REPEAT, &[("times", "1")]);
    assert_refuted(
        through(flushes.bounds(bounds(some, Bound::at_most(1, Proof::Bounded)))),
        "stage `stage`: 5 payloads written in total in `flush`, but the proof allows at most 4",
    );
    let source = stage("stage", programs::NUMBERS, &[]).bounds(bounds(never, never));
    assert_refuted(
        run(vec![source, output("out", Collected::default())]),
        "stage `stage`: 1 payload written in total in `pull`, but the proof allows at most 0",
    );
    // A stage that fails in a call that returns is still held to its proof.
    let fails = "(call $read_all (local.get $batch) (i32.const 64)) (call $drop_batch (local.get $batch))
        (call $fail (i32.const 3))";
    assert_refuted(
        through(guest(Guest { work: fails, ..PROCESSOR }).bounds(bounds(never, never))),
        "stage `stage`: 1 read of element 0 in `process`, but the proof allows at most 0",
    );
}

/// A proof about calls that return says nothing about calls that trap.
#[test]
fn a_call_that_traps_disproves_nothing() {
    let traps = "(call $read_all (local.get $batch) (i32.const 64)) unreachable";
    let never = Bound::never(Proof::CallGraph);
    let stage = guest(Guest { work: traps, ..PROCESSOR }).bounds(bounds(never, never));
    let Err(Error::Stage { source: StageError::Trap { .. }, .. }) = through(stage) else { panic!("it traps") };
}

/// An exact bound holds if the host refuses nothing.
#[test]
fn a_refusal_makes_a_bound_an_upper_one() {
    let once = Bound::exactly(1, Proof::Bounded);
    let past_the_end = "(call $read_to (local.get $batch) (i32.const 0) (i64.const 2) (i64.const 9))
        (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";
    let stage = guest(Guest { work: past_the_end, ..PROCESSOR });
    let account = through(stage.bounds(bounds(once, Bound::never(Proof::CallGraph)))).unwrap();
    assert_eq!(account.copies.payload_read.ops, 0);
}
