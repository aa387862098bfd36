//! The claims of the analysis about leases, views and buffers, checked on components that hide what they do.

use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::contract::{Bound, Bounds, Proof, TrackedImport};
use torvyn_runtime::contract::{Verdict, World};

use wat_guests::processor::Guest;

const ALL: &str = "(call $read_all (local.get $batch) (i32.const 64))";

fn analysis(guest: Guest<'_>) -> Analysis {
    Analysis::parse(&Guest { holds: true, ..guest }.build()).expect("it is a processor")
}

fn process(body: &str) -> Analysis {
    analysis(Guest { process: body, ..Guest::default() })
}

fn flush(process: &str, flush: &str) -> Analysis {
    analysis(Guest { process, flush, ..Guest::default() })
}

fn never() -> Bound {
    Bound::never(Proof::CallGraph)
}

#[test]
fn what_is_imported_and_not_called_is_never_done() {
    let analysis = analysis(Guest::default());
    assert_eq!(analysis.bounds(), Bounds { reads: never(), writes: never(), pieces: never(), views: never() });
    assert!(!analysis.retains);
    assert_eq!(
        (analysis.profile.world, analysis.profile.tracked_imports.len()),
        (World::Windowed, TrackedImport::ALL.len())
    );
    assert_eq!(analysis.sites, []);
    let without = Analysis::parse(&Guest::default().build()).unwrap();
    assert_eq!((without.views, without.pieces), (Bound::never(Proof::Component), Bound::never(Proof::Component)));
    assert_eq!((without.retains, without.profile.world), (false, World::Transform));
}

#[test]
fn what_makes_without_a_write_is_told_and_copies_nothing() {
    for body in ["(call $slice)", "(call $take) (call $join)", "(call $take) (call $forward)"] {
        let analysis = process(body);
        assert_eq!(analysis.views, Bound::unknown(), "{body}");
        assert_eq!((analysis.reads, analysis.writes, analysis.pieces), (never(), never(), never()), "{body}");
        assert_eq!(analysis.bounds().verdict(), Verdict::HandlePass);
        assert_eq!(analysis.retains, body.contains("$take"), "{body}");
    }
    assert_eq!(flush("(call $take)", "(call $join)").views, Bound::unknown(), "the rest, at the end");
    assert_eq!(flush("(call $take)", "(call $forward)").views, Bound::unknown());
    assert_eq!(process("(call $emit)").views, never(), "what is written is no view");
}

/// Outside of `process` there is no batch to hold or slice, and without a lease there is nothing to make elements from.
#[test]
fn a_handle_that_cannot_be_there_does_nothing() {
    for (process, flush) in [
        ("", "(call $take)"),
        ("", "(call $take) (call $join) (call $forward) (call $look_held)"),
        ("", "(call $slice)"),
    ] {
        let analysis = self::flush(process, flush);
        assert!(!analysis.retains, "{flush}");
        assert_eq!((analysis.views, analysis.reads), (never(), never()), "{flush}");
    }
    let analysis = process("(call $join) (call $forward) (call $look_held)");
    assert_eq!((analysis.views, analysis.reads, analysis.retains), (never(), never(), false), "nothing is held");
    let analysis = process("(call $append) (call $write)");
    assert_eq!((analysis.writes, analysis.pieces), (never(), never()), "there is no buffer");
}

#[test]
fn what_is_held_is_read_in_any_call() {
    let reads = |guest: Guest<'_>| {
        let analysis = analysis(Guest { process: "(call $take)", ..guest });
        assert!(analysis.retains);
        (analysis.reads, analysis.weaker.len())
    };
    let held = "(call $look_held)";
    let unknown = (Bound::unknown(), 1);
    assert_eq!(reads(Guest::default()), (never(), 0));
    assert_eq!(reads(Guest { flush: held, ..Guest::default() }), unknown);
    assert_eq!(reads(Guest { teardown: held, ..Guest::default() }), unknown);
    assert_eq!(reads(Guest { init: held, ..Guest::default() }), unknown, "it may be called from elsewhere");
    assert_eq!(reads(Guest { realloc: held, ..Guest::default() }), unknown, "even where it cannot return");
    let start = format!("(func $begin {held}) (start $begin)");
    assert_eq!(reads(Guest { fields: &start, ..Guest::default() }), unknown);
    let both = process(&format!("{ALL} (call $take) (call $look_held)"));
    assert_eq!(both.reads, Bound::unknown(), "once by the batch is not all");
}

/// The lease is valid after the call: one read in each call has no bound over all calls.
#[test]
fn a_lease_that_is_kept_across_calls_has_no_bound_of_reads() {
    let body = "(if (i32.load (i32.const 8)) (then (call $look_held)) (else (call $take) (i32.store (i32.const 8)
        (i32.load (i32.const 68)))))";
    let analysis = process(body);
    assert_eq!((analysis.reads, analysis.retains), (Bound::unknown(), true));
}

#[test]
fn what_is_hidden_is_found() {
    let indirect = |function: &str, body: &str| {
        let fields = format!(
            "(type $do (func)) (table $mine 4 funcref) (elem declare func {function})
             (func $hide (table.set $mine (i32.const 1) (ref.func {function})))"
        );
        let process = format!("(call $hide) {body} (call_indirect $mine (type $do) (i32.load (i32.const 8)))");
        analysis(Guest { fields: &fields, process: &process, ..Guest::default() })
    };
    assert_eq!(indirect("$look_held", "(call $take)").reads, Bound::unknown());
    assert!(indirect("$take", "").retains);
    assert_eq!(indirect("$slice", "").views, Bound::unknown());
    assert_eq!(indirect("$join", "(call $take)").views, Bound::unknown());
    assert_eq!(indirect("$begin_buffer", "(call $append)").pieces, Bound::unknown());
    assert_eq!(indirect("$append", "(call $begin_buffer)").pieces, Bound::unknown());

    // The function of the host itself in the table, in place of a `read` of the batch.
    let fields = "(type $copy (func (param i32 i32 i64 i64 i32))) (table $mine 4 funcref)
        (elem (table $mine) (i32.const 2) func $read_held)";
    let process = "(call $take) (call_indirect $mine (type $copy) (local.get $batch) (local.get $count) (i64.const 0)
        (i64.const 1) (i32.const 64) (i32.load (i32.const 8)))";
    let guest = Guest { fields, process, ..Guest::default() };
    assert_eq!(analysis(guest).reads, Bound::unknown());
    let read_alone = fields.replace("$read_held", "$read");
    let process = process.replace("(call $take) ", "");
    let bound = analysis(Guest { fields: &read_alone, process: &process, ..Guest::default() }).reads;
    assert_eq!((bound.max, bound.proof), (Some(1), Some(Proof::Bounded)));

    // In a destructor of its own resource, which runs when a handle is dropped.
    let before = r#"(core module $own
        (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
        (func (export "drop") (param i32)
          (call $read (local.get 0) (i32.const 0) (i64.const 0) (i64.const 1) (i32.const 64))))
      (core instance $own (instantiate $own (with "host" (instance (export "read" (func $read-held))))))
      (alias core export $own "drop" (core func $destructor))
      (type $thing (resource (rep i32) (dtor (func $destructor))))
      (core func $new-thing (canon resource.new $thing))
      (core func $drop-thing (canon resource.drop $thing))"#;
    let fields =
        r#"(import "own" "new" (func $new (param i32) (result i32))) (import "own" "drop" (func $drop (param i32)))"#;
    let arguments = r#"(with "own" (instance (export "new" (func $new-thing)) (export "drop" (func $drop-thing))))"#;
    let process = "(call $take) (call $drop (call $new (local.get $batch)))";
    let guest = Guest { before, fields, arguments, process, ..Guest::default() };
    assert_eq!(analysis(guest).reads, Bound::unknown());
    assert_eq!(analysis(Guest { process: "(call $take)", ..guest }).reads, Bound::unknown(), "the engine may run it");
    assert_eq!(analysis(Guest { process: "", ..guest }).reads, never(), "nothing is ever held");

    // Under the name of another function: names within a component mean nothing.
    let read = r#"(export "read" (func $read-held))"#;
    let process = "(call $take) (call $look (local.get $batch) (i32.const 0))";
    assert_eq!(analysis(Guest { read, process, ..Guest::default() }).reads, Bound::unknown());
}

#[test]
fn reads_of_the_batch_keep_their_bound_beside_leases() {
    let analysis = process(&format!("(call $take) {ALL}"));
    assert_eq!((analysis.reads.max, analysis.reads.proof), (Some(1), Some(Proof::Bounded)));
    assert!(!analysis.reads.exact, "what is held exclusively is not read with the rest");
    assert_eq!(process(ALL).reads, Bound::exactly(1, Proof::Bounded));
}

#[test]
fn a_buffer_is_written_in_any_call() {
    let writes = |guest: Guest<'_>| {
        let analysis = analysis(guest);
        assert_eq!((analysis.reads, analysis.views, analysis.emits), (never(), never(), Some(0)));
        (analysis.writes, analysis.pieces)
    };
    let (begin, both) = ("(call $begin_buffer)", (Bound::unknown(), Bound::unknown()));
    for piece in ["(call $append)", "(call $write)"] {
        assert_eq!(writes(Guest { init: begin, process: piece, ..Guest::default() }), both, "{piece}");
        assert_eq!(writes(Guest { process: begin, teardown: piece, ..Guest::default() }), both, "{piece}");
        assert_eq!(writes(Guest { flush: begin, init: piece, ..Guest::default() }), both, "{piece}");
    }
    // An empty payload is a payload too.
    let empty = format!("{begin} (call $freeze)");
    assert_eq!(writes(Guest { process: &empty, ..Guest::default() }), (Bound::unknown(), never()));
    assert_eq!(analysis(Guest { process: "(call $emit)", ..Guest::default() }).pieces, never());
    let told = process("(call $begin_buffer) (call $append)").sites;
    let told: Vec<_> = told.iter().map(|site| site.callee.to_string()).collect();
    assert_eq!(told, ["payload-buffer.buffer.allocate", "payload-buffer.buffer.append"]);
}

/// Code that cannot be followed may use every import.
#[test]
fn without_a_call_graph_the_imports_tell() {
    let twice = |of: u32| {
        let inner = format!("(alias outer 1 $c{of} (component $inner))");
        format!("(component $c{} {inner} (instance (instantiate $inner)) (instance (instantiate $inner)))", of + 1)
    };
    let before = format!("(component $c0) {} (instance (instantiate $c30))", (0..30).map(twice).collect::<String>());
    let analysis = analysis(Guest { before: &before, ..Guest::default() });
    assert_eq!(analysis.bounds(), Bounds::unknown());
    assert_eq!((analysis.retains, analysis.emits), (true, None));
    let without = Analysis::parse(&Guest { before: &before, ..Guest::default() }.build()).unwrap();
    assert_eq!((without.reads, without.writes, without.retains), (Bound::unknown(), Bound::unknown(), false));
    assert_eq!((without.views, without.pieces), (Bound::never(Proof::Component), Bound::never(Proof::Component)));
}
