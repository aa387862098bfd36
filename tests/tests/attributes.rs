//! Malicious stages and attributes: they name elements that are not in the batch, use misleading names, and set more
//! than there is room for. A refused call changes nothing, and what the host keeps is bounded.

use bytes::Bytes;
use torvyn_runtime::ledger::Count;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::{Account, Error, Limits};
use torvyn_tests::guest::{Guest, HOLDER, HOST_RESULT, PROCESSOR, ROUTER, SINK};
use torvyn_tests::{Collected, Elements, input, output, run, stage_with};

/// The import of `attributes`, and its functions lowered.
const DEFINITIONS: &str = r#"
  (import "torvyn:streaming/attributes@0.2.0" (instance $attributes
    (export "batch" (type $lent (eq $batch)))
    (export "failure" (type $why (eq $failure)))
    (export "get" (func (param "of" (borrow $lent)) (param "index" u32) (param "name" string)
      (result (result (option string) (error $why)))))
    (export "all" (func (param "of" (borrow $lent)) (param "index" u32)
      (result (result (list (tuple string string)) (error $why)))))
    (export "set" (func (param "of" (borrow $lent)) (param "index" u32) (param "name" string)
      (param "value" (option string)) (result (result (error $why)))))))
  (core func $get (canon lower (func $attributes "get") (memory $memory) (realloc $realloc)))
  (core func $all (canon lower (func $attributes "all") (memory $memory) (realloc $realloc)))
  (core func $set (canon lower (func $attributes "set") (memory $memory) (realloc $realloc)))
"#;

const IMPORTS: &str = r#"(export "get" (func $get)) (export "all" (func $all)) (export "set" (func $set))"#;

/// The functions, with their most common arguments: a name at 3072, where the data there begins, and a value at 3136.
const FIELDS: &str = r#"
  (import "host" "get" (func $get (param i32 i32 i32 i32 i32)))
  (import "host" "all" (func $all (param i32 i32 i32)))
  (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 3072) "name")
  (data (i32.const 3136) "value")
  (func $get_name (param $batch i32) (param $index i32) (param $len i32)
    (call $get (local.get $batch) (local.get $index) (i32.const 3072) (local.get $len) (i32.const 64)))
  (func $set_name (param $batch i32) (param $index i32) (param $len i32) (param $value i32)
    (call $set (local.get $batch) (local.get $index) (i32.const 3072) (local.get $len)
      (i32.const 1) (i32.const 3136) (local.get $value) (i32.const 64)))
  (func $remove_name (param $batch i32) (param $index i32) (param $len i32)
    (call $set (local.get $batch) (local.get $index) (i32.const 3072) (local.get $len)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)))
  ;; Writes eight hexadecimal digits to the name.
  (func $number (param $number i32)
    (local $at i32) (local $digit i32)
    (local.set $at (i32.const 3080))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (local.set $digit (i32.and (local.get $number) (i32.const 15)))
      (i32.store8 (local.get $at) (i32.add (local.get $digit)
        (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 9)))))
      (local.set $number (i32.shr_u (local.get $number) (i32.const 4)))
      (br_if $next (i32.gt_u (local.get $at) (i32.const 3072)))))
  (func $expect_done (if (i32.eqz (call $done)) (then unreachable)))
"#;

const DROP_AND_FORWARD: &str = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";

// The cases of `failure`: `invalid-input`, `out-of-bounds` and `limit-exceeded`.
const INVALID: u32 = 0;
const OUT_OF_BOUNDS: u32 = 5;
const LIMIT: u32 = 7;

/// Runs a guest that imports `attributes` on this many elements, with `work` in it.
fn with_attributes(
    guest: Guest<'_>,
    work: &str,
    elements: usize,
    limits: Limits,
) -> (Collected, Result<Account, Error>) {
    let guest = Guest { definitions: DEFINITIONS, imports: IMPORTS, fields: FIELDS, work, ..guest };
    let out = Collected::default();
    let elements = input(Elements::new((0..elements).map(|_| Bytes::from_static(b"abc"))));
    let hostile = stage_with("hostile", guest.file().path, &[], limits);
    let parts = match guest.role {
        Role::Sink => vec![elements, hostile],
        _ => vec![elements, hostile, output("out", out.clone())],
    };
    (out, run(parts))
}

/// Runs a router that executes these instructions in its one call, for one element, and then forwards it.
fn forwards(work: &str) -> (Collected, Account) {
    let work = format!("{work} {DROP_AND_FORWARD}");
    let (out, ran) = with_attributes(ROUTER, &work, 1, Limits::default());
    (out, ran.expect("it behaves well enough"))
}

#[track_caller]
fn assert_fails(guest: Guest<'_>, work: &str, cause: &str) {
    let (_, ran) = with_attributes(guest, work, 3, Limits { memory: 8 << 20, ..Limits::default() });
    let error = ran.expect_err("it fails");
    let Error::Stage { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains(cause), "expected `{cause}`: {error:?}");
}

#[test]
fn a_guest_that_behaves() {
    let work = "
        (call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 5)) (call $expect_done)
        (call $get_name (local.get $batch) (i32.const 0) (i32.const 4)) (call $expect_done)
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 76)) (i32.const 5)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.load (i32.const 72))) (i32.const 0x76)) (then unreachable))
        (call $get_name (local.get $batch) (i32.const 0) (i32.const 3)) (call $expect_done)
        (if (i32.load8_u (i32.const 68)) (then unreachable))
        (call $all (local.get $batch) (i32.const 0) (i32.const 64)) (call $expect_done)
        (if (i32.ne (i32.load (i32.const 72)) (i32.const 1)) (then unreachable))";
    let (out, account) = forwards(work);
    assert_eq!(out.attributes(), ["name=value"]);
    // The size and the route; and the bytes of `set`, of both `get` and of `all`, in both directions.
    let copies = account.stages[0].copies;
    assert_eq!(copies.metadata_marshal, Count { ops: 2 + 5, bytes: 8 + 4 + (9 + (4 + 5) + 3 + 9) });
    assert_eq!(copies.payload_bytes(), 0);
}

/// The host checks the index of an element, in each of 10^5 calls.
#[test]
fn elements_that_were_not_lent() {
    let work = format!(
        "(local $random i32) (local $left i32)
        (local.set $random (i32.const 0x2545f491))
        (local.set $left (i32.const 100000))
        (loop $next
          (local.set $random (i32.xor (local.get $random) (i32.shl (local.get $random) (i32.const 13))))
          (local.set $random (i32.xor (local.get $random) (i32.shr_u (local.get $random) (i32.const 17))))
          (local.set $random (i32.xor (local.get $random) (i32.shl (local.get $random) (i32.const 5))))
          (if (i32.ge_u (local.get $random) (local.get $count)) (then
            (call $get_name (local.get $batch) (local.get $random) (i32.const 4))
            (call $expect_failure (i32.const {OUT_OF_BOUNDS}))
            (call $all (local.get $batch) (local.get $random) (i32.const 64))
            (call $expect_failure (i32.const {OUT_OF_BOUNDS}))
            (call $set_name (local.get $batch) (local.get $random) (i32.const 4) (i32.const 5))
            (call $expect_failure (i32.const {OUT_OF_BOUNDS}))
            (call $remove_name (local.get $batch) (local.get $random) (i32.const 4))
            (call $expect_failure (i32.const {OUT_OF_BOUNDS}))))
          (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $get_name (local.get $batch) (local.get $count) (i32.const 4))
        (call $expect_failure (i32.const {OUT_OF_BOUNDS}))"
    );
    let (out, account) = forwards(&work);
    assert_eq!(out.attributes(), [""]);
    assert_eq!(account.stages[0].copies.metadata_marshal.ops, 2, "what is refused is not copied");
}

#[test]
fn handles_that_are_no_batch_of_this_call() {
    let get = |handle: &str| format!("(call $get_name {handle} (i32.const 0) (i32.const 4)) unreachable");
    let dropped = format!("(call $drop_batch (local.get $batch)) {}", get("(local.get $batch)"));
    assert_fails(ROUTER, &dropped, "unknown handle index");
    assert_fails(ROUTER, &get("(i32.const 0)"), "unknown handle index");
    assert_fails(ROUTER, &get("(i32.const -1)"), "unknown handle index");
    // An output in place of the batch, and a lease.
    assert_fails(PROCESSOR, &get("(call $empty)"), "used with the wrong type");
    let lease = get("(call $hold_first (local.get $batch) (i32.const 1) (i32.const 0))");
    assert_fails(HOLDER, &lease, "used with the wrong type");
    // The handle of an earlier call is no longer valid, whether it was dropped or not.
    let keeps = "(call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 5))
        (call $all_to (local.get $count) (i32.const 1))";
    assert_fails(ROUTER, keeps, "borrow handles still remain at the end of the call");
}

/// An exclusively held element has left the batch: its attributes can no longer be read or set through the batch, and
/// it keeps those that it had. The other elements of the batch are dropped.
#[test]
fn what_left_the_batch() {
    let work = format!(
        "(local $lease i32) (local $output i32)
        (i32.store (i32.const 3072) (i32.const 0x656d616e))
        (call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 5)) (call $expect_done)
        (local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const 1)))
        (i32.store (i32.const 3072) (i32.const 0x656d616e))
        (call $get_name (local.get $batch) (i32.const 0) (i32.const 4))
        (call $expect_failure (i32.const {OUT_OF_BOUNDS}))
        (call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 1))
        (call $expect_failure (i32.const {OUT_OF_BOUNDS}))
        (if (i32.gt_u (local.get $count) (i32.const 1)) (then
          (call $set_name (local.get $batch) (i32.const 1) (i32.const 4) (i32.const 1)) (call $expect_done)))
        (local.set $output (call $forward_first (local.get $lease) (i32.const 1)))
        (call $drop_lease (local.get $lease))
        (call $drop_batch (local.get $batch))
        (call $output (local.get $output))"
    );
    // Two calls, of one element and of two.
    let (out, ran) = with_attributes(HOLDER, &work, 3, Limits::default());
    assert_eq!(ran.expect("it behaves").elements.dropped, 1);
    assert_eq!(out.attributes(), ["name=value"; 2]);
}

#[test]
fn names_that_mislead() {
    let refused = |store: &str, len: u32, failure: u32| {
        format!(
            "{store}
            (call $get_name (local.get $batch) (i32.const 0) (i32.const {len}))
            (call $expect_failure (i32.const {failure}))
            (call $set_name (local.get $batch) (i32.const 0) (i32.const {len}) (i32.const 5))
            (call $expect_failure (i32.const {failure}))
            (call $remove_name (local.get $batch) (i32.const 0) (i32.const {len}))
            (call $expect_failure (i32.const {failure}))"
        )
    };
    for (store, len) in [
        ("", 0),
        ("(i32.store8 (i32.const 3074) (i32.const 27))", 4),
        ("(i32.store8 (i32.const 3074) (i32.const 0))", 4),
        ("(i32.store8 (i32.const 3075) (i32.const 10))", 4),
        // U+009B, which some terminals treat as an escape.
        ("(i32.store16 (i32.const 3072) (i32.const 0x9bc2))", 2),
    ] {
        let (out, _) = forwards(&refused(store, len, INVALID));
        assert_eq!(out.attributes(), [""], "{store}");
    }
    let value = "(i32.store8 (i32.const 3137) (i32.const 27))
        (call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 5))";
    let (out, _) = forwards(&format!("{value} (call $expect_failure (i32.const {INVALID}))"));
    assert_eq!(out.attributes(), [""]);
    // A name of 1 MiB of spaces.
    let huge = "(drop (memory.grow (i32.const 20))) (memory.fill (i32.const 3072) (i32.const 32) (i32.const 1048576))";
    let (out, account) = forwards(&refused(huge, 1 << 20, LIMIT));
    assert_eq!((out.attributes(), account.stages[0].copies.metadata_marshal.ops), (vec![String::new()], 2));
    // Bytes that are not UTF-8, or are outside of memory, are not a name.
    let broken = "(i32.store8 (i32.const 3072) (i32.const 0xff))
        (call $get_name (local.get $batch) (i32.const 0) (i32.const 4)) unreachable";
    assert_fails(ROUTER, broken, "utf-8");
    let beyond = "(call $get_name (local.get $batch) (i32.const 0) (i32.const -1)) unreachable";
    assert_fails(ROUTER, beyond, "out of bounds of memory");
    // The failure of the host is one that the stage can return.
    let returned = format!(
        "(call $set_name (local.get $batch) (i32.const 0) (i32.const 0) (i32.const 5))
        (call $drop_batch (local.get $batch)) {HOST_RESULT}"
    );
    assert_fails(ROUTER, &returned, "the stage returned invalid-input: an attribute name must not be empty");
}

/// A million attributes on one element: 64 are kept, or one that is set again and again.
#[test]
fn a_million_attributes() {
    let times = |set: &str| {
        format!(
            "(local $number i32)
            (loop $next
              {set}
              (local.set $number (i32.add (local.get $number) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $number) (i32.const 1000000))))
            {DROP_AND_FORWARD}"
        )
    };
    let patient = || Limits { time: std::time::Duration::from_secs(60), ..Limits::default() };
    let others = times(&format!(
        "(call $number (local.get $number))
        (call $set_name (local.get $batch) (i32.const 0) (i32.const 8) (i32.const 5))
        (if (i32.ge_u (local.get $number) (i32.const 64)) (then (call $expect_failure (i32.const {LIMIT}))))"
    ));
    let (out, ran) = with_attributes(ROUTER, &others, 1, patient());
    let marshalled = ran.expect("it behaves").stages[0].copies.metadata_marshal;
    assert_eq!(marshalled, Count { ops: 2 + 64, bytes: 8 + 4 + 64 * (8 + 5) });
    let attributes = &out.attributes()[0];
    assert!(attributes.starts_with("00000000=value 00000001=value "), "{attributes}");
    assert!(attributes.ends_with(" 0000003f=value"), "{attributes}");

    let same = times(
        "(call $number (local.get $number))
        (call $set (local.get $batch) (i32.const 0) (i32.const 3136) (i32.const 5)
          (i32.const 1) (i32.const 3072) (i32.const 8) (i32.const 64))
        (call $expect_done)",
    );
    let (out, ran) = with_attributes(ROUTER, &same, 1, patient());
    let marshalled = ran.expect("it behaves").stages[0].copies.metadata_marshal;
    assert_eq!(marshalled, Count { ops: 2 + 1_000_000, bytes: 8 + 4 + 1_000_000 * (8 + 5) });
    assert_eq!(out.attributes(), ["value=000f423f"]);
}

/// The attributes of an element are bounded together, and so are those of all held elements.
#[test]
fn bytes_of_attributes() {
    // Nine names of eight bytes, each with a value of 900 bytes, and a tenth that does not fit.
    let fill = format!(
        "(local $number i32) (local $index i32)
        (memory.fill (i32.const 3136) (i32.const 118) (i32.const 900))
        (loop $element
          (local.set $number (i32.const 0))
          (loop $next
            (call $number (local.get $number))
            (call $set_name (local.get $batch) (local.get $index) (i32.const 8) (i32.const 900))
            (call $expect_done)
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $number) (i32.const 9))))
          (call $number (local.get $number))
          (call $set_name (local.get $batch) (local.get $index) (i32.const 8) (i32.const 900))
          (call $expect_failure (i32.const {LIMIT}))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br_if $element (i32.lt_u (local.get $index) (local.get $count))))"
    );
    let (out, _) = forwards(&fill);
    assert_eq!(out.attributes().iter().map(String::len).collect::<Vec<_>>(), [9 * (8 + 1 + 900) + 8]);

    let hold = format!(
        "{fill}
        (i32.store (i32.const 3072) (i32.const 0))
        (if (i32.eqz (call $hold (local.get $batch) (i32.const 3072) (i32.const 1) (i32.const 0))) (then
          (call $drop_batch (local.get $batch)) (return {HOST_RESULT})))
        {DROP_AND_FORWARD}"
    );
    let narrow = Limits { held_bytes: 20_000, ..Limits::default() };
    let (_, ran) = with_attributes(HOLDER, &hold, 64, narrow);
    let error = format!("{:?}", ran.expect_err("it holds too much"));
    assert!(error.contains("a stage can hold at most 20000 bytes of attributes at once"), "{error}");
    // The same without attributes is well below the limit.
    let plain = hold.replace(&fill, "");
    let narrow = Limits { held_bytes: 20_000, ..Limits::default() };
    with_attributes(HOLDER, &plain, 64, narrow).1.expect("it holds what it may");
}

/// A sink has attributes too; setting them has no effect.
#[test]
fn a_sink() {
    let work = "(call $set_name (local.get $batch) (i32.const 0) (i32.const 4) (i32.const 5)) (call $expect_done)
        (call $get_name (local.get $batch) (i32.const 0) (i32.const 4)) (call $expect_done)
        (call $drop_batch (local.get $batch)) (call $ok)";
    let sink = Guest { payloads: false, ..SINK };
    assert_eq!(with_attributes(sink, work, 3, Limits::default()).1.expect("it behaves").elements.left, 3);
}
