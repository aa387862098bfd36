//! Pipelines whose copies are known exactly.

use torvyn_runtime::endpoint::Discard;
use torvyn_runtime::ledger::Count;

use super::*;

const LINES: u64 = 20_000;

/// Of ten lines, nine begin with `!`, on which the program fails; the others begin with `=` and are forwarded.
fn lines() -> Elements {
    let line = |number: u64| if number.is_multiple_of(10) { format!("={number}") } else { format!("!{number}") };
    Elements::new((0..LINES).map(line))
}

fn strict(path: &str, policy: Policy) -> Part {
    let component = Component::load(engine(), path.as_ref(), &Limits::default()).expect("the program loads");
    stage_of("strict", &component, &[], Limits::default()).policy(policy)
}

/// Each element is read once, with its neighbours: the call continues after a failure.
#[test]
fn bad_lines_that_are_left_out_are_read_once() {
    for then in [Then::Skip, Then::DeadLetter] {
        let out = Collected::default();
        let parts = vec![input(lines()), strict(programs::STRICT, policy(0, then)), output("out", out.clone())];
        let account = run(parts).expect("it comes to its end");
        let stage = &account.stages[0];
        assert_eq!((stage.copies.payload_read.ops, stage.reads_max), (LINES, 1));
        assert_eq!((stage.copies.payload_write.ops, stage.failed_copies.payload_read.ops), (0, 0));
        let left_out = if then == Then::Skip { stage.failures.skipped } else { stage.failures.dead_letters };
        assert_eq!((left_out, stage.failures.retries), (LINES / 10 * 9, 0));
        // Batches have 1, 2, 4 … elements first, and then 64.
        assert!(stage.failures.calls <= LINES / 64 + 7, "{:?}", stage.failures);
        assert_eq!(out.sequences(), (0..LINES).step_by(10).collect::<Vec<_>>());
    }
}

/// With retries, each element is read when its turn comes: a good line once, a bad one in each try.
#[test]
fn bad_lines_that_are_retried_are_read_as_often_as_they_are_tried() {
    let out = Collected::default();
    let part = strict(programs::STRICT, policy(2, Then::Skip));
    let account = run(vec![input(lines()), part, output("out", out.clone())]).expect("it comes to its end");
    let (stage, bad) = (&account.stages[0], LINES / 10 * 9);
    assert_eq!((stage.copies.payload_read.ops, stage.reads_max), (3 * bad + LINES / 10, 3));
    assert_eq!((stage.failures.retries, stage.failures.skipped, stage.failures.calls), (2 * bad, bad, 3 * bad));
    assert_eq!(out.sequences(), (0..LINES).step_by(10).collect::<Vec<_>>());
}

/// A sink continues too.
#[test]
fn a_sink_that_leaves_out_reads_once() {
    let part = strict(programs::STRICT_SINK, policy(0, Then::Skip));
    let account = run(vec![input(lines()), part]).expect("it comes to its end");
    let stage = &account.stages[0];
    assert_eq!((stage.copies.payload_read.ops, stage.reads_max), (LINES, 1));
    assert_eq!((account.elements.left, stage.failures.skipped), (LINES / 10, LINES / 10 * 9));
}

/// Three elements, of which the first is tried three times: five reads, of which those of the first two calls are in
/// failed calls.
#[test]
fn three_elements_and_two_retries() {
    let elements = ["!", "E a", "E b"].map(str::to_string);
    let part = strict(programs::STRICT, policy(2, Then::Skip));
    let parts = vec![input(Elements::new(elements)), part, output("out", Discard)];
    let account = run(parts).expect("it comes to its end");
    let stage = &account.stages[0];
    assert_eq!((stage.copies.payload_read, stage.reads_max), (Count { ops: 5, bytes: 3 + 3 + 3 }, 3));
    assert_eq!(stage.failed_copies.payload_read, Count { ops: 3, bytes: 3 });
}

/// A stage that traps in a batch has read all of it, and gets each element once more: no element is read more than
/// twice.
#[test]
fn neighbours_of_a_trap_are_read_twice() {
    let component = Component::load(engine(), programs::OPS_PAYLOAD.as_ref(), &Limits::default()).expect("it loads");
    for (every, batch, most) in [(5, 64, 2), (13, 64, 2), (64, 64, 2), (5, 1, 1)] {
        // Six bytes cause a trap; eight are forwarded.
        let size = |number: usize| if number % every == 1 { 6 } else { 8 };
        let elements = Elements::new((0..130).map(|number| vec![b'x'; size(number)]));
        let part = stage_of("s", &component, &[], Limits::default()).policy(policy(0, Then::Skip)).batch(batch);
        let account = run(vec![input(elements), part, output("out", Discard)]).expect("it comes to its end");
        let (stage, traps) = (&account.stages[0], (0..130).filter(|number| number % every == 1).count() as u64);
        assert_eq!((stage.failures.skipped, stage.reads_max), (traps, most));
        let reads = stage.copies.payload_read.ops;
        assert!(reads <= u64::from(most) * 130, "every {every}th: {reads}");
        // The extra reads are those of the calls that trapped.
        assert_eq!(reads - stage.failed_copies.payload_read.ops, 130 - traps);
    }
}

/// With one element per call, no element is read because of another.
#[test]
fn one_element_a_call() {
    let part = strict(programs::STRICT, policy(0, Then::Skip)).batch(1);
    let account = run(vec![input(lines()), part, output("out", Discard)]).expect("it comes to its end");
    assert_eq!((account.stages[0].copies.payload_read.ops, account.stages[0].reads_max), (LINES, 1));
}

/// What a failed call writes for elements counts against the budget, so a stage cannot do it again and again.
#[test]
fn writes_of_failed_calls_are_counted() {
    let component = Component::load(engine(), programs::OPS_EACH.as_ref(), &Limits::default()).expect("it loads");
    let budget = Budget { writes: Some(1), ..Budget::default() };
    let bounds = Bounds { writes: Bound::at_most(1, Proof::Enforced), ..component.analysis().bounds() };
    // Each third element causes a trap, after the stage has written for the two before it; nothing of that is returned.
    let elements = Elements::new((0..60).map(|number| vec![b'x'; if number % 3 == 2 { 6 } else { 1 }]));
    let part = stage_of("s", &component, &[], Limits::default()).policy(policy(1, Then::Skip));
    let parts = vec![input(elements), part.budget(budget).bounds(bounds), output("out", Discard)];
    let stage = &run(parts).expect("it comes to its end").stages[0];
    assert_eq!(stage.failures.skipped, 20);
    assert!(stage.copies.payload_write.ops <= 3 * 60 && stage.writes_max == 1, "{stage:?}");
}
