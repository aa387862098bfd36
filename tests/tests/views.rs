//! Elements that are made from others without a copy, combined outputs, and payloads that are written piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use torvyn_runtime::contract::{Budget, Limited, Overrun};
use torvyn_runtime::ledger::Count;
use torvyn_runtime::{Account, Error, Limits, StageError};
use torvyn_tests::guest::{Guest, HOLDER, SOURCE};
use torvyn_tests::{Collected, Elements, Part, input, output, run, stage, stage_with};

/// A payload that shows whether anything still has it.
struct Held(&'static str, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn holder(guest: Guest<'_>) -> Part {
    stage("stage", guest.file().path, &[])
}

/// Runs the stage on `abc`, and then on `defg` and `hi` in one call. Afterwards none of them is left.
fn through(stage: Part) -> (Result<Account, Error>, Vec<(u64, String)>) {
    let held = Arc::new(());
    let payloads = ["abc", "defg", "hi"].map(|payload| Bytes::from_owner(Held(payload, held.clone())));
    let out = Collected::default();
    let result = run(vec![input(Elements::new(payloads)), stage, output("out", out.clone())]);
    assert_eq!(Arc::strong_count(&held), 1, "no payload is left");
    let texts = out.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text"));
    (result, out.sequences().into_iter().zip(texts).collect())
}

/// The first element is dropped. The instructions for the other two leave an output in `$made`.
fn with_two(then: &str) -> String {
    format!(
        "(local $made i32) (local $other i32) (local $buffer i32)
        (if (i32.eq (local.get $count) (i32.const 1)) (then
          (call $drop_batch (local.get $batch)) (return (call $all_to (local.get $count) (i32.const 0)))))
        {then}
        (call $drop_batch (local.get $batch))
        (call $output (local.get $made))"
    )
}

fn two(then: &str) -> (Result<Account, Error>, Vec<(u64, String)>) {
    through(holder(Guest { work: &with_two(then), ..HOLDER }))
}

/// The refusal of the host; the elements are forwarded.
fn refused(then: &str, failure: u32) -> Account {
    let work = with_two(&format!(
        "{then} (call $expect_failure (i32.const {failure})) (call $drop_batch (local.get $batch))
        (return (call $all_to (local.get $count) (i32.const 1)))"
    ));
    let (result, out) = through(holder(Guest { work: &work, memory: "200", ..HOLDER }));
    let account = result.unwrap_or_else(|error| panic!("{then}: {error}"));
    assert_eq!(out, [(1, "defg".to_string()), (2, "hi".to_string())], "{then}");
    account
}

const INVALID_INPUT: u32 = 0;
const OUT_OF_BOUNDS: u32 = 5;
const LIMIT_EXCEEDED: u32 = 7;

/// Slices elements: index, offset, length and outputs of each slice.
fn slices(parts: &[(u32, u64, u64, u32)]) -> String {
    let mut text = String::new();
    for (entry, (index, offset, len, outputs)) in parts.iter().enumerate() {
        let (four, eight) = (4 * entry, 8 * entry);
        text += &format!(
            "(i32.store (i32.const {}) (i32.const {index})) (i64.store (i32.const {}) (i64.const {}))
            (i64.store (i32.const {}) (i64.const {})) (i32.store (i32.const {}) (i32.const {outputs}))",
            1024 + four,
            1536 + eight,
            *offset as i64,
            2048 + eight,
            *len as i64,
            2560 + four
        );
    }
    text + &slice_all(parts.len(), parts.len(), parts.len(), parts.len())
}

/// With columns of these lengths.
fn slice_all(indices: usize, offsets: usize, lens: usize, outputs: usize) -> String {
    format!(
        "(call $slice_all (local.get $batch) (i32.const 1024) (i32.const {indices}) (i32.const 1536) (i32.const {offsets})
          (i32.const 2048) (i32.const {lens}) (i32.const 2560) (i32.const {outputs}) (i32.const 64))"
    )
}

const MADE: &str = "(if (i32.eqz (call $done)) (then unreachable)) (local.set $made (i32.load (i32.const 68)))";
const OTHER: &str = "(if (i32.eqz (call $done)) (then unreachable)) (local.set $other (i32.load (i32.const 68)))";
const APPEND: &str = "(call $output_append (local.get $made) (local.get $other))";

fn texts(out: &[(u64, String)]) -> Vec<(u64, &str)> {
    out.iter().map(|(sequence, text)| (*sequence, text.as_str())).collect()
}

#[track_caller]
fn assert_fails(result: Result<Account, Error>, call: &str, cause: &str) {
    match result {
        Err(Error::Stage { stage, call: failed, source, .. }) if stage == "stage" && failed == call => {
            assert!(source.to_string().contains(cause), "expected `{cause}`: {source}");
        }
        other => panic!("expected a failure in `{call}`: {other:?}"),
    }
}

#[test]
fn parts_of_payloads() {
    let parts = [(1, 0, 2, 1), (0, 1, 3, 1), (0, 0, 2, 1), (0, 4, 0, 1), (1, 1, 1, 0)];
    let (result, out) = two(&(slices(&parts) + MADE));
    assert_eq!(texts(&out), [(2, "hi"), (1, "efg"), (1, "de"), (1, "")]);
    let account = result.unwrap();
    assert_eq!((account.copies.payload_bytes(), account.copies.host_serialize.bytes), (0, 0));
    let stage = &account.stages[0];
    assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (3, 4, 1));
    // Without outputs, all go to the first. An element of which nothing is made is dropped.
    let (result, out) = two(&(slices(&[(1, 1, 1, 7)])
        .replace("(i32.const 2560) (i32.const 1)", "(i32.const 2560) (i32.const 0)")
        + MADE));
    assert_eq!((result.unwrap().elements.dropped, texts(&out)), (2, vec![(2, "i")]));
    // Of no element.
    let (result, out) = two(&(slices(&[]) + MADE));
    assert_eq!((result.unwrap().elements.dropped, out.len()), (3, 0));
}

#[test]
fn parts_that_are_refused() {
    for (what, slices, failure) in [
        ("past the end", slices(&[(0, 0, 1, 1), (0, 2, 3, 1)]), OUT_OF_BOUNDS),
        ("around the end", slices(&[(0, u64::MAX, 2, 1)]), OUT_OF_BOUNDS),
        ("long", slices(&[(0, 0, u64::MAX, 1)]), OUT_OF_BOUNDS),
        ("no element", slices(&[(2, 0, 0, 1)]), OUT_OF_BOUNDS),
        ("none", slices(&[(u32::MAX, 0, 0, 1)]), OUT_OF_BOUNDS),
        ("few offsets", slice_all(2, 1, 2, 0), INVALID_INPUT),
        ("many lengths", slice_all(2, 2, 3, 0), INVALID_INPUT),
        ("few outputs", slice_all(2, 2, 2, 1), INVALID_INPUT),
        ("thousands", slice_all(1 + (1 << 20), 1 + (1 << 20), 1 + (1 << 20), 0), LIMIT_EXCEEDED),
    ] {
        assert_eq!(refused(&slices, failure).copies.payload_bytes(), 0, "{what}");
    }
    let beyond = two(&(slices(&[(0, 0, 1, 2)]) + MADE)).0;
    assert_fails(beyond, "process", "output index 1 is out of range: 1 output is declared");
}

/// A payload of many pieces, sliced often: pieces are counted over the call.
#[test]
fn parts_of_many_pieces() {
    let join = "(local $lease i32) (local $at i32)
        (local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const 0)))
        (local.set $at (i32.const 65536))
        (loop $more
          (i32.store (local.get $at) (local.get $lease))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 69536))))
        (call $join (i32.const 65536) (i32.const 1000) (i32.const 1) (i32.const 64))
        (call $drop_batch (local.get $batch)) (call $drop_lease (local.get $lease))
        (call $output (i32.load (i32.const 68)))";
    // The whole payload, until there are a million pieces, and once more.
    let cut = |times: u32| {
        format!(
            "(local $at i32)
            (loop $more
              (i64.store (i32.add (i32.const 131072) (i32.mul (local.get $at) (i32.const 8))) (i64.const 2000))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br_if $more (i32.lt_u (local.get $at) (i32.const {times}))))
            (call $slice_all (local.get $batch) (i32.const 65536) (i32.const {times}) (i32.const 65536) (i32.const {times})
              (i32.const 131072) (i32.const {times}) (i32.const 0) (i32.const 0) (i32.const 64))
            (call $drop_batch (local.get $batch))
            (if (call $done) (then (return (call $output (i32.load (i32.const 68))))))
            (i32.const 64)"
        )
    };
    let cutting = |times| {
        let out = Collected::default();
        let cut = cut(times);
        let parts = vec![
            input(Elements::new(["ab"])),
            holder(Guest { work: join, memory: "4", ..HOLDER }).named("join"),
            holder(Guest { work: &cut, memory: "4", ..HOLDER }),
            output("out", out.clone()),
        ];
        (run(parts), out.payloads().len())
    };
    let (result, out) = cutting(1048);
    assert_eq!((result.unwrap().copies.payload_bytes(), out), (0, 1048));
    assert_fails(cutting(1049).0, "process", "can make payloads of at most 1048576 pieces in one call");
}

/// `emit-all` of a payload `XY` and of element 1 by handle.
const EMIT: &str = "(i32.store16 (i32.const 3000) (i32.const 0x5958))
    (i64.store (i32.const 3008) (i64.const 2)) (i64.store (i32.const 3016) (i64.const -1))
    (i32.store (i32.const 3024) (i32.const 0)) (i32.store (i32.const 3028) (i32.const 1))
    (drop (call $emit (i32.const 3000) (i32.const 2) (i32.const 3008) (i32.const 2)
      (i32.const 3024) (i32.const 2) (i32.const 0) (i32.const 0)))";

#[test]
fn outputs_are_put_together() {
    let cut = slices(&[(0, 3, 1, 1)]);
    let (result, out) = two(&format!("{cut} {MADE} {EMIT} {OTHER} {APPEND} {cut} {OTHER} {APPEND}"));
    assert_eq!(texts(&out), [(1, "g"), (1, "XY"), (2, "hi"), (1, "g")]);
    let account = result.unwrap();
    assert_eq!((account.copies.payload_write.ops, account.elements.dropped), (1, 1));
    // An output that was combined before.
    let (result, out) = two(&format!(
        "{EMIT} {OTHER} {cut} {MADE} {APPEND} (local.set $other (local.get $made)) {cut} {MADE} {APPEND}"
    ));
    assert_eq!(texts(&out), [(1, "g"), (1, "g"), (1, "XY"), (2, "hi")]);
    result.unwrap();
    // By handle, an element goes to each output once, over all combined outputs.
    let twice = two(&format!("{EMIT} {MADE} {EMIT} {OTHER} {APPEND}")).0;
    assert_fails(twice, "process", "an element is sent to output 0 twice");
    // Written, and not in any returned output.
    let lost = two(&format!("{EMIT} {OTHER} {cut} {MADE} (call $drop_output (local.get $other))")).0;
    assert_fails(lost, "process", "its output lacks 1 payload that it wrote");
}

#[test]
fn outputs_that_are_not_there() {
    let cut = slices(&[(0, 3, 1, 1)]);
    for (what, then) in [
        ("itself", format!("{cut} {MADE} (call $output_append (local.get $made) (local.get $made))")),
        ("twice", format!("{cut} {MADE} {cut} {OTHER} {APPEND} {APPEND}")),
        ("a batch", format!("{cut} {MADE} (call $output_append (local.get $made) (local.get $batch))")),
    ] {
        let Err(Error::Stage { source: StageError::Trap { .. }, .. }) = two(&then).0 else { panic!("{what}") };
    }
    // Of another call, on either side.
    let fields = "(global $kept (mut i32) (i32.const 0))";
    for append in [
        "(call $output_append (global.get $kept) (local.get $made))",
        "(call $output_append (local.get $made) (global.get $kept))",
    ] {
        let work = format!(
            "(local $made i32) {cut} {MADE}
            (if (global.get $kept) (then {append}))
            (global.set $kept (local.get $made))
            (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))",
            cut = slices(&[(0, 0, 1, 1)])
        );
        assert_fails(
            through(holder(Guest { work: &work, fields, ..HOLDER })).0,
            "process",
            "an output belongs to another call",
        );
    }
}

/// A combined output has at most as many elements as a call can make.
#[test]
fn outputs_put_together_are_bounded() {
    let many = format!(
        "(i32.store (i32.const 1024) (i32.const 0)) (i64.store (i32.const 1536) (i64.const 0))
        (i64.store (i32.const 2048) (i64.const 1))
        {cut} {MADE}
        (loop $more
          {cut}
          (if (call $done) (then (call $output_append (local.get $made) (i32.load (i32.const 68))) (br $more))))
        (call $expect_failure (i32.const {LIMIT_EXCEEDED}))",
        cut = slice_all(1, 1, 1, 0)
    );
    let (result, out) = two(&many);
    result.unwrap();
    assert_eq!(out.len(), 1024);
}

/// Allocates `$buffer`, and writes `abcdef` to it in two pieces.
const PIECES: &str = "(i64.store (i32.const 3000) (i64.const 0x666564636261))
    (local.set $buffer (call $room (i64.const 6)))
    (if (i32.eqz (call $write (local.get $buffer) (i32.const 3000) (i32.const 2))) (then unreachable))
    (if (i32.eqz (call $write (local.get $buffer) (i32.const 3002) (i32.const 4))) (then unreachable))";

fn freeze(lineage: i32) -> String {
    format!("(drop (call $frozen (local.get $buffer) (i32.const {lineage}) (i32.const 1))) {MADE}")
}

#[test]
fn payloads_are_written_piece_by_piece() {
    let over = "(call $write_at (local.get $buffer) (i64.const 1) (i32.const 3001) (i32.const 0) (i32.const 64))
        (call $write_at (local.get $buffer) (i64.const 0) (i32.const 3003) (i32.const 3) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))";
    let (result, out) = two(&(PIECES.to_string() + over + &freeze(1)));
    assert_eq!(texts(&out), [(2, "defdef")]);
    let account = result.unwrap();
    let stage = &account.stages[0];
    assert_eq!(account.copies.payload_write, Count { ops: 4, bytes: 9 });
    assert_eq!((stage.rewritten, stage.given_up), (Count { ops: 3, bytes: 3 }, Count::default()));
    assert_eq!((stage.writes_max, stage.elements_dropped), (4, 2));
    // An empty payload counts as written once.
    let (result, out) = two(&("(local.set $buffer (call $room (i64.const 0)))".to_string() + &freeze(-1)));
    let account = result.unwrap();
    assert_eq!(texts(&out), [(2, "")]);
    assert_eq!((account.copies.payload_write, account.stages[0].writes_max), (Count { ops: 1, bytes: 0 }, 0));
    // Together with payloads that are written at once.
    let (result, out) = two(&format!("{PIECES} {} {EMIT} {OTHER} {APPEND}", freeze(0)));
    assert_eq!(texts(&out), [(1, "abcdef"), (1, "XY"), (2, "hi")]);
    assert_eq!(result.unwrap().stages[0].writes_max, 3);
}

#[test]
fn writes_that_do_not_fit() {
    let given_up = "(call $drop_buffer (local.get $buffer))";
    for (then, failure) in [
        ("(drop (call $write (local.get $buffer) (i32.const 3000) (i32.const 1)))", LIMIT_EXCEEDED),
        (
            "(call $write_at (local.get $buffer) (i64.const 4) (i32.const 0) (i32.const 3) (i32.const 64))",
            OUT_OF_BOUNDS,
        ),
        (
            "(call $write_at (local.get $buffer) (i64.const -1) (i32.const 0) (i32.const 2) (i32.const 64))",
            OUT_OF_BOUNDS,
        ),
        (
            "(call $write_at (local.get $buffer) (i64.const 7) (i32.const 0) (i32.const 0) (i32.const 64))",
            OUT_OF_BOUNDS,
        ),
        // 64 MiB in total: six of them are accepted.
        ("(call $allocate (i64.const 67108859) (i32.const 64))", LIMIT_EXCEEDED),
        ("(call $allocate (i64.const -1) (i32.const 64))", LIMIT_EXCEEDED),
    ] {
        let account = refused(&format!("{PIECES} {then} {given_up}"), failure);
        assert_eq!(account.stages[0].given_up, Count { ops: 2, bytes: 6 });
        assert_eq!(account.copies.payload_write, Count { ops: 2, bytes: 6 });
    }
    // A discarded buffer makes room.
    refused(
        &format!(
            "{PIECES} {given_up} (call $drop_buffer (call $room (i64.const 67108864)))
        (call $allocate (i64.const 67108865) (i32.const 64))"
        ),
        LIMIT_EXCEEDED,
    );
    // Payloads frozen in one call have the same limits as payloads written in one.
    let large = "(local.set $made (call $empty))
        (loop $more
          (local.set $buffer (call $room (i64.const 1000000)))
          (if (i32.eqz (call $write (local.get $buffer) (i32.const 65536) (i32.const 1000000))) (then unreachable))
          (if (call $frozen (local.get $buffer) (i32.const -1) (i32.const 1))
            (then (call $output_append (local.get $made) (i32.load (i32.const 68))) (br $more))))
        (call $expect_failure (i32.const 7))";
    let work = with_two(large);
    let limits = Limits { output_bytes: 4 << 20, ..Limits::default() };
    let file = Guest { work: &work, memory: "20", ..HOLDER }.file();
    let (result, out) = through(stage_with("stage", &file.path, &[], limits));
    assert_eq!((out.len(), result.unwrap().stages[0].given_up.bytes), (4, 1_000_000));
}

#[test]
fn a_frozen_payload_cannot_be_written() {
    for then in [
        "(drop (call $write (local.get $buffer) (i32.const 3000) (i32.const 0)))",
        "(call $write_at (local.get $buffer) (i64.const 0) (i32.const 3000) (i32.const 1) (i32.const 64))",
        "(drop (call $frozen (local.get $buffer) (i32.const -1) (i32.const 1)))",
        "(call $drop_buffer (local.get $buffer))",
    ] {
        let (result, _) = two(&format!("{PIECES} {} {then}", freeze(0)));
        assert_fails(result, "process", "handle index");
    }
    let gone = two(&(PIECES.to_string() + &freeze(2))).0;
    assert_fails(gone, "process", "`lineage` has element 2, but the batch has 2 elements");
    let lost = two(&(PIECES.to_string()
        + &freeze(0)
        + "(call $drop_output (local.get $made)) (local.set $made (call $empty))"))
    .0;
    assert_fails(lost, "process", "its output lacks 1 payload that it wrote");
}

/// One payload of everything that is read, started in the first call and frozen in the last.
const BULK: Guest<'static> = Guest {
    fields: "(global $buffer (mut i32) (i32.const 0))",
    work: "(if (i32.eqz (global.get $buffer)) (then (global.set $buffer (call $room (i64.const 100)))))
        (call $read_all (local.get $batch) (i32.const 64))
        (if (i32.eqz (call $write (global.get $buffer) (i32.load (i32.const 68)) (i32.load (i32.const 72))))
          (then unreachable))
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const 0))",
    last: "(drop (call $frozen (global.get $buffer) (i32.const -1) (i32.const 1)))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $output (i32.load (i32.const 68)))",
    ..HOLDER
};

#[test]
fn a_payload_is_made_over_several_calls() {
    let (result, out) = through(holder(BULK));
    assert_eq!(texts(&out), [(2, "abcdefghi")]);
    let account = result.unwrap();
    assert_eq!(account.copies.payload_write, Count { ops: 2, bytes: 9 });
    assert_eq!(account.stages[0].rewritten, Count { ops: 1, bytes: 0 });
    // It is started and discarded: at the end, by a failure, or by a trap.
    let account = through(holder(Guest { last: "(call $ok)", ..BULK })).0.unwrap();
    assert_eq!(account.stages[0].given_up, Count { ops: 2, bytes: 9 });
    assert_fails(through(holder(Guest { last: "(call $fail (i32.const 2))", ..BULK })).0, "flush", "internal");
    assert_fails(through(holder(Guest { last: "unreachable", ..BULK })).0, "flush", "unreachable");
    // Where no elements can be made, it is discarded.
    let late = "(drop (call $frozen (global.get $buffer) (i32.const -1) (i32.const 1)))
        (call $expect_failure (i32.const 0))";
    let account = through(holder(Guest { last: "(call $ok)", teardown: late, ..BULK })).0.unwrap();
    assert_eq!(account.stages[0].given_up, Count { ops: 2, bytes: 9 });
}

fn writes(writes: u32) -> Budget {
    Budget { writes: Some(writes), ..Budget::default() }
}

#[test]
fn pieces_beyond_the_budget() {
    let overrun = |result: Result<Account, Error>| match result {
        Err(Error::Stage { source: StageError::Budget(overrun), .. }) => overrun,
        other => panic!("expected a budget to be exceeded: {other:?}"),
    };
    let pieces = PIECES.to_string() + &freeze(1);
    let guest = |then: &str| holder(Guest { work: &with_two(then), ..HOLDER });
    through(guest(&pieces).budget(writes(2))).0.unwrap();
    let beyond = |what, element, count, limit| Overrun { what, element, count, limit };
    // Two writes to one payload, where each may have one.
    let (result, _) = through(guest(&pieces).budget(writes(1)));
    assert_eq!(overrun(result), beyond(Limited::Writes, None, 2, 1));
    // Together with the write for the previous element. Nothing that the stage does then makes up for the refusal.
    let then = format!("{EMIT} {MADE} {PIECES} (drop (call $frozen (local.get $buffer) (i32.const 0) (i32.const 1)))");
    let (result, _) = through(guest(&then).budget(writes(2)));
    assert_eq!(overrun(result), beyond(Limited::Writes, Some(1), 3, 2));
    // No buffer is allocated that could not be written to.
    let begun = "(call $allocate (i64.const 1) (i32.const 64)) (call $expect_failure (i32.const 6))
        (local.set $made (call $empty))";
    let (result, _) = through(guest(begun).budget(writes(0)));
    assert_eq!(overrun(result), beyond(Limited::Writes, None, 1, 0));
    // Over all calls, not more than for the elements received.
    let many = "(local.set $buffer (call $room (i64.const 1)))
        (drop (call $write (local.get $buffer) (i32.const 0) (i32.const 0)))";
    let often =
        many.to_string() + &many.replace("(local.set $buffer (call $room (i64.const 1)))", "").repeat(3) + &freeze(-1);
    through(guest(&often).budget(writes(4))).0.unwrap();
    let (result, _) = through(guest(&often.repeat(4)).budget(writes(4)));
    assert_eq!(overrun(result), beyond(Limited::Writes, None, 13, 12));
}

/// The budget of a source is per payload.
#[test]
fn a_source_writes_piece_by_piece() {
    let fields = "(global $made (mut i32) (i32.const 0))";
    let work = "(local $buffer i32)
        (if (i32.eq (global.get $made) (i32.const 3)) (then (return (call $ok))))
        (global.set $made (i32.add (global.get $made) (i32.const 1)))
        (i32.store (i32.const 3000) (i32.const 0x64636261))
        (local.set $buffer (call $room (i64.const 4)))
        (drop (call $write (local.get $buffer) (i32.const 3000) (i32.const 1)))
        (drop (call $write (local.get $buffer) (i32.const 3001) (i32.const 3)))
        (drop (call $frozen (local.get $buffer) (i32.const -1) (i32.const 1)))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $output (i32.load (i32.const 68)))";
    let guest = Guest { work, fields, holds: true, ..SOURCE };
    let source = |budget| {
        let out = Collected::default();
        (run(vec![holder(guest).budget(budget), output("out", out.clone())]), out.payloads())
    };
    let (result, out) = source(writes(2));
    let account = result.unwrap();
    assert_eq!((out, account.elements.entered), (vec![b"abcd".to_vec(); 3], 3));
    assert_eq!((account.copies.payload_write, account.amplification), (Count { ops: 6, bytes: 12 }, Some(1.0)));
    let Err(Error::Stage { call: "pull", source: StageError::Budget(overrun), .. }) = source(writes(1)).0 else {
        panic!("a budget is exceeded")
    };
    assert_eq!(overrun, Overrun { what: Limited::Writes, element: None, count: 2, limit: 1 });
    assert_fails(source(writes(0)).0, "pull", "at most 0 allowed");
}
