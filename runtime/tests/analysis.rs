//! The claims of the analysis, checked on components that are made to mislead it.

use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::contract::{Bound, Proof, TrackedImport};

use wat_guests::processor::Guest;

/// Reads element `$i` of a loop that declares `$i`.
const READ: &str = "(call $look (local.get $batch) (local.get $i))";
const STEP: &str = "(local.set $i (i32.add (local.get $i) (i32.const 1)))";
const MORE: &str = "(br_if $next (i32.lt_u (local.get $i) (local.get $count)))";

fn analysis(guest: Guest<'_>) -> Analysis {
    Analysis::parse(&guest.build()).expect("it is a processor")
}

fn reads(guest: Guest<'_>) -> Bound {
    analysis(guest).reads
}

fn process(body: &str) -> Bound {
    reads(Guest { process: body, ..Guest::default() })
}

/// A loop of `$i` from 0, with this body, which continues while `more` holds.
fn rounds(body: &str, more: &str) -> Bound {
    process(&format!("(local $i i32) (local $other i32) (loop $next {body} {more})"))
}

fn at_most(max: u32) -> Bound {
    Bound { exact: false, ..Bound::at_most(max, Proof::Bounded) }
}

#[test]
fn what_is_not_called_is_never_done() {
    let analysis = analysis(Guest::default());
    assert_eq!(analysis.reads, Bound::never(Proof::CallGraph));
    assert_eq!(analysis.writes, Bound::never(Proof::CallGraph));
    assert_eq!((analysis.emits, analysis.sites.len()), (Some(0), 0));
    assert_eq!(analysis.profile.tracked_imports, [TrackedImport::Read, TrackedImport::ReadAll, TrackedImport::EmitAll]);
}

#[test]
fn reads_in_init_and_flush_meet_no_element() {
    let guest = Guest {
        init: "(call $look (i32.const 0) (i32.const 0))",
        flush: "(call $look (i32.const 0) (i32.const 0))",
        ..Guest::default()
    };
    let analysis = analysis(guest);
    assert_eq!(analysis.reads, Bound::never(Proof::CallGraph));
    let exports: Vec<_> = analysis.sites.iter().map(|site| site.export).collect();
    assert_eq!(exports, ["flush"], "the call in the shared function is told once, for the first export");
}

#[test]
fn straight_code_is_counted() {
    let all = "(call $read_all (local.get $batch) (i32.const 64))";
    let one = "(call $look (local.get $batch) (i32.const 0))";
    assert_eq!(process(all), Bound::exactly(1, Proof::Bounded));
    assert_eq!(process(&all.repeat(3)), Bound::exactly(3, Proof::Bounded));
    assert_eq!(process(&format!("(if (local.get $count) (then {all}))")), at_most(1));
    assert_eq!(
        process(&format!("(if (local.get $count) (then {all}) (else {all}))")),
        Bound::exactly(1, Proof::Bounded)
    );
    assert_eq!(process(&format!("(if (local.get $count) (then {all} {all}) (else {one}))")), at_most(2));
    assert_eq!(process(&format!("(if (local.get $count) (then {all} unreachable)) {one}")), at_most(1));
    assert_eq!(process(&one.repeat(2)), at_most(2));
    assert_eq!(
        process(&format!("(block $a (block $b (block $c (br_table $a $b $c (local.get $count))) {all}) {all})")),
        at_most(2)
    );
}

#[test]
fn emits_are_counted_and_written_payloads_are_not() {
    let emits = |process: &str, flush: &str| {
        let analysis = analysis(Guest { process, flush, ..Guest::default() });
        assert_eq!(analysis.writes, Bound::unknown());
        analysis.emits
    };
    assert_eq!(emits("(call $emit)", ""), Some(1));
    assert_eq!(emits("(call $emit)", "(call $emit) (call $emit)"), Some(2));
    assert_eq!(emits("(loop $next (call $emit) (br_if $next (local.get $count)))", ""), None);
}

#[test]
fn a_loop_over_the_batch_reads_each_element_as_often_as_its_longest_way() {
    let with = |body: &str| rounds(&format!("{body} {STEP}"), MORE);
    assert_eq!(with(READ), at_most(1));
    assert_eq!(with(&READ.repeat(2)), at_most(2), "twice");
    assert_eq!(with(&format!("(if (local.get $count) (then {READ}) (else {READ} {READ}))")), at_most(2));
    assert_eq!(rounds(&format!("{STEP} {READ}"), MORE), at_most(1));
    assert_eq!(with(&format!("(block $skip (br_if $skip (local.get $count)) {READ})")), at_most(1));
    assert_eq!(
        rounds(&format!("{READ} {STEP}"), "(br_if $next (i32.ne (local.get $i) (local.get $count)))"),
        at_most(1)
    );
    assert_eq!(
        process(&format!(
            "(local $i i32) (block $end (loop $next
                (br_if $end (i32.ge_u (local.get $i) (i32.load (i32.const 8)))) {READ} {STEP} (br $next)))"
        )),
        at_most(1),
        "the end may come from memory: at the greatest number the loop ends in any case"
    );
    let loops = format!("(loop $next {READ} {STEP} {MORE})");
    assert_eq!(process(&format!("(local $i i32) {loops} (local.set $i (i32.const 0)) {loops}")), at_most(2));
}

#[test]
fn loops_that_run_backwards_or_count_beside_the_index() {
    let down = "(local.set $i (i32.sub (local.get $i) (i32.const 1)))";
    let counted = "(local.set $other (i32.sub (local.get $other) (i32.const 1))) (br_if $next (local.get $other))";
    assert_eq!(rounds(&format!("{down} {READ}"), "(br_if $next (local.get $i))"), at_most(1));
    assert_eq!(rounds(&format!("{down} {READ}"), "(br_if $next (i32.gt_u (local.get $i) (i32.const 0)))"), at_most(1));
    assert_eq!(rounds(&format!("{READ} {STEP}"), counted), at_most(1));
    assert_eq!(
        rounds(&format!("{READ} (local.set $i (i32.add (local.get $i) (i32.const 3)))"), MORE),
        at_most(1),
        "an odd step meets every number once"
    );
}

#[test]
fn a_loop_that_was_made_two_is_one() {
    let cell = "(i32.load (i32.const 8))";
    let end = "(br_if $end (i32.ge_u (local.get $i) (local.get $count)))";
    let two = |before: &str, inner: &str, after: &str| {
        process(&format!(
            "(local $i i32) (local $j i32) (block $end (loop $outer {before}
                (block $on (loop $inner {end} {inner} (br_if $on {cell}) {STEP} (br $inner))) {after} {STEP} (br $outer)))"
        ))
    };
    assert_eq!(two("", READ, ""), at_most(1));
    assert_eq!(two("", READ, READ), at_most(2));
    assert_eq!(two("", "", READ), at_most(1));
    assert_eq!(two("", READ, STEP), Bound::unknown(), "the steps differ");
    assert_eq!(two("", READ, "(local.set $i (i32.sub (local.get $i) (i32.const 1)))"), Bound::unknown());
    assert_eq!(two("(local.set $i (local.get $j))", READ, ""), Bound::unknown());
    assert_eq!(two("(local.set $i (i32.sub (local.get $i) (i32.const 1)))", READ, ""), Bound::unknown());
    assert_eq!(two("", &format!("(loop $again {READ} (br_if $again {cell}))"), ""), Bound::unknown());
    assert_eq!(
        process(&format!(
            "(local $i i32) (local $x i32) (block $end (loop $outer
                (loop $anew (local.set $i (local.get $x))
                  (block $on (loop $inner {end} {READ} (br_if $on {cell}) {STEP} (br $inner)))
                  (br_if $anew {cell}))
                (local.set $x (i32.add (local.get $i) (i32.const 1))) (br $outer)))"
        )),
        Bound::unknown(),
        "a loop between the two begins the inner one anew"
    );
    assert_eq!(
        process(&format!(
            "(local $i i32) (local $x i32) (block $end (loop $outer (local.set $i (local.get $x))
                (block $on (loop $inner {end} {READ} (br_if $on {cell}) {STEP} (br $inner)))
                (local.set $x (i32.add (local.get $i) (i32.const 1))) (br $outer)))"
        )),
        at_most(1),
        "the same without it"
    );
}

#[test]
fn the_neighbours_of_an_element_count_for_it() {
    let next = "(call $look (local.get $batch) (i32.add (local.get $i) (i32.const 1)))";
    assert_eq!(rounds(&format!("{READ} {next} {STEP}"), MORE), at_most(2));
    assert_eq!(
        rounds(&format!("(if (i32.and (local.get $i) (i32.const 1)) (then {READ}) (else {next})) {STEP}"), MORE),
        at_most(2),
        "element 1 is read in the rounds 0 and 1"
    );
    let either = "(func $either (param $batch i32) (param $i i32)
        (if (i32.and (local.get $i) (i32.const 1))
          (then (call $look (local.get $batch) (local.get $i)))
          (else (call $look (local.get $batch) (i32.add (local.get $i) (i32.const 1))))))";
    let body = format!("(local $i i32) (loop $next (call $either (local.get $batch) (local.get $i)) {STEP} {MORE})");
    assert_eq!(reads(Guest { fields: either, process: &body, ..Guest::default() }), at_most(2));
}

#[test]
fn an_index_that_may_come_again_has_no_bound() {
    let unknown = |body: &str, more: &str| assert_eq!(rounds(body, more), Bound::unknown(), "{body}");
    let cell = "(i32.load (i32.const 8))";
    unknown(READ, "(br_if $next (i32.load (i32.const 8)))");
    unknown(&format!("{READ} (local.set $i (i32.add (local.get $i) {cell}))"), MORE);
    unknown(&format!("{READ} (if {cell} (then {STEP}))"), MORE);
    unknown(&format!("{READ} (br_if $next {cell}) {STEP}"), MORE);
    unknown(&format!("{READ} {STEP} (if {cell} (then (local.set $i (i32.const 0))))"), MORE);
    unknown(
        &format!(
            "{READ} (block (block {STEP} {STEP} (br_if 1 {cell})) (local.set $i (i32.sub (local.get $i) (i32.const 1))))"
        ),
        MORE,
    );
    unknown(&format!("(call $look (local.get $batch) {cell}) {STEP}"), MORE);
    unknown(&format!("(i32.store (i32.const 8) (local.get $i)) (call $look (local.get $batch) {cell}) {STEP}"), MORE);
    unknown(&format!("(loop $inner {READ} (br_if $inner {cell})) {STEP}"), MORE);
    unknown(&format!("(loop $inner {READ} {STEP} (br_if $inner {cell})) {STEP}"), MORE);
    unknown(&format!("(call $look (local.get $batch) (i32.and (local.get $i) (i32.const 7))) {STEP}"), MORE);
    unknown(&format!("(call $read_all (local.get $batch) (i32.const 64)) {STEP}"), MORE);
    for step in ["65536", "-65536", "0x80000000", "2", "0"] {
        unknown(&format!("{READ} (local.set $i (i32.add (local.get $i) (i32.const {step})))"), MORE);
    }
    assert_eq!(
        process(&format!(
            "(local $i i32) (local $j i32) (loop $outer (local.set $i (i32.const 0))
            (loop $next {READ} {STEP} {MORE})
            (br_if $outer (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 2))))"
        )),
        Bound::unknown(),
        "the whole batch, twice"
    );
}

#[test]
fn a_loop_without_a_sure_end_may_go_around() {
    let unknown = |more: &str| assert_eq!(rounds(&format!("{READ} {STEP}"), more), Bound::unknown(), "{more}");
    unknown("(br_if $next (i32.load (i32.const 8)))");
    unknown("(br_if $next (i32.ne (local.get $i) (i32.load (i32.const 8))))");
    unknown("(br_if $next (i32.le_u (local.get $i) (local.get $count)))");
    unknown("(br_if $next (i64.lt_u (i64.extend_i32_u (local.get $i)) (i64.const 0x200000000)))");
    unknown("(br_if $next (i32.load (i32.const 8))) (br_if $next (i32.lt_u (local.get $i) (local.get $count)))");
    unknown(
        "(local.set $other (i32.add (local.get $other) (i32.const 2))) (br_if $next (i32.ne (local.get $other) (local.get $count)))",
    );
    unknown(
        "(local.set $other (i32.add (local.get $other) (i32.const 1))) (br_if $next (i32.ne (local.get $i) (local.get $other)))",
    );
}

#[test]
fn the_index_is_followed_through_functions() {
    let nested = "(func $outer (param $index i32) (param $batch i32)
        (call $look (local.get $batch) (local.get $index)) (call $look (local.get $batch) (local.get $index)))";
    let call = "(call $outer (local.get $i) (local.get $batch))";
    let body = format!("(local $i i32) (loop $next {call} {STEP} {MORE})");
    assert_eq!(reads(Guest { fields: nested, process: &body, ..Guest::default() }), at_most(2));
    let moved = "(func $outer (param $index i32) (param $batch i32)
        (local.set $index (i32.load (i32.const 8))) (call $look (local.get $batch) (local.get $index)))";
    assert_eq!(reads(Guest { fields: moved, process: &body, ..Guest::default() }), Bound::unknown());
    let recursive = "(func $outer (param $index i32) (param $batch i32)
        (call $look (local.get $batch) (local.get $index))
        (if (i32.load (i32.const 8)) (then (call $outer (local.get $index) (local.get $batch)))))";
    assert_eq!(reads(Guest { fields: recursive, process: &body, ..Guest::default() }), Bound::unknown());
    let looping = "(func $outer (param $index i32) (param $batch i32)
        (loop $again (call $look (local.get $batch) (local.get $index)) (br_if $again (i32.load (i32.const 8)))))";
    assert_eq!(reads(Guest { fields: looping, process: &body, ..Guest::default() }), Bound::unknown());
}

#[test]
fn a_table_can_hold_what_reads() {
    let call = "(call_indirect (type $copy) (local.get $batch) (local.get $count) (i64.const 0) (i64.const 1)
        (i32.const 64) (i32.load (i32.const 8)))";
    let types = "(type $copy (func (param i32 i32 i64 i64 i32)))";
    let with = |fields: &str, before: &str| {
        let call = call.replace("(call_indirect", "(call_indirect $mine");
        let fields = format!("{types} (table $mine 4 funcref) {fields}");
        reads(Guest { fields: &fields, process: &format!("{before} {call}"), ..Guest::default() })
    };
    assert_eq!(with("", ""), Bound::never(Proof::CallGraph), "an empty table");
    assert_eq!(with("(elem (table $mine) (i32.const 2) func $read)", ""), at_most(1), "the import itself");
    assert_eq!(with("(elem declare func $read)", "(table.set $mine (i32.const 1) (ref.func $read))"), at_most(1));
    assert_eq!(
        with("(elem $later func $read)", "(table.init $mine $later (i32.const 0) (i32.const 0) (i32.const 1))"),
        at_most(1)
    );
    assert_eq!(
        with("(elem declare func $read)", "(table.fill $mine (i32.const 0) (ref.func $read) (i32.const 1))"),
        at_most(1)
    );
    assert_eq!(
        with(
            "(table $spare 1 funcref) (elem (table $spare) (i32.const 0) func $read)",
            "(table.copy $mine $spare (i32.const 0) (i32.const 0) (i32.const 1))"
        ),
        at_most(1)
    );
    assert_eq!(with("(elem (table $mine) (i32.const 0) funcref (ref.func $read))", ""), at_most(1));
    let initial = format!("{types} (table $mine 4 funcref (ref.func $read))");
    let call = call.replace("(call_indirect", "(call_indirect $mine");
    assert_eq!(reads(Guest { fields: &initial, process: &call, ..Guest::default() }), at_most(1));
    let before = r#"(core module $other
        (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
        (global (export "held") funcref (ref.func $read))
        (global (export "where") i32 (i32.const 1)))
      (core instance $other (instantiate $other (with "host" (instance (export "read" (func $read))))))"#;
    let arguments = r#"(with "other" (instance $other))"#;
    for segment in ["(i32.const 0) funcref (global.get $held)", "(global.get $where) func $read"] {
        let fields = format!(
            r#"{types} (import "other" "held" (global $held funcref)) (import "other" "where" (global $where i32))
               (table $mine 4 funcref) (elem (table $mine) {segment})"#
        );
        assert_eq!(reads(Guest { before, fields: &fields, arguments, process: &call, ..Guest::default() }), at_most(1));
    }
}

#[test]
fn a_constant_place_in_a_table_is_that_place() {
    let call = |place: u32| {
        let body = format!(
            "(call_indirect $mine (type $copy) (local.get $batch) (local.get $count) (i64.const 0) (i64.const 1)
            (i32.const 64) (i32.const {place}))"
        );
        let fields = "(type $copy (func (param i32 i32 i64 i64 i32))) (table $mine 4 funcref)
            (func $harmless (param i32 i32 i64 i64 i32))
            (elem (table $mine) (i32.const 0) func $harmless $read)";
        reads(Guest { fields, process: &body, ..Guest::default() })
    };
    assert_eq!(call(0), Bound::never(Proof::CallGraph));
    assert_eq!(call(1), at_most(1));
}

#[test]
fn references_and_tail_calls_reach_what_reads() {
    let fields = "(type $look (func (param i32 i32)))
        (global $held (mut (ref null $look)) (ref.func $look))
        (func $tail (param i32 i32) (return_call $look (local.get 0) (local.get 1)))";
    let with = |process: &str| reads(Guest { fields, process, ..Guest::default() });
    assert_eq!(with("(call_ref $look (local.get $batch) (local.get $count) (global.get $held))"), at_most(1));
    assert_eq!(with("(call $tail (local.get $batch) (local.get $count))"), at_most(1));
    assert_eq!(
        with("(call $tail (local.get $batch) (local.get $count)) (call $tail (local.get $batch) (local.get $count))"),
        at_most(2)
    );
}

/// A feature that the engine does not have is refused before it is analysed.
#[test]
fn what_the_engine_has_not() {
    let refused = |fields: &str, process: &str, before: &str| {
        let bytes = Guest { fields, process, before, ..Guest::default() }.build();
        match Analysis::parse(&bytes) {
            Err(error) => error.to_string(),
            Ok(analysis) => panic!("{analysis:?}"),
        }
    };
    let fields = "(tag $thrown) (func $thrower (param i32)
        (call $look (local.get 0) (i32.const 0)) (throw $thrown))";
    let process = "(block $caught (try_table (catch_all $caught) (call $thrower (local.get $batch))))";
    assert!(refused(fields, process, "").contains("exceptions proposal not enabled"));
    let structs = "(type (struct (field i32)))";
    assert!(refused(structs, "", "").contains("without the gc feature"), "{}", refused(structs, "", ""));
    let subtypes = "(type $base (sub (func (param f32)))) (type (sub $base (func (param f32))))";
    assert!(refused(subtypes, "", "").contains("gc proposal"), "{}", refused(subtypes, "", ""));
    let asynchronous = "(core func $cancel (canon task.cancel))";
    assert!(refused("", "", asynchronous).contains("`task.cancel` requires the component model async feature"));
}

/// A module whose function `read` calls an entry of its table, where a fix-up module puts the lowered `read`.
fn through_shim(signature: &str, before_call: &str, process: &str) -> Bound {
    let before = format!(
        r#"(core module $shim
        (type $read (func (param i32 i32 i64 i64 i32)))
        (table (export "table") 1 1 funcref)
        (func (export "read") {signature} {before_call} i32.const 0 call_indirect (type $read)))
      (core instance $shim (instantiate $shim))
      (alias core export $shim "read" (core func $shimmed))"#
    );
    let after = r#"(core module $fix (import "" "table" (table 1 1 funcref))
        (import "" "read" (func $read (param i32 i32 i64 i64 i32))) (elem (i32.const 0) func $read))
      (core instance (instantiate $fix
        (with "" (instance (export "table" (table $shim "table")) (export "read" (func $read))))))"#;
    let declared: String = signature.split("(local").next().unwrap_or_default().into();
    let fields = format!(r#"(import "shim" "read" (func $shimmed {declared}))"#);
    let arguments = r#"(with "shim" (instance (export "read" (func $shimmed))))"#;
    let process = format!("(local $i i32) (loop $next {process} {STEP} {MORE})");
    reads(Guest { before: &before, after, fields: &fields, arguments, process: &process, ..Guest::default() })
}

#[test]
fn a_shim_passes_on_exactly_its_own_parameters() {
    let gets = |count: usize| (0..count).map(|at| format!("local.get {at} ")).collect::<String>();
    let rest = "(i64.const 0) (i64.const 1) (i32.const 64)";
    let own = "(param i32 i32 i64 i64 i32)";
    let at_i = format!("(call $shimmed (local.get $batch) (local.get $i) {rest})");
    assert_eq!(through_shim(own, &gets(5), &at_i), at_most(1));
    let at_0 = format!("(call $shimmed (local.get $batch) (i32.const 0) {rest})");
    assert_eq!(through_shim(own, &gets(5), &at_0), Bound::unknown());

    // The first parameters stay on the stack and are results.
    let more = "(param i32 i32 i32 i32 i64 i64 i32) (result i32 i32)";
    let call =
        |first: &str, index: &str| format!("(call $shimmed {first} (local.get $batch) {index} {rest}) drop drop");
    let with_i_first = call("(i32.const 0) (local.get $i)", "(i32.const 0)");
    assert_eq!(through_shim(more, &gets(7), &with_i_first), Bound::unknown());
    let with_i_last = call("(i32.const 0) (i32.const 0)", "(local.get $i)");
    assert_eq!(through_shim(more, &gets(7), &with_i_last), at_most(1), "it is followed all the same");

    // The last parameters of the callee are zeros.
    let fewer = "(param i32 i32) (local i64 i64 i32)";
    assert_eq!(through_shim(fewer, &gets(5), "(call $shimmed (local.get $batch) (local.get $i))"), at_most(1));
    assert_eq!(through_shim(fewer, &gets(5), "(call $shimmed (local.get $batch) (i32.const 0))"), Bound::unknown());
    let fewest = "(param i32) (local i32 i64 i64 i32)";
    assert_eq!(through_shim(fewest, &gets(5), "(call $shimmed (local.get $batch))"), Bound::unknown());

    // Other orders, and other values.
    let exchanged = "local.get 1 local.get 0 local.get 2 local.get 3 local.get 4";
    let call = format!("(call $shimmed (local.get $i) (local.get $batch) {rest})");
    assert_eq!(through_shim(own, exchanged, &call), at_most(1));
    let wrong = format!("(call $shimmed (i32.const 0) (local.get $i) {rest})");
    assert_eq!(through_shim(own, exchanged, &wrong), Bound::unknown());
    for changed in ["i32.const 0 local.set 1", "local.get 1 i32.const 1 i32.and local.set 1"] {
        assert_eq!(through_shim(own, &format!("{changed} {}", gets(5)), &at_i), Bound::unknown(), "{changed}");
    }
    let once_more = format!("{} i32.const 0 call_indirect (type $read) {}", gets(5), gets(5));
    assert_eq!(through_shim(own, &once_more, &at_i), at_most(2));
}

/// The last index of all: there is no next one.
#[test]
fn a_segment_at_the_end_of_all_places() {
    let fields = "(table $mine 4 funcref) (elem (table $mine) (i32.const -1) func $look $look)";
    assert_eq!(reads(Guest { fields, ..Guest::default() }), Bound::never(Proof::CallGraph));
}

#[test]
fn what_the_engine_calls_counts_too() {
    let look = "(call $look (i32.const 0) (i32.const 0))";
    let process = "(call $emit)";
    assert_eq!(
        reads(Guest { realloc: look, process, ..Guest::default() }),
        Bound { proof: Some(Proof::Bounded), ..Bound::never(Proof::Bounded) },
        "it cannot return"
    );
    let realloc = format!("{look} (if (local.get 0) (then (return (i32.const 8))))");
    let analysis = analysis(Guest { realloc: &realloc, process, ..Guest::default() });
    assert_eq!(analysis.reads, Bound::unknown());
    assert_eq!(analysis.weaker.len(), 1, "{:?}", analysis.weaker);
    let start = format!("(func $begin {look}) (start $begin)");
    let reads = reads(Guest { fields: &start, ..Guest::default() });
    assert!(!reads.is_never(), "{reads:?}");
}

#[test]
fn a_read_before_a_trap_is_no_never() {
    let reads = process("(if (local.get $count) (then (call $look (local.get $batch) (i32.const 0)) unreachable))");
    assert_eq!((reads.max, reads.proof), (Some(0), Some(Proof::Bounded)));
    assert!(!reads.is_never());
}

#[test]
fn a_destructor_reads() {
    let before = r#"(core module $own
        (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
        (func (export "drop") (param i32)
          (call $read (local.get 0) (i32.const 0) (i64.const 0) (i64.const 1) (i32.const 64))))
      (core instance $own (instantiate $own (with "host" (instance (export "read" (func $read))))))
      (alias core export $own "drop" (core func $destructor))
      (type $thing (resource (rep i32) (dtor (func $destructor))))
      (core func $new-thing (canon resource.new $thing))
      (core func $drop-thing (canon resource.drop $thing))"#;
    let fields =
        r#"(import "own" "new" (func $new (param i32) (result i32))) (import "own" "drop" (func $drop (param i32)))"#;
    let arguments = r#"(with "own" (instance (export "new" (func $new-thing)) (export "drop" (func $drop-thing))))"#;
    let process = "(call $drop (call $new (local.get $batch)))";
    assert_eq!(reads(Guest { before, fields, arguments, process, ..Guest::default() }), Bound::unknown());
}

#[test]
fn a_second_module_reads() {
    let before = r#"(core module $other
        (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
        (func (export "read") (param i32 i32 i64 i64 i32)
          (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
          (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
      (core instance $other (instantiate $other (with "host" (instance (export "read" (func $read))))))
      (alias core export $other "read" (core func $twice))"#;
    let body = format!("(local $i i32) (loop $next {READ} {STEP} {MORE})");
    let guest = Guest { before, process: &body, ..Guest::default() };
    assert_eq!(reads(guest), at_most(1), "the second module is there, and nothing calls it");
    assert_eq!(reads(Guest { read: r#"(export "read" (func $twice))"#, ..guest }), at_most(2));
}

#[test]
fn a_component_within_the_component_reads() {
    let before = r#"(component $wrap
        (import "batch" (type $batch (sub resource)))
        (import "read" (func $read (param "of" (borrow $batch)) (param "index" u32)))
        (core func $read (canon lower (func $read)))
        (core module $twice
          (import "host" "read" (func $read (param i32 i32)))
          (func (export "read") (param i32 i32)
            (call $read (local.get 0) (local.get 1)) (call $read (local.get 0) (local.get 1))))
        (core instance $twice (instantiate $twice (with "host" (instance (export "read" (func $read))))))
        (func $twice (param "of" (borrow $batch)) (param "index" u32) (canon lift (core func $twice "read")))
        (export "read" (func $twice)))
      (core module $adapt
        (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
        (func (export "look") (param i32 i32)
          (call $read (local.get 0) (local.get 1) (i64.const 0) (i64.const 1) (i32.const 64))))
      (core instance $adapt (instantiate $adapt (with "host" (instance (export "read" (func $read))))))
      (func $one (param "of" (borrow $batch)) (param "index" u32) (canon lift (core func $adapt "look")))
      (instance $wrapped (instantiate $wrap (with "batch" (type $batch)) (with "read" (func $one))))
      (core func $wrapped (canon lower (func $wrapped "read")))"#;
    let fields = r#"(import "inner" "look" (func $inner (param i32 i32)))"#;
    let arguments = r#"(with "inner" (instance (export "look" (func $wrapped))))"#;
    let with = |process: &str| reads(Guest { before, fields, arguments, process, ..Guest::default() });
    assert_eq!(with("(call $inner (local.get $batch) (i32.const 0))"), at_most(2));
    let body = format!("(local $i i32) (loop $next (call $inner (local.get $batch) (local.get $i)) {STEP} {MORE})");
    assert_eq!(with(&body), Bound::unknown());
}

#[test]
fn names_and_order_of_a_call_are_told() {
    let fields = "(func $helper (param i32 i32) (call $look (local.get 0) (local.get 1)))";
    let process = "(call $helper (local.get $batch) (i32.const 0))";
    let analysis = analysis(Guest { fields, process, ..Guest::default() });
    let [site] = analysis.sites.as_slice() else { panic!("{:?}", analysis.sites) };
    assert_eq!((site.callee, site.export), (TrackedImport::Read, "process"));
    let functions: Vec<_> = site.frames.iter().map(|frame| frame.function.as_deref().unwrap_or_default()).collect();
    assert_eq!(functions, ["look", "helper", "process"]);
}

#[test]
fn damaged_components_are_refused_or_analysed() {
    let process = format!("(local $i i32) (loop $next {READ} {STEP} {MORE})");
    let whole = Guest { process: &process, ..Guest::default() }.build();
    let holds = |damaged: &[u8]| match Analysis::parse(damaged) {
        Ok(analysis) => assert!(analysis.sites.iter().all(|site| !site.frames.is_empty())),
        Err(error) => assert_ne!(error.to_string(), ""),
    };
    for at in 8..whole.len() {
        holds(&whole[..at]);
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            holds(&damaged);
        }
    }
}

/// Each would take hours or all memory if the work for nested parts were multiplied.
#[test]
fn components_made_to_cost_much_are_given_up() {
    let locals = format!("(local $i i32) (local {})", "i32 ".repeat(40_000));
    let blocks = "(block (br_if 0 (local.get $count)))".repeat(4_000);
    let wide = reads(Guest { process: &format!("{locals} {blocks} {READ}"), ..Guest::default() });
    assert_eq!(wide, Bound::unknown());

    let depth = 3_000;
    let (open, close) = ("(loop $next ".repeat(depth), ")".repeat(depth));
    assert_eq!(process(&format!("(local $i i32) {open} {READ} {STEP} {MORE} {close}")), at_most(1));

    let doubling: String = (1..200)
        .map(|n| format!("(func $f{n} (param i32) (call $f{} (local.get 0)) (call $f{} (local.get 0)))", n - 1, n - 1))
        .collect();
    let fields = format!("(func $f0 (param i32) (call $look (local.get 0) (i32.const 0))) {doubling}");
    let process = "(call $f199 (local.get $batch))";
    assert_eq!(reads(Guest { fields: &fields, process, ..Guest::default() }), Bound::unknown());

    let chain: String =
        (1..20_000).map(|n| format!("(func $f{n} (param i32) (call $f{} (local.get 0)))", n - 1)).collect();
    let fields = format!("(func $f0 (param i32) (call $look (local.get 0) (i32.const 0))) {chain}");
    let process = "(call $f19999 (local.get $batch))";
    assert_eq!(reads(Guest { fields: &fields, process, ..Guest::default() }), at_most(1));

    let same_place =
        "(elem (table $mine) (i32.const 0) func $look $look) (elem (table $mine) (i32.const 0) func $spare)";
    let fields = format!(
        "(type $t (func (param i32 i32))) (table $mine 4 funcref) (func $spare (param i32 i32)) {}",
        same_place.repeat(2_000)
    );
    let process = "(call_indirect $mine (type $t) (local.get $batch) (i32.const 0) (i32.const 0))".repeat(20_000);
    assert_eq!(reads(Guest { fields: &fields, process: &process, ..Guest::default() }), at_most(20_000));

    let twice = |of: u32| {
        let inner = format!("(alias outer 1 $c{of} (component $inner))");
        format!("(component $c{} {inner} (instance (instantiate $inner)) (instance (instantiate $inner)))", of + 1)
    };
    let before = format!("(component $c0) {} (instance (instantiate $c30))", (0..30).map(twice).collect::<String>());
    let guest = Guest { before: &before, process: "(call $look (local.get $batch) (i32.const 0))", ..Guest::default() };
    let analysis = analysis(guest);
    assert_eq!(analysis.reads, Bound::unknown());
    assert_eq!(analysis.weaker, ["it contains too many components"]);
}
