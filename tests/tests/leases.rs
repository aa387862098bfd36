//! Elements that stages hold beyond the call: refused where this is not allowed, taken back whatever happens to the
//! stage, and counted.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::contract::{Budget, Limited, Overrun};
use torvyn_runtime::endpoint::{Input, Pull, Pulled};
use torvyn_runtime::ledger::Count;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Account, Error, Limits, StageError};
use torvyn_tests::guest::{Guest, HOLDER, SINK, TRANSFORM, join_with_itself};
use torvyn_tests::{Collected, Elements, Part, assert_settled, input, output, run, stage, stage_with, start};

const TIME: Duration = Duration::from_millis(200);

fn limits() -> Limits {
    Limits { memory: 8 << 20, time: TIME, ..Limits::default() }
}

/// A payload that shows whether anything still has it.
struct Held(Vec<u8>, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn holder(guest: Guest<'_>) -> Part {
    stage_with("stage", guest.file().path, &[], limits())
}

/// Runs the stage on three-byte payloads, `000` and so on: one, then two, then four, and so on, per call. Afterwards
/// none of them is left, whatever happened. Returns what came out.
fn through(stage: Part, elements: usize) -> (Result<Account, Error>, Vec<String>) {
    let held = Arc::new(());
    let payloads = (0..elements).map(|index| Bytes::from_owner(Held(format!("{index:03}").into(), held.clone())));
    let out = Collected::default();
    let result = run(vec![input(Elements::new(payloads)), stage, output("out", out.clone())]);
    assert_eq!(Arc::strong_count(&held), 1, "no payload is left");
    let texts = out.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text"));
    (result, texts.collect())
}

/// Instructions for the call that has two elements, 1 and 2 of three, which then sends each to the outputs in `mask`.
fn with_two(then: &str, mask: u32) -> String {
    format!(
        "(local $lease i32) (local $other i32) (local $made i32)
        (if (i32.eq (local.get $count) (i32.const 2)) (then {then}))
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const {mask}))"
    )
}

/// Traps unless this call returns that number.
fn is(call: &str, number: u32) -> String {
    format!("(if (i32.ne {call} (i32.const {number})) (then unreachable))")
}

/// Runs these instructions, with three elements.
fn two(then: &str, mask: u32) -> (Result<Account, Error>, Vec<String>) {
    through(holder(Guest { work: &with_two(then, mask), ..HOLDER }), 3)
}

/// Holds the first of the two in `$lease`, shared or not.
fn take_first(exclusive: bool) -> String {
    format!("(local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const {})))", exclusive as u32)
}

const INVALID_INPUT: u32 = 0;
const UNAVAILABLE: u32 = 1;
const DEADLINE_EXCEEDED: u32 = 3;
const OUT_OF_BOUNDS: u32 = 5;
const LIMIT_EXCEEDED: u32 = 7;

fn expect(failure: u32) -> String {
    format!("(call $expect_failure (i32.const {failure}))")
}

#[track_caller]
fn stage_error(result: Result<Account, Error>, call: &str) -> StageError {
    match result {
        Err(Error::Stage { stage, call: failed, source, .. }) if stage == "stage" && failed == call => source,
        other => panic!("expected a failure in `{call}`: {other:?}"),
    }
}

#[track_caller]
fn assert_fails(result: Result<Account, Error>, call: &str, cause: &str) {
    let error = stage_error(result, call).to_string();
    assert!(error.contains(cause), "expected `{cause}`: {error}");
}

/// Holds everything, drops it from the batch, and makes one element of it at the end.
const WINDOW: Guest<'static> = Guest {
    fields: "(global $leases (mut i32) (i32.const 0))",
    work: "(i32.store (i32.add (i32.const 2048) (i32.mul (global.get $leases) (i32.const 4)))
          (call $hold_first (local.get $batch) (local.get $count) (i32.const 0)))
        (global.set $leases (i32.add (global.get $leases) (i32.const 1)))
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const 0))",
    last: "(call $join (i32.const 2048) (global.get $leases) (i32.const 1) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $output (i32.load (i32.const 68)))",
    ..HOLDER
};

#[test]
fn what_is_held_is_joined_without_a_copy() {
    let (result, out) = through(holder(WINDOW), 7);
    let account = result.unwrap();
    assert_eq!(out, ["000001002003004005006"]);
    let stage = &account.stages[0];
    assert_eq!((account.copies.payload_bytes(), account.copies.host_serialize.bytes), (0, 0));
    assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (7, 1, 0));
    let leases = stage.leases;
    assert_eq!((leases.taken, leases.elements_max, leases.bytes_max), (3, 7, 21));
    assert_eq!((leases.expired, leases.at_end), (0, 3));
}

/// The payload is copied once, by the stage that reads it.
#[test]
fn a_window_of_thousands() {
    let payloads = (0..10_000).map(|index| format!("{index:03}"));
    let expected: String = payloads.clone().collect();
    let out = Collected::default();
    let transform = stage("transform", TRANSFORM.file().path, &[]);
    let read = run(vec![input(Elements::new(payloads)), holder(WINDOW), transform, output("out", out.clone())]);
    let account = read.unwrap();
    let plus_one = |byte: u8| byte + 1;
    assert_eq!(out.payloads(), [expected.bytes().map(plus_one).collect::<Vec<_>>()]);
    assert_eq!(account.stages[0].copies.payload_bytes(), 0);
    let len = expected.len() as u64;
    assert_eq!((account.copies.payload_read.bytes, account.copies.host_serialize.bytes), (len, len));
    assert_eq!(account.stages[0].leases.elements_max, 10_000);
}

#[test]
fn what_take_refuses() {
    let hold = |index: u32, exclusive: bool| {
        format!("(call $hold_one (local.get $batch) (i32.const {index}) (i32.const {}))", exclusive as u32)
    };
    let listed =
        |len: u32| format!("(drop (call $hold (local.get $batch) (i32.const 2048) (i32.const {len}) (i32.const 0)))");
    let past = "(call $take (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 0)
        (i32.const 1) (i64.const 1) (i32.const 64))";
    let taken = |exclusive| take_first(exclusive);
    for (what, then, failure) in [
        ("past the end", hold(2, false), OUT_OF_BOUNDS),
        ("none", hold(u32::MAX, false), OUT_OF_BOUNDS),
        ("twice", listed(2), INVALID_INPUT),
        ("thousands", listed(10_000), INVALID_INPUT),
        ("nothing", listed(0), INVALID_INPUT),
        ("a time that is past", past.to_string(), DEADLINE_EXCEEDED),
        ("exclusively, what is held", taken(false) + &hold(0, true), UNAVAILABLE),
        ("what is held exclusively", taken(true) + &hold(0, false), OUT_OF_BOUNDS),
        ("what is held exclusively, exclusively", taken(true) + &hold(0, true), OUT_OF_BOUNDS),
        (
            "what was held exclusively",
            taken(true) + "(call $drop_lease (local.get $lease))" + &hold(0, false),
            OUT_OF_BOUNDS,
        ),
    ] {
        let (result, _) = two(&(then + &expect(failure)), 0);
        let account = result.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(account.elements.dropped, 3, "{what}");
        assert_eq!(account.stages[0].leases.taken, u64::from(what.contains("held")), "{what}");
    }
    // An element of which nothing was made, because it was dropped or released, can be held exclusively.
    let released = taken(false) + "(call $drop_lease (local.get $lease))" + &taken(true);
    two(&released, 0).0.unwrap();
}

/// An element of which something was made cannot be held exclusively.
#[test]
fn what_was_made_something_of_cannot_be_exclusive() {
    let sliced = "(i32.store (i32.const 2048) (i32.const 0)) (i64.store (i32.const 2056) (i64.const 0))
        (call $slice_all (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 2056) (i32.const 1)
          (i32.const 2056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (local.set $made (i32.load (i32.const 68)))";
    let passed = "(i32.store (i32.const 2048) (i32.const 0)) (i64.store (i32.const 2056) (i64.const -1))
        (drop (call $emit (i32.const 0) (i32.const 0) (i32.const 2056) (i32.const 1)
          (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0)))
        (if (i32.eqz (call $done)) (then unreachable))
        (local.set $made (i32.load (i32.const 68)))";
    let exclusive = "(call $hold_one (local.get $batch) (i32.const 0) (i32.const 1))";
    for made in [sliced, passed] {
        let refused = format!("{made} {exclusive} {}", expect(UNAVAILABLE));
        two(&refused, 1).0.unwrap();
        let dropped = format!("{made} (call $drop_output (local.get $made)) {}", take_first(true));
        let (result, out) = two(&dropped, 0);
        assert_eq!((result.unwrap().stages[0].leases.taken, out.len()), (1, 0));
    }
}

#[test]
fn what_is_exclusive_left_the_batch() {
    let read = "(call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 0))";
    let slice = "(i32.store (i32.const 2048) (i32.const 0)) (i64.store (i32.const 2056) (i64.const 0))
        (call $slice_all (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 2056) (i32.const 1)
          (i32.const 2056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))";
    for refused in [read, slice] {
        let (result, out) = two(&(take_first(true) + refused + &expect(OUT_OF_BOUNDS)), 0);
        assert_eq!((result.unwrap().copies.payload_read.ops, out.len()), (0, 0));
    }
    // A read of the whole batch reads the rest.
    let rest = "(call $read_all (local.get $batch) (i32.const 64))
        (if (i32.ne (i32.load (i32.const 72)) (i32.const 3)) (then unreachable))
        (call $read_held (local.get $lease) (i32.const 0))
        (if (i32.ne (i32.load8_u (i32.add (i32.load (i32.const 68)) (i32.const 2))) (i32.const 0x31)) (then unreachable))";
    let account = two(&(take_first(true) + rest), 0).0.unwrap();
    assert_eq!((account.copies.payload_read.ops, account.copies.payload_read.bytes), (2, 6));
    assert_eq!(account.stages[0].reads_max, 1);
    let routed = two(&take_first(true), 1).0;
    assert_fails(
        routed,
        "process",
        "the stage broke the contract: element 0 of the batch is held by an exclusive lease",
    );
    let emitted = take_first(true)
        + "(i32.store (i32.const 2048) (i32.const 0)) (i64.store (i32.const 2056) (i64.const -1))
        (drop (call $emit (i32.const 0) (i32.const 0) (i32.const 2056) (i32.const 1)
          (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0)))
        (call $drop_batch (local.get $batch))
        (return (call $output (i32.load (i32.const 68))))";
    assert_fails(two(&emitted, 0).0, "process", "element 0 of the batch is held by an exclusive lease");
}

/// Payloads that are parts of one buffer, like those of a file.
struct Lines(Option<Bytes>);

impl Input for Lines {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        if let Some(bytes) = self.0.take() {
            let whole = pull.pool.adopt(bytes);
            for at in (0..whole.len()).step_by(3) {
                pull.give(whole.slice(at, 3).expect("whole lines"));
            }
        }
        Ok(Pulled::End)
    }
}

/// If other elements share its buffer, an exclusively held one gets its own.
#[test]
fn an_exclusive_payload_is_alone_in_its_buffer() {
    for (exclusive, copied) in [(false, 0), (true, 3)] {
        let forwards = "(call $drop_batch (local.get $batch))
            (return (call $output (call $forward_first (local.get $lease) (i32.const 1))))";
        let guest = Guest { work: &with_two(&(take_first(exclusive) + forwards), 1), ..HOLDER };
        let out = Collected::default();
        let lines = input(Lines(Some(Bytes::from_static(b"a1\nb2\nc3\n"))));
        let account = run(vec![lines, holder(guest), output("out", out.clone())]).unwrap();
        assert_eq!(out.payloads(), [b"a1\n", b"b2\n"]);
        assert_eq!(account.stages[0].copies.host_serialize.bytes, copied);
        assert_eq!((account.copies.payload_bytes(), account.elements.dropped), (0, 1));
    }
}

/// One short payload per large block; the rest of the block is used by others.
struct Short {
    left: usize,
}

/// The block size of each, which is a size class.
const LARGE: usize = 64 << 10;

impl Input for Short {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let mut block = pull.pool.take(LARGE);
        self.left -= 1;
        block.append(format!("{:03}", self.left).as_bytes()).expect("a class has room for it");
        block.append(&vec![b'-'; LARGE - 3]).expect("the block was taken for so many");
        pull.give(block.freeze().slice(0, 3).expect("it has these"));
        Ok(if self.left == 0 { Pulled::End } else { Pulled::More })
    }
}

/// Held elements keep at most a limited amount of memory alive. Beyond it they are moved, which is a copy in the host.
#[test]
fn what_is_held_is_moved_where_it_keeps_too_much() {
    const BLOCKS: usize = 200;
    const PINNED: u64 = LARGE as u64 - 3;
    let holding = |pinned_bytes| {
        let out = Collected::default();
        let stage = stage_with("stage", WINDOW.file().path, &[], Limits { pinned_bytes, ..limits() });
        let account = run(vec![input(Short { left: BLOCKS }), stage, output("out", out.clone())]).unwrap();
        let expected: String = (0..BLOCKS).rev().map(|index| format!("{index:03}")).collect();
        assert_eq!(out.payloads(), [expected.into_bytes()]);
        let class = account.pool.classes.iter().find(|class| class.bytes == Some(LARGE as u64)).copied();
        assert_eq!((account.copies.payload_bytes(), account.stages[0].leases.elements_max), (0, BLOCKS as u64));
        (account.stages[0].leases.pinned_max, account.copies.host_serialize, class.unwrap().most_live)
    };
    // If all may be kept, nothing is moved.
    assert_eq!(holding(BLOCKS as u64 * PINNED), (BLOCKS as u64 * PINNED, Count::default(), BLOCKS as u64));
    // The seventeenth is one too many: then all of them are moved, and those that were moved before stay.
    let (pinned, moved, live) = holding(16 * PINNED);
    assert_eq!((pinned, moved), (17 * PINNED, Count { ops: 11, bytes: 11 * 17 * 3 }));
    assert!(live <= 18, "{live} blocks at once");
    // If nothing may be kept, each is moved at once.
    let (pinned, moved, live) = holding(0);
    assert_eq!((pinned, moved), (PINNED, Count { ops: BLOCKS as u64, bytes: 3 * BLOCKS as u64 }));
    assert!(live <= 2, "{live} blocks at once");
}

/// Holds both elements exclusively, in the global `$lease`.
const TAKE_BOTH: &str = "(global.set $lease (call $hold_first (local.get $batch) (i32.const 2) (i32.const 1)))";
const LEASE: &str = "(global $lease (mut i32) (i32.const 0))";

/// An element that was joined from exclusively held ones can be shared, while they are held and afterwards.
#[test]
fn an_exclusive_payload_that_is_joined_is_read_by_another_stage() {
    let joins = format!(
        "{TAKE_BOTH} (local.set $made (call $join_one (global.get $lease)))
        (call $drop_batch (local.get $batch))"
    );
    let made = "(return (call $output (local.get $made)))";
    let reads = "(call $read_held (global.get $lease) (i32.const 1))
        (if (i32.eqz (call $done)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.add (i32.load (i32.const 68)) (i32.const 2))) (i32.const 0x32)) (then unreachable))
        (call $ok)";
    for (released, last, reads, at_end) in
        [("", reads, 1, 1), ("(call $drop_lease (global.get $lease))", "(call $ok)", 0, 0)]
    {
        let work = with_two(&format!("{joins} {released} {made}"), 1);
        let held = Arc::new(());
        let payloads = (0..3).map(|index| Bytes::from_owner(Held(format!("{index:03}").into(), held.clone())));
        let out = Collected::default();
        let parts = vec![
            input(Elements::new(payloads)),
            holder(Guest { work: &work, fields: LEASE, last, ..HOLDER }),
            stage("second", TRANSFORM.file().path, &[]),
            output("out", out.clone()),
        ];
        let account = run(parts).unwrap();
        assert_eq!(out.payloads(), [b"111".to_vec(), b"112113".to_vec()]);
        assert_eq!(Arc::strong_count(&held), 1, "no payload is left");
        let [first, second] = &account.stages[..] else { panic!("two stages") };
        assert_eq!((first.leases.taken, first.leases.at_end, first.elements_dropped), (1, at_end, 0));
        assert_eq!((first.copies.payload_read.ops, first.copies.host_serialize), (reads, Count::default()));
        // It consists of two pieces, which are joined for a reader.
        assert_eq!(second.copies.payload_read, Count { ops: 2, bytes: 9 });
        assert_eq!(second.copies.host_serialize, Count { ops: 1, bytes: 6 });
    }
}

#[test]
fn an_exclusive_payload_goes_on_from_stage_to_stage() {
    // Each stage holds it exclusively, one after the other, and none of them copies it.
    let on = format!(
        "{TAKE_BOTH} (local.set $made (call $forward_first (global.get $lease) (i32.const 2)))
        (call $drop_batch (local.get $batch)) (return (call $output (local.get $made)))"
    );
    let work = with_two(&on, 1);
    let forwards = || holder(Guest { work: &work, fields: LEASE, ..HOLDER });
    let numbers = || input(Elements::new(["000", "001", "002"]));
    let out = Collected::default();
    let transform = |name: &str| stage(name, TRANSFORM.file().path, &[]);
    let parts = vec![numbers(), forwards(), forwards().named("second"), transform("third"), output("out", out.clone())];
    let account = run(parts).unwrap();
    assert_eq!(out.payloads(), [b"111", b"112", b"113"]);
    for stage in &account.stages[..2] {
        assert_eq!((stage.leases.taken, stage.leases.elements_max, stage.elements_dropped), (1, 2, 0));
        assert_eq!((stage.copies.payload_bytes(), stage.copies.host_serialize), (0, Count::default()));
    }
    assert_eq!(account.stages[2].copies.payload_read, Count { ops: 3, bytes: 9 });
    // To two stages at once, which both read it.
    let both = format!(
        "{TAKE_BOTH} (call $count_up (i32.const 2048) (i32.const 2)) (i64.store (i32.const 2056) (i64.const 0x300000003))
        (call $forward_all (global.get $lease) (i32.const 2048) (i32.const 2) (i32.const 2056) (i32.const 2) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $drop_batch (local.get $batch)) (return (call $output (i32.load (i32.const 68))))"
    );
    let work = with_two(&both, 3);
    let (left, right) = (Collected::default(), Collected::default());
    let parts = vec![
        numbers(),
        holder(Guest { work: &work, fields: LEASE, ..HOLDER }).outputs(2),
        transform("left-stage"),
        transform("right-stage"),
        output("left", left.clone()),
        output("right", right.clone()),
    ];
    let edges = [(0, 0, 1), (1, 0, 2), (1, 1, 3), (2, 0, 4), (3, 0, 5)];
    let edges = edges.map(|(from, output, to)| (from, output, to, Capacity::default()));
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    for out in [left, right] {
        assert_eq!(out.payloads(), [b"111", b"112", b"113"]);
    }
    assert_eq!((account.stages[0].copies.payload_bytes(), account.copies.payload_read.bytes), (0, 18));
}

#[test]
fn elements_of_a_lease_go_on() {
    let again = |failure| {
        format!(
            "(local.set $made (call $forward_first (local.get $lease) (i32.const 1)))
            (call $forward_one (local.get $lease) (i32.const 0)) {}
            (call $drop_batch (local.get $batch)) (return (call $output (local.get $made)))",
            expect(failure)
        )
    };
    for (exclusive, failure) in [(false, INVALID_INPUT), (true, OUT_OF_BOUNDS)] {
        let (result, out) = two(&(take_first(exclusive) + &again(failure)), 1);
        assert_eq!((result.unwrap().elements.dropped, out), (1, vec!["000".to_string(), "001".to_string()]));
    }
    // Twice in one call is refused completely; then it is forwarded once.
    for (exclusive, failure) in [(false, INVALID_INPUT), (true, OUT_OF_BOUNDS)] {
        let twice = format!(
            "(i64.store (i32.const 2048) (i64.const 0))
            (call $forward_all (local.get $lease) (i32.const 2048) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))
            {}",
            expect(failure)
        );
        let (result, out) = two(&(take_first(exclusive) + &twice + &again(failure)), 1);
        assert_eq!((result.unwrap().elements.dropped, out.len()), (1, 2));
    }
    for (what, arguments, failure) in [
        ("not in the lease", "(i32.const 1028) (i32.const 1) (i32.const 0) (i32.const 0)", OUT_OF_BOUNDS),
        ("columns", "(i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 2)", INVALID_INPUT),
        ("too many", "(i32.const 65536) (i32.const 1048577) (i32.const 0) (i32.const 0)", LIMIT_EXCEEDED),
    ] {
        let then = format!(
            "{} (i64.store (i32.const 1024) (i64.const 0x700000000))
            (call $forward_all (local.get $lease) {arguments} (i32.const 64)) {}",
            take_first(false),
            expect(failure)
        );
        let guest = Guest { work: &with_two(&then, 1), memory: "80", ..HOLDER };
        assert_eq!(through(holder(guest), 3).0.unwrap_or_else(|error| panic!("{what}: {error}")).elements.left, 3);
    }
    // To an output that the stage does not have.
    let beyond = "(i32.store (i32.const 2048) (i32.const 0)) (i32.store (i32.const 2052) (i32.const 2))
        (call $forward_all (local.get $lease) (i32.const 2048) (i32.const 1) (i32.const 2052) (i32.const 1) (i32.const 64))
        (call $drop_batch (local.get $batch)) (return (call $output (i32.load (i32.const 68))))";
    assert_fails(
        two(&(take_first(false) + beyond), 1).0,
        "process",
        "output index 1 is out of range: 1 output is declared",
    );
}

/// As many as were received and taken, whatever happened to them.
#[test]
fn a_batch_and_a_lease_know_how_many_they_are() {
    let (batch, lease) = ("(call $batch_len (local.get $batch))", "(call $lease_len (local.get $lease))");
    for (exclusive, mask, expected) in [(0, 1, ["000", "001", "002"].as_slice()), (1, 0, &[])] {
        let take =
            format!("(local.set $lease (call $hold_first (local.get $batch) (i32.const 2) (i32.const {exclusive})))");
        let forward = "(call $forward_one (local.get $lease) (i32.const 0))";
        let then = [is(batch, 2), take, is(batch, 2), is(lease, 2), forward.to_string(), is(lease, 2)].concat();
        let (result, out) = two(&then, mask);
        result.unwrap();
        assert_eq!(out, expected);
    }
    // The handle of a batch is valid in its call only, and that of a lease until it is dropped.
    let dropped = "(call $drop_batch (local.get $batch)) (drop (call $batch_len (local.get $batch)))";
    assert_fails(two(dropped, 1).0, "process", "unknown handle index");
    let dropped =
        take_first(false) + "(call $drop_lease (local.get $lease)) (drop (call $lease_len (local.get $lease)))";
    assert_fails(two(&dropped, 1).0, "process", "unknown handle index");
}

#[test]
fn what_join_and_read_refuse() {
    let join = |leases: u32| {
        format!(
            "(i32.store (i32.const 2048) (local.get $lease)) (i32.store (i32.const 2052) (local.get $lease))
            (call $join (i32.const 2048) (i32.const {leases}) (i32.const 1) (i32.const 64))"
        )
    };
    let gone = "(drop (call $forward_first (local.get $lease) (i32.const 1)))";
    let read = |index: u32, offset: i64, len: i64| {
        format!(
            "(call $lease_read (local.get $lease) (i32.const {index}) (i64.const {offset}) (i64.const {len}) (i32.const 64))"
        )
    };
    for (what, then, failure) in [
        ("no lease", take_first(false) + &join(0), INVALID_INPUT),
        ("a lease without elements", take_first(true) + gone + &join(1), INVALID_INPUT),
        ("read past the end", take_first(false) + &read(0, 2, 2), OUT_OF_BOUNDS),
        ("read around the end", take_first(false) + &read(0, -1, 2), OUT_OF_BOUNDS),
        ("read what is not there", take_first(false) + &read(1, 0, 0), OUT_OF_BOUNDS),
        ("read what went on", take_first(true) + gone + &read(0, 0, 0), OUT_OF_BOUNDS),
    ] {
        let (result, _) = two(&(then + &expect(failure)), 0);
        let account = result.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((account.copies.payload_read.ops, account.elements.left), (0, 0), "{what}");
    }
    // One lease twice.
    let twice = take_first(false)
        + &join(2)
        + "(call $drop_batch (local.get $batch)) (return (call $output (i32.load (i32.const 68))))";
    assert_eq!(two(&twice, 1).1, ["000", "001001"]);
}

/// A join of joins is bounded, in pieces and in bytes.
#[test]
fn joins_do_not_explode() {
    let guest = |times| {
        let work = join_with_itself(times);
        // What is lent to the host counts as a handle, too.
        let limits = Limits { handles: 100_000, ..limits() };
        stage_with("stage", Guest { work: &work, memory: "20", ..HOLDER }.file().path, &[], limits)
    };
    let chain = |times: &[u32], payload: &'static [u8]| {
        let out = Collected::default();
        let mut parts = vec![input(Elements::new([payload]))];
        let names = ["stage", "before"].into_iter();
        parts.extend(names.zip(times.iter().rev()).map(|(name, times)| guest(*times).named(name)).rev());
        parts.push(output("out", out.clone()));
        (run(parts), out.payloads())
    };
    let (result, out) = chain(&[1000, 65], b"ab");
    assert_eq!((result.unwrap().copies.payload_bytes(), out[0].len()), (0, 130_000));
    assert_fails(chain(&[1000, 66], b"ab").0, "process", "can join payloads of at most 65536 pieces");
    assert_fails(chain(&[65_537], b"ab").0, "process", "can join at most 65536 elements");
    assert_fails(chain(&[65_537], b"").0, "process", "can join at most 65536 elements");
    static LONG: [u8; 1 << 16] = [b'a'; 1 << 16];
    assert_fails(chain(&[1025], &LONG).0, "process", "can join at most 64 MiB of payloads");
}

#[test]
fn held_beyond_the_budget() {
    let all = Guest { work: WINDOW.work, fields: WINDOW.fields, ..HOLDER };
    let budget = |leases, lease_bytes| Budget { leases, lease_bytes, ..Budget::default() };
    through(holder(all).budget(budget(Some(7), Some(21))), 7).0.unwrap();
    for (allowed, what, count, limit) in
        [(budget(Some(6), None), Limited::Leases, 7, 6), (budget(None, Some(20)), Limited::LeaseBytes, 21, 20)]
    {
        let (result, _) = through(holder(all).budget(allowed), 7);
        let StageError::Budget(overrun) = stage_error(result, "process") else { panic!("a budget is exceeded") };
        assert_eq!(overrun, Overrun { what, element: None, count, limit });
    }
    // Whatever the stage does with the refusal.
    let goes_on = "(call $hold_one (local.get $batch) (i32.const 0) (i32.const 0))";
    let stage = holder(Guest { work: &with_two(goes_on, 1), ..HOLDER }).budget(budget(Some(0), None));
    assert_fails(through(stage, 3).0, "process", "budget-exceeded: 1 element held at once, at most 0 allowed");
    // An element that is held twice counts twice; a released element does not count.
    let twice = take_first(false) + &take_first(false);
    let once = take_first(false) + "(call $drop_lease (local.get $lease))" + &take_first(false);
    let guest = |then: &str| holder(Guest { work: &with_two(then, 1), ..HOLDER }).budget(budget(Some(1), None));
    assert_fails(through(guest(&twice), 3).0, "process", "2 elements held at once, at most 1 allowed");
    assert_eq!(through(guest(&once), 3).0.unwrap().stages[0].leases.elements_max, 1);
    // The limits of the host apply without a budget, and reaching them is not a failure of the stage.
    let over = format!("{} {}", take_first(false), "(call $hold_one (local.get $batch) (i32.const 1) (i32.const 0))");
    for (limits, then) in
        [(Limits { held_elements: 1, ..limits() }, &over), (Limits { held_bytes: 5, ..limits() }, &over)]
    {
        let work = with_two(&(then.clone() + &expect(LIMIT_EXCEEDED)), 1);
        let file = Guest { work: &work, ..HOLDER }.file();
        let stage = stage_with("stage", &file.path, &[], limits);
        assert_eq!(through(stage, 3).0.unwrap().stages[0].leases.taken, 1);
    }
}

/// Reads of an element count together, in the call and afterwards, through any lease.
#[test]
fn reads_of_what_is_held_count_for_the_element() {
    let two_leases = format!(
        "(if (i32.eqz (global.get $calls)) (then
            {} (local.set $other (call $hold_first (local.get $batch) (i32.const 1) (i32.const 0)))
            (global.set $lease (local.get $lease)) (global.set $other (local.get $other))
            (call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 1))
            (call $read_all (local.get $batch) (i32.const 64))
            (call $read_held (local.get $lease) (i32.const 0))
            (if (i32.eqz (call $done)) (then unreachable)))
          (else
            (call $read_held (global.get $lease) (i32.const 0))
            (call $drop_lease (global.get $lease))
            (call $read_held (global.get $other) (i32.const 0))
            (call $drop_lease (global.get $other))
            (return (call $fail (i32.const 2)))))
        (global.set $calls (i32.const 1))",
        take_first(false)
    );
    let fields = "(global $calls (mut i32) (i32.const 0)) (global $lease (mut i32) (i32.const 0))
        (global $other (mut i32) (i32.const 0))";
    let ends = two_leases.replace("(return (call $fail (i32.const 2)))", "(global.set $calls (i32.const 1))");
    // Only the first two calls: the second has two elements, and there is no third.
    let work = format!(
        "(local $lease i32) (local $other i32) {ends}
        (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 0))"
    );
    let reading = |reads| {
        let budget = Budget { reads: Some(reads), read_bytes: Some(13), ..Budget::default() };
        through(holder(Guest { work: &work, fields, ..HOLDER }).budget(budget), 3).0
    };
    let account = reading(5).unwrap();
    assert_eq!((account.stages[0].reads_max, account.copies.payload_read.bytes), (5, 13));
    assert_eq!(account.copies.payload_read.ops, 5);
    assert_fails(reading(4), "process", "5 reads of element 0, at most 4 allowed");
    assert_fails(reading(3), "process", "4 reads of element 0, at most 3 allowed");
    assert_fails(reading(2), "process", "3 reads of element 0, at most 2 allowed");
}

/// What happens to an element may be known only long after the call.
#[test]
fn an_element_is_dropped_when_nothing_came_of_it() {
    let release = "(call $drop_lease (local.get $lease))";
    let forward = "(call $drop_batch (local.get $batch))
        (return (call $output (call $forward_first (local.get $lease) (i32.const 1))))";
    let join = "(call $drop_batch (local.get $batch)) (return (call $output (call $join_one (local.get $lease))))";
    let lost = "(call $drop_output (call $forward_first (local.get $lease) (i32.const 1)))";
    let nowhere = "(i32.store (i32.const 2048) (i32.const 0))
        (call $forward_all (local.get $lease) (i32.const 2048) (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 64))
        (call $drop_batch (local.get $batch)) (return (call $output (i32.load (i32.const 68))))";
    for exclusive in [false, true] {
        // Of three elements, the first is dropped by the call before.
        for (what, then, dropped) in [
            ("held to the end", String::new(), 3),
            ("released", release.to_string(), 3),
            ("passed on", forward.to_string(), 2),
            (
                "passed on, and released",
                forward
                    .replace("(return (call $output", "(local.set $made")
                    .replace("(i32.const 1))))", "(i32.const 1)))")
                    + release
                    + "(return (call $output (local.get $made)))",
                2,
            ),
            ("joined", join.to_string(), 2),
            ("passed on in an output that is dropped", lost.to_string(), 3),
            ("passed on to nowhere", nowhere.to_string(), 3),
        ] {
            let (result, out) = two(&(take_first(exclusive) + &then), 0);
            let account = result.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((account.elements.dropped, out.len() as u64), (dropped, 3 - dropped), "{what}");
        }
    }
    // A routed element is not dropped, whatever happens to its lease.
    for then in ["", release] {
        let account = two(&(take_first(false) + then), 1).0.unwrap();
        assert_eq!((account.elements.dropped, account.elements.left), (0, 3));
    }
}

#[test]
fn handles_that_are_not_there() {
    for (what, then) in [
        ("dropped", "(call $drop_lease (local.get $lease)) (call $read_held (local.get $lease) (i32.const 0))"),
        ("dropped twice", "(call $drop_lease (local.get $lease)) (call $drop_lease (local.get $lease))"),
        ("made up", "(call $read_held (i32.const 77) (i32.const 0))"),
        ("a batch", "(call $read_held (local.get $batch) (i32.const 0))"),
        ("of a batch", "(call $read_to (local.get $lease) (i32.const 0) (i64.const 0) (i64.const 0))"),
        ("joined", "(drop (call $join_one (i32.const 77)))"),
        ("passed on", "(call $forward_one (local.get $batch) (i32.const 0))"),
        ("an output", "(drop (call $output (local.get $lease))) (return (i32.const 16))"),
    ] {
        let (result, _) = two(&(take_first(false) + then), 1);
        let error = stage_error(result, "process");
        assert!(matches!(error, StageError::Trap { .. }), "{what}: {error:?}");
    }
    // Handles that are kept from call to call, until there are too many.
    let keeps =
        Guest { work: WINDOW.work.replace("2048", "8192").leak(), fields: WINDOW.fields, memory: "4", ..HOLDER };
    let limits = Limits { handles: 10, ..limits() };
    let stage = stage_with("stage", keeps.file().path, &[], limits);
    assert_fails(through(stage, 2000).0, "process", "handle");
}

/// Whatever happens to a stage that holds elements: `through` asserts that none is left.
#[test]
fn a_stage_that_fails_holds_nothing() {
    for exclusive in [false, true] {
        let taken = take_first(exclusive);
        assert_fails(two(&(taken.clone() + "unreachable"), 0).0, "process", "unreachable");
        assert_fails(
            two(&(taken.clone() + "(loop $forever (br $forever))"), 0).0,
            "process",
            "exceeded its time limit",
        );
        assert_fails(
            two(&(taken.clone() + "(call $drop_batch (local.get $batch)) (return (call $fail (i32.const 2)))"), 0).0,
            "process",
            "the stage returned internal",
        );
        let work = with_two(&taken, 0);
        for (guest, call) in [
            (Guest { work: &work, last: "unreachable", ..HOLDER }, "flush"),
            (Guest { work: &work, teardown: "unreachable", ..HOLDER }, "teardown"),
        ] {
            assert_fails(through(holder(guest), 3).0, call, "unreachable");
        }
        // A loop that takes and releases, or takes and is refused, ends at the time limit.
        for then in [
            "(loop $forever (call $drop_lease (call $hold_first (local.get $batch) (i32.const 2) (i32.const 0)))
              (br $forever))",
            "(loop $forever (call $hold_one (local.get $batch) (i32.const 7) (i32.const 0)) (br $forever))",
        ] {
            assert_fails(two(then, 0).0, "process", "exceeded its time limit");
        }
    }
    // Leases that it does not release are released for it, and what it reads during `teardown` is still there.
    let reads = "(call $read_held (global.get $lease) (i32.const 0)) (if (i32.eqz (call $done)) (then unreachable))";
    let fields = "(global $lease (mut i32) (i32.const 0))";
    let work = with_two(&(take_first(false) + "(global.set $lease (local.get $lease))"), 0);
    let account = through(holder(Guest { work: &work, fields, teardown: reads, ..HOLDER }), 3).0.unwrap();
    assert_eq!((account.copies.payload_read.ops, account.stages[0].leases.at_end), (1, 1));
}

/// One element, then a pause, then another. Returns how long the first one existed.
struct Pausing {
    payload: Arc<()>,
    given: Option<Instant>,
    pause: Duration,
    gone: Arc<Mutex<Option<Duration>>>,
}

impl Input for Pausing {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let Some(given) = self.given else {
            self.given = Some(Instant::now());
            pull.give(pull.pool.adopt(Bytes::from_owner(Held(b"abc".to_vec(), self.payload.clone()))));
            return Ok(Pulled::More);
        };
        if Arc::strong_count(&self.payload) == 1 {
            self.gone.lock().expect("no test panics here").get_or_insert(given.elapsed());
        }
        if given.elapsed() < self.pause {
            return Ok(Pulled::Idle);
        }
        pull.give(pull.pool.adopt(Bytes::from_static(b"def")));
        Ok(Pulled::End)
    }
}

/// Asks for timestamps: `$metadata` has the sizes, followed by the timestamps.
const TIMESTAMPS: &str = "(drop (call $ok)) (i32.store (i32.const 20) (i32.const 2)) (i32.const 16)";

#[test]
fn a_deadline_ends_leases_while_nothing_else_happens() {
    // The first call holds the element three times: for 20 ms, for 40 ms and for 60 ms, and drops the last lease. In
    // the second call the others have expired.
    let lease = |name: &str, milliseconds: u32| {
        format!(
            "(call $take (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 1)
              (i64.add (i64.load (i32.add (local.get $metadata) (i32.const 8))) (i64.const {milliseconds}000000))
              (i32.const 64))
            (if (i32.eqz (call $done)) (then unreachable))
            (global.set ${name} (i32.load (i32.const 68)))"
        )
    };
    let over = |does: &str| format!("{does} {}", expect(DEADLINE_EXCEEDED));
    let one = "(if (i32.ne (call $lease_len (global.get $one)) (i32.const 1)) (then unreachable))";
    let work = format!(
        "(if (i32.eqz (global.get $calls))
          (then {} {} {}
            (call $read_held (global.get $two) (i32.const 0)) (if (i32.eqz (call $done)) (then unreachable))
            (call $drop_lease (global.get $three)))
          (else {} {} {} {one} (call $drop_lease (global.get $one))))
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 0))",
        lease("one", 20),
        lease("two", 40),
        lease("three", 6000),
        over("(call $read_held (global.get $one) (i32.const 0))"),
        over("(call $forward_one (global.get $two) (i32.const 0))"),
        over(
            "(i32.store (i32.const 2048) (global.get $two)) (call $join (i32.const 2048) (i32.const 1) (i32.const 1) (i32.const 64))"
        ),
    );
    let fields = "(global $calls (mut i32) (i32.const 0)) (global $one (mut i32) (i32.const 0))
        (global $two (mut i32) (i32.const 0)) (global $three (mut i32) (i32.const 0))";
    let guest = Guest { work: &work, fields, init: TIMESTAMPS, ..HOLDER };
    let gone = Arc::default();
    let source =
        Pausing { payload: Arc::new(()), given: None, pause: Duration::from_millis(400), gone: Arc::clone(&gone) };
    let account = run(vec![input(source), holder(guest), output("out", Collected::default())]).unwrap();
    let gone = gone.lock().unwrap().expect("the payload is gone before the flow goes on");
    assert!(gone >= Duration::from_millis(40), "as long as the longer of both leases: {gone:?}");
    assert!(gone < Duration::from_millis(300), "{gone:?}");
    let leases = account.stages[0].leases;
    assert_eq!((leases.taken, leases.expired, leases.at_end, leases.elements_max), (3, 2, 0, 3));
    assert_eq!((account.elements.dropped, account.copies.payload_read.ops), (2, 1));
}

/// A flow that waits only for leases ends when they do, and one that ends earlier does not wait for them.
#[test]
fn a_flow_does_not_wait_for_a_deadline() {
    let far = "(call $take (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 1)
          (i64.const -1) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))";
    let account = two(far, 1).0.unwrap();
    assert_eq!((account.stages[0].leases.at_end, account.stages[0].leases.expired), (1, 0));
}

/// A sink may hold elements without an effect, and a source has none to hold.
#[test]
fn sinks_that_hold() {
    let guest = Guest { work: "(call $drop_batch (local.get $batch)) (call $ok)", ..SINK };
    let account = run(vec![input(Elements::new(["abc"])), stage("sink", guest.file().path, &[])]).unwrap();
    assert_eq!(account.stages[0].leases, Default::default());
}

#[test]
fn leases_are_taken_only_of_a_batch() {
    // In `flush` there is none: the handle of an earlier batch is no longer valid.
    let fields = "(global $batch (mut i32) (i32.const 0))";
    let work = "(global.set $batch (local.get $batch)) (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";
    let last = "(call $hold_one (global.get $batch) (i32.const 0) (i32.const 0)) (call $ok)";
    let (result, _) = through(holder(Guest { work, last, fields, ..HOLDER }), 3);
    assert!(matches!(stage_error(result, "flush"), StageError::Trap { .. }));
    // Elements can be made only where they can be returned.
    let fields = "(global $lease (mut i32) (i32.const 0))";
    let work = with_two(&(take_first(false) + "(global.set $lease (local.get $lease))"), 0);
    for does in [
        "(call $forward_one (global.get $lease) (i32.const 0))",
        "(i32.store (i32.const 2048) (global.get $lease)) (call $join (i32.const 2048) (i32.const 1) (i32.const 1) (i32.const 64))",
    ] {
        let teardown = format!("{does} {}", expect(INVALID_INPUT));
        through(holder(Guest { work: &work, fields, teardown: &teardown, ..HOLDER }), 3).0.unwrap();
    }
}
