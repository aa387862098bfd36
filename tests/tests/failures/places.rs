//! Stages that say which element they failed on: the results for those before it are kept, and those after it are lent
//! again.

use torvyn_tests::guest::{PROCESSOR, SINK};
use torvyn_tests::programs;

use super::*;

/// A stage of the guest library that handles one element at a time. Only the failing element is lent without a result.
#[test]
fn what_is_before_comes_out_once_and_what_is_after_too() {
    let component = Component::load(engine(), programs::FAULTY.as_ref(), &limits()).unwrap();
    for k in 0..130 {
        let lines = (0..130).map(|index| if index == k { "poison".to_string() } else { format!("{index:03}") });
        let part = stage_of("stage", &component, &[("how", "fail"), ("at", "process")], limits());
        let came = through(part.policy(retry(2, Then::DeadLetter)), lines.collect());
        assert_eq!(came.sequences, (0..130).filter(|sequence| *sequence != k).collect::<Vec<_>>());
        assert_eq!(came.failures(), FailureUse { calls: 3, retries: 2, dead_letters: 1, ..FailureUse::default() });
        assert_eq!((came.letters[0].sequence, came.letters[0].attempt), (k, 3));
        // Each was read once, and the poison each time it was lent.
        assert_eq!(came.account().stages[0].copies.payload_read.ops, 132);
    }
}

/// The error names the element, also if the flow stops there.
#[test]
fn the_element_is_named() {
    let component = Component::load(engine(), programs::FAULTY.as_ref(), &limits()).unwrap();
    let lines = (0..100).map(|index| if index == 77 { "poison".to_string() } else { index.to_string() });
    let part = stage_of("stage", &component, &[("how", "fail"), ("at", "process")], limits());
    let error = through(part, lines.collect()).error();
    let expected =
        "stage `stage` failed in `process` at element 77: the stage returned invalid-input: told to fail in process";
    assert_eq!(error, expected);
}

/// A sink that reads the elements before the poison and reports the place of the poison.
#[test]
fn a_sink_takes_what_is_before() {
    let one = "(call $read_to (local.get $batch) (local.get $index) (i64.const 0) (i64.const 3))";
    let work = format!(
        "(local $index i32)
        (block $none (loop $next
          (br_if $none (i32.eq (local.get $index) (local.get $count)))
          (if (i64.eq (i64.load (i32.add (local.get $metadata) (i32.mul (local.get $index) (i32.const 8)))) (i64.const 7))
            (then (call $drop_batch (local.get $batch)) (return (call $fail_at (i32.const 2) (local.get $index)))))
          {one}
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br $next)))
        (call $drop_batch (local.get $batch)) (call $ok)"
    );
    let component = guest(Guest { work: &work, ..SINK });
    let at = [0, 1, 2, 40, 62, 63, 64, 65, 99];
    let came = through(stage(&component).policy(SKIP), poisoned(100, &at));
    let sink = &came.account().stages[0];
    assert_eq!((sink.copies.payload_read.ops, sink.failures.skipped, sink.failures.calls), (91, 9, 9));
    assert_eq!(came.account().elements.left, 91);
}

/// Writes of a failed call for the failing element and those after it are discarded, and the ledger still counts them.
#[test]
fn what_is_written_in_vain_is_given_up() {
    // Writes one byte for each element up to the poison, and one more that is in no output; returns the results before
    // it.
    let work = format!(
        "(local $index i32) (local $made i32) {}
        (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))",
        at_poison(
            "(i64.store (i32.const 2048) (i64.const 1)) (i32.store (i32.const 2056) (i32.const 0))
            (if (i32.eqz (call $emit (i32.const 2048) (i32.const 1) (i32.const 2048) (i32.const 1)
                (i32.const 2056) (select (i32.const 1) (i32.const 0) (local.get $index)) (i32.const 0) (i32.const 0)))
              (then unreachable))
            (local.set $made (i32.load (i32.const 68)))
            (if (i32.eqz (call $emit (i32.const 2048) (i32.const 1) (i32.const 2048) (i32.const 1)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
              (then unreachable))
            (call $drop_batch (local.get $batch))
            (return (call $fail_made (i32.const 2) (local.get $index) (local.get $made)))"
        )
    );
    let component = guest(Guest { work: &work, ..PROCESSOR });
    let came = through(stage(&component).policy(SKIP), poisoned(9, &[5]));
    let stage = &came.account().stages[0];
    assert_eq!((stage.copies.payload_write.ops, stage.given_up.ops, stage.given_up.bytes), (2, 1, 1));
    // One element was made of those before the poison in its call; the others of that call were dropped.
    assert_eq!(stage.elements_out + stage.elements_dropped, 9 - 1);
    assert_eq!(stage.failures, FailureUse { calls: 1, skipped: 1, ..FailureUse::default() });
}
