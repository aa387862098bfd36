//! Guests whose reads are hard to find: behind references, recursion, exceptions, and in functions that are not
//! exported.

use torvyn_tests::guest::{BUMP, Guest, PROCESSOR, SINK};

use crate::cheat::{Cheat, END, Fate, READER, each, processor, read, sink};

const TYPES: &str = "(type $reads (func (param i32 i32))) (type $imported (func (param i32 i32 i64 i64 i32)))";

fn references() -> Vec<Cheat> {
    let by = |call: &str| each(&format!("{call} {call}"));
    let arguments = "(local.get $batch) (local.get $i)";
    let declared = format!("{TYPES} {READER} (elem declare func $reader)");
    let global = format!("{TYPES} (global $hidden (mut (ref null $reads)) (ref.func $reader)) {READER}");
    let start = format!(
        "{TYPES} (global $hidden (mut (ref null $reads)) (ref.null $reads)) {READER}
        (elem declare func $reader) (func $set (global.set $hidden (ref.func $reader))) (start $set)"
    );
    let tails = format!("{declared} (table $table funcref (elem $reader))
        (func $direct (param i32 i32) (return_call $reader (local.get 0) (local.get 1)))
        (func $indirect (param i32 i32) (return_call_indirect $table (type $reads) (local.get 0) (local.get 1) (i32.const 0)))
        (func $imported (param i32 i32)
          (return_call $read (local.get 0) (local.get 1) (i64.const 0) (i64.const 1) (i32.const 64)))
        (func $reference (param i32 i32) (return_call_ref $reads (local.get 0) (local.get 1) (ref.func $reader)))");
    let subtypes = format!(
        "(type $super (sub (func (param i32 i32 i64)))) (type $sub (sub $super (func (param i32 i32 i64))))
        (table $table funcref (elem $hidden))
        (func $hidden (type $sub) {})",
        read("(local.get 1)").replace("$batch", "0")
    );
    vec![
        Cheat::new("call_ref", processor(&declared, &by(&format!("(call_ref $reads {arguments} (ref.func $reader))")))),
        Cheat::new("call_ref-of-a-global", processor(&global, &by(&format!("(call_ref $reads {arguments} (global.get $hidden))")))),
        Cheat::new("call_ref-set-by-start", processor(&start, &by(&format!("(call_ref $reads {arguments} (global.get $hidden))")))),
        Cheat::new("return_call", processor(&tails, &by(&format!("(call $direct {arguments})")))),
        Cheat::new("return_call_indirect", processor(&tails, &by(&format!("(call $indirect {arguments})")))),
        Cheat::new("return_call-of-the-import", processor(&tails, &by(&format!("(call $imported {arguments})")))),
        Cheat::new("return_call_ref", processor(&tails, &by(&format!("(call $reference {arguments})")))),
        Cheat::new(
            "call_indirect-by-supertype",
            processor(&subtypes, &by(&format!("(call_indirect $table (type $super) {arguments} (i64.const 0) (i32.const 0))"))),
        ).fate(Fate::Refused),
        Cheat::new(
            "process-is-a-tail-call",
            Guest {
                fields: &format!("(func $all (param $batch i32) (param $count i32) (result i32) {} {END})",
                    each(&read("(local.get $i)").repeat(2))),
                work: "(return_call $all (local.get $batch) (local.get $count))",
                ..PROCESSOR
            }
            .text(),
        ),
        Cheat::new(
            "a-tail-call-in-a-loop-of-tail-calls",
            processor(
                &format!("(func $next (param $batch i32) (param $index i32) (param $left i32)
                    {} (if (i32.eqz (local.get $left)) (then (return)))
                    (return_call $next (local.get $batch) (local.get $index) (i32.sub (local.get $left) (i32.const 1))))",
                    read("(local.get $index)")),
                &each("(call $next (local.get $batch) (local.get $i) (i32.const 4))"),
            ),
        ),
    ]
}

fn recursion() -> Vec<Cheat> {
    let recursive = format!(
        "(func $again (param $batch i32) (param $index i32) (param $left i32)
        {} (if (local.get $left) (then
          (call $again (local.get $batch) (local.get $index) (i32.sub (local.get $left) (i32.const 1))))))",
        read("(local.get $index)")
    );
    let mutual = format!(
        "(func $one (param $batch i32) (param $index i32) (param $left i32)
        (if (local.get $left) (then
          (call $other (local.get $batch) (local.get $index) (i32.sub (local.get $left) (i32.const 1))))))
        (func $other (param $batch i32) (param $index i32) (param $left i32)
          {} (call $one (local.get $batch) (local.get $index) (local.get $left)))",
        read("(local.get $index)")
    );
    let itself = format!(
        "(global $deep (mut i32) (i32.const 0))
        (func $itself (param $batch i32) (param $count i32) (local $i i32)
          (loop $next {}
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $count))))
          (global.set $deep (i32.add (global.get $deep) (i32.const 1)))
          (if (i32.lt_u (global.get $deep) (i32.const 3)) (then (call $itself (local.get $batch) (local.get $count))))
          (global.set $deep (i32.const 0)))",
        read("(local.get $i)")
    );
    let indirectly = format!(
        "(type $deeper (func (param i32 i32 i32))) (table $table funcref (elem $one))
        (func $one (param $batch i32) (param $index i32) (param $left i32) {}
          (if (local.get $left) (then
            (call_indirect $table (type $deeper) (local.get $batch) (local.get $index)
              (i32.sub (local.get $left) (i32.const 1)) (i32.const 0)))))",
        read("(local.get $index)")
    );
    let mut chain = format!("(func $level0 (param $batch i32) (param $index i32) {})", read("(local.get $index)"));
    for level in 1..=10 {
        let call = format!("(call $level{} (local.get $batch) (local.get $index))", level - 1);
        chain += &format!("(func $level{level} (param $batch i32) (param $index i32) {call} {call})");
    }
    // 2^36 reads of each element, if the level in memory did not stop them: an overflow must not give a small bound.
    let mut steep = format!(
        "(global $left (mut i32) (i32.const 0))
        (func $step0 (param $batch i32) (param $index i32)
          (if (global.get $left) (then
            (global.set $left (i32.sub (global.get $left) (i32.const 1))) {})))",
        read("(local.get $index)")
    );
    for level in 1..=36 {
        let call =
            format!("(if (global.get $left) (then (call $step{} (local.get $batch) (local.get $index))))", level - 1);
        steep += &format!("(func $step{level} (param $batch i32) (param $index i32) {call} {call})");
    }
    vec![
        Cheat::new(
            "recursive",
            processor(&recursive, &each("(call $again (local.get $batch) (local.get $i) (i32.const 3))")),
        ),
        Cheat::new(
            "recursive-in-a-sink",
            sink(&recursive, &each("(call $again (local.get $batch) (local.get $i) (i32.const 3))")),
        ),
        Cheat::new(
            "mutually-recursive",
            processor(&mutual, &each("(call $one (local.get $batch) (local.get $i) (i32.const 3))")),
        ),
        Cheat::new(
            "recursive-through-a-table",
            processor(&indirectly, &each("(call $one (local.get $batch) (local.get $i) (i32.const 3))")),
        ),
        Cheat::new(
            "the-batch-loop-is-recursive",
            processor(&itself, "(call $itself (local.get $batch) (local.get $count))"),
        ),
        Cheat::new("two-calls-a-level", processor(&chain, &each("(call $level10 (local.get $batch) (local.get $i))"))),
        Cheat::new(
            "two-calls-a-level-steep",
            processor(
                &steep,
                &each("(global.set $left (i32.const 1000)) (call $step36 (local.get $batch) (local.get $i))"),
            ),
        ),
    ]
}

fn exceptions() -> Vec<Cheat> {
    let twice = format!(
        "(local $tries i32) {}",
        each(&format!(
            "(local.set $tries (i32.const 0))
        (block $done (loop $retry
          (block $caught
            (try_table (catch $oops $caught) {} (throw $oops)))
          (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
          (br_if $retry (i32.lt_u (local.get $tries) (i32.const 3)))))",
            read("(local.get $i)")
        ))
    );
    vec![Cheat::new("try_table", processor("(tag $oops)", &twice)).fate(Fate::Refused)]
}

/// Functions other than the exports that the host or the engine calls.
fn roots() -> Vec<Cheat> {
    let stash = "(i32.store (i32.const 2048) (local.get $batch))";
    let stashed = read("(i32.const 0)").replace("(local.get $batch)", "(i32.load (i32.const 2048))");
    let post_return = Guest { work: &format!("{stash} {END}"), post_return: &stashed, ..PROCESSOR };
    let flush = Guest { work: &format!("{stash} {END}"), last: &format!("{stashed} (call $ok)"), ..PROCESSOR };
    let complete = Guest {
        work: &format!("{stash} (call $drop_batch (local.get $batch)) (call $ok)"),
        last: &format!("{stashed} (call $ok)"),
        ..SINK
    };
    let init = Guest { init: &format!("{stashed} (call $ok)"), ..PROCESSOR };
    let start = Guest { start: &stashed, ..PROCESSOR };
    let teardown = Guest { work: &format!("{stash} {END}"), teardown: &stashed, ..PROCESSOR };
    // A separate module allocates, because memory must exist before the import is lowered.
    let allocator = format!(
        r#"
        (core module $allocator
          (import "store" "memory" (memory 0))
          (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
          (global $top (mut i32) (i32.const 65536))
          (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
            (local $at i32) {stashed} {BUMP}))
        (core instance $allocator (instantiate $allocator
          (with "store" (instance $store)) (with "host" (instance (export "read" (func $read))))))
        (alias core export $allocator "realloc" (core func $reading-realloc))"#
    );
    let realloc = Guest { definitions: &allocator, ..PROCESSOR }.text();
    let of_arguments = realloc.replace(
        r#"(core func $main "process") (memory $memory) (realloc $realloc)"#,
        r#"(core func $main "process") (memory $memory) (realloc $reading-realloc)"#,
    );
    assert_ne!(realloc, of_arguments);
    let lowered = format!(
        r#"{allocator}
        (core func $other-read (canon lower (func $payload-read "read") (memory $memory) (realloc $reading-realloc)))"#
    );
    let of_results = Guest {
        definitions: &lowered,
        imports: r#"(export "other" (func $other-read))"#,
        fields: r#"(import "host" "other" (func $other (param i32 i32 i64 i64 i32)))"#,
        work: &format!(
            "{stash} (call $other (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 1) (i32.const 64)) {END}"
        ),
        ..PROCESSOR
    };
    let destructor = format!(
        r#"
        (core module $dtor
          (import "store" "memory" (memory 0))
          (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
          (func (export "dtor") (param $index i32) {}))
        (core instance $dtor (instantiate $dtor
          (with "store" (instance $store)) (with "host" (instance (export "read" (func $read))))))
        (type $own (resource (rep i32) (dtor (func $dtor "dtor"))))
        (core func $new (canon resource.new $own))
        (core func $drop (canon resource.drop $own))"#,
        read("(local.get $index)").replace("(local.get $batch)", "(i32.load (i32.const 2048))")
    );
    let dropping = Guest {
        definitions: &destructor,
        imports: r#"(export "new" (func $new)) (export "drop" (func $drop))"#,
        fields: r#"(import "host" "new" (func $new (param i32) (result i32))) (import "host" "drop" (func $drop (param i32)))"#,
        work: &format!(
            "(local $i i32) {stash} {} {END}",
            crate::cheat::again(&"(call $drop (call $new (local.get $i)))".repeat(3))
        ),
        ..PROCESSOR
    };
    let then_traps = format!("(if (i32.eqz (local.get $count)) (then {} unreachable))", read("(i32.const 0)"));
    let empty = "(if (i32.eqz (local.get $count)) (then ".to_string() + &read("(i32.const 0)") + "))";
    vec![
        Cheat::new("post-return", post_return.text()).fate(Fate::Traps),
        Cheat::new("flush-with-the-batch-of-process", flush.text()).fate(Fate::Traps).unreachable(),
        Cheat::new("complete-with-the-batch-of-push", complete.text()).fate(Fate::Traps).unreachable(),
        Cheat::new("teardown-with-the-batch-of-process", teardown.text()).fate(Fate::Traps).unreachable(),
        Cheat::new("init-without-a-batch", init.text()).fate(Fate::Traps).unreachable(),
        Cheat::new("start-without-a-batch", start.text()).fate(Fate::Traps).unreachable(),
        Cheat::new("cabi_realloc-for-arguments", of_arguments).fate(Fate::Traps),
        Cheat::new("cabi_realloc-for-results", of_results.text()).fate(Fate::Traps),
        Cheat::new("destructor", dropping.text()),
        Cheat::new("read-and-trap", processor("", &then_traps)).fate(Fate::Spares),
        Cheat::new("read-if", processor("", &empty)).fate(Fate::Spares),
        Cheat::new("read-nothing-there", processor("", &read("(i32.const -1)"))).fate(Fate::Spares),
    ]
}

pub(crate) fn cheats() -> Vec<Cheat> {
    [references(), recursion(), exceptions(), roots()].into_iter().flatten().collect()
}
