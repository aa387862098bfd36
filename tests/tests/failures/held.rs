//! What happens to the elements that a stage holds when it fails.

use torvyn_runtime::contract::{Bound, Bounds, Proof};
use torvyn_tests::guest::HOLDER;

use super::*;

/// Holds everything in `mode`, and executes `then` for elements of seven bytes. At its end it joins what it holds.
fn window(mode: u32, then: &str) -> Component {
    let work = format!(
        "(local $index i32)
        (i32.store (i32.add (i32.const 2048) (i32.mul (global.get $leases) (i32.const 4)))
          (call $hold_first (local.get $batch) (local.get $count) (i32.const {mode})))
        (global.set $leases (i32.add (global.get $leases) (i32.const 1)))
        {}
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const 0))",
        at_poison(then)
    );
    guest(Guest {
        fields: "(global $leases (mut i32) (i32.const 0))",
        work: &work,
        last: "(call $join (i32.const 2048) (global.get $leases) (i32.const 1) (i32.const 64))
            (if (i32.eqz (call $done)) (then unreachable))
            (call $output (i32.load (i32.const 68)))",
        ..HOLDER
    })
}

/// A call that did not return loses what it held; these elements are lent again, before the rest, so none is missing in
/// the joined one.
#[test]
fn what_was_held_is_lent_again_after_a_trap() {
    for mode in [0, 1] {
        let component = window(mode, TRAPS);
        for k in [0, 1, 2, 5, 30, 62, 63, 99] {
            let came = through(stage(&component).policy(SKIP), poisoned(100, &[k]));
            let expected: String = poisoned(100, &[k]).into_iter().filter(|text| text.len() == 3).collect();
            assert_eq!(came.payloads, [expected], "mode {mode}, element {k}");
            let stage = &came.account().stages[0];
            assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (100, 1, 0));
            assert_eq!(came.account().elements.skipped, 1);
        }
    }
}

/// A stage that returned a failure keeps what it held before. Elements of the failed call are in no lease of that call
/// any more, whether the stage dropped the lease or not: when they are lent again, only a new lease can hold them.
#[test]
fn a_returned_failure_ends_the_leases_of_the_call() {
    let forgets = "(global.set $leases (i32.sub (global.get $leases) (i32.const 1)))";
    let lease = "(i32.load (i32.add (i32.const 2048) (i32.mul (global.get $leases) (i32.const 4))))";
    for lets_go in [
        String::new(),
        format!("(call $drop_lease {lease})"),
        format!("(drop (call $forward_first {lease} (i32.const 1)))"),
    ] {
        for mode in [0, 1] {
            let component = window(mode, &format!("{forgets} {lets_go} {FAILS}"));
            for k in [0, 1, 2, 5, 30, 62, 63, 99] {
                let came = through(stage(&component).policy(SKIP), poisoned(100, &[k]));
                let expected: String = poisoned(100, &[k]).into_iter().filter(|text| text.len() == 3).collect();
                assert_eq!(came.payloads, [expected], "mode {mode}, element {k}, {lets_go}");
                assert_eq!((came.failures().restarts, came.account().elements.dropped), (0, 0));
            }
        }
    }
}

/// Elements that were released or forwarded in a call that did not return are lent again too.
#[test]
fn what_the_trapped_call_let_go_of_is_lent_again() {
    // Joins what it holds, drops the lease, and traps: all in the call that gets the poison.
    for (mode, lets_go) in [
        (0, "(call $drop_lease (i32.load (i32.const 2048)))"),
        (1, "(call $drop_lease (i32.load (i32.const 2048)))"),
        (1, "(drop (call $forward_first (i32.load (i32.const 2048)) (i32.const 1)))"),
        (0, "(drop (call $join_one (i32.load (i32.const 2048)))) (call $drop_lease (i32.load (i32.const 2048)))"),
    ] {
        let component = window(mode, &format!("{lets_go} unreachable"));
        for k in [0, 1, 6, 63] {
            let came = through(stage(&component).policy(SKIP), poisoned(70, &[k]));
            let expected: String = poisoned(70, &[k]).into_iter().filter(|text| text.len() == 3).collect();
            assert_eq!(came.payloads, [expected], "mode {mode}, element {k}, {lets_go}");
        }
    }
}

/// Elements that were already used are not lent again.
#[test]
fn what_something_came_of_is_not_lent_again() {
    // Each batch is forwarded and held.
    let work = format!(
        "(local $index i32)
        (drop (call $hold_first (local.get $batch) (local.get $count) (i32.const 0)))
        {}
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const 1))",
        at_poison(TRAPS)
    );
    let component = guest(Guest { work: &work, ..HOLDER });
    let came = through(stage(&component).policy(SKIP), poisoned(100, &[50]));
    assert_eq!(came.sequences, (0..100).filter(|sequence| *sequence != 50).collect::<Vec<_>>());
    assert_eq!(came.account().stages[0].elements_dropped, 0);
}

/// If the stage says which element it failed on, a lease of that call keeps the elements before it, and later reads of
/// them are within the proof.
#[test]
fn a_lease_of_a_failed_call_keeps_what_is_before() {
    let (last, reads) = (
        "(call $join (i32.const 2048) (global.get $leases) (i32.const 1) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $output (i32.load (i32.const 68)))",
        "(call $read_held (i32.load (i32.const 2048)) (i32.const 0))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $read_held (i32.load (i32.const 2052)) (i32.const 0))
        (if (i32.eqz (call $done)) (then unreachable))",
    );
    for (k, count, last) in [(2, 3, format!("{reads}{last}")), (5, 100, last.to_string()), (63, 100, last.to_string())]
    {
        let work = format!(
            "(local $index i32)
            (i32.store (i32.add (i32.const 2048) (i32.mul (global.get $leases) (i32.const 4)))
              (call $hold_first (local.get $batch) (local.get $count) (i32.const 0)))
            (global.set $leases (i32.add (global.get $leases) (i32.const 1)))
            {}
            (call $drop_batch (local.get $batch))
            (call $all_to (local.get $count) (i32.const 0))",
            // None of those before it is forwarded.
            at_poison(
                "(call $drop_batch (local.get $batch)) (memory.fill (i32.const 3456) (i32.const 0) (i32.const 256))
                (return (call $fail_routed (i32.const 0) (local.get $index) (i32.const 3456) (local.get $index)))"
            )
        );
        let fields = "(global $leases (mut i32) (i32.const 0))";
        let component = guest(Guest { fields, work: &work, last: &last, ..HOLDER });
        let bounds = Bounds::copying(Bound::at_most(1, Proof::Bounded), Bound::never(Proof::Component));
        let came = through(stage(&component).policy(SKIP).bounds(bounds), poisoned(count, &[k]));
        let expected: String = poisoned(count, &[k]).into_iter().filter(|text| text.len() == 3).collect();
        assert_eq!(came.payloads, [expected], "element {k}");
        assert_eq!(came.failures(), FailureUse { calls: 1, skipped: 1, ..FailureUse::default() });
    }
}
