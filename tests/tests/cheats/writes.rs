//! Guests that write more often than it seems. A call must return what it writes, in one output: so the sizes in memory
//! decide how often it writes, and the code only how often it calls.

use torvyn_tests::guest::{Guest, PROCESSOR};

use crate::cheat::{Cheat, END, Fate, each, processor};

/// The end of a call that returns the last output.
const RETURN: &str = "(call $drop_batch (local.get $batch)) (call $output (i32.load (i32.const 68)))";

/// Makes an output of this many empty payloads.
fn emit(payloads: &str) -> String {
    format!(
        "(memory.fill (i32.const 8192) (i32.const 0) (i32.mul {payloads} (i32.const 8)))
        (call $emit_all (i32.const 0) (i32.const 0) (i32.const 8192) {payloads}
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))"
    )
}

/// A processor that makes an output and returns it.
fn making(fields: &str, make: &str) -> String {
    Guest { fields, work: &format!("{make} {RETURN}"), ..PROCESSOR }.text()
}

pub(crate) fn cheats() -> Vec<Cheat> {
    let count = "(local.get $count)";
    let twice = emit("(i32.mul (local.get $count) (i32.const 2))");
    let make = format!("(func $make (param $payloads i32) {})", emit("(local.get $payloads)"));
    let table = format!("(type $makes (func (param i32))) (table $table funcref (elem $make)) {make}");
    let imported =
        "(type $makes (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32))) (table $table funcref (elem $emit_all))";
    let recursive = format!(
        "(func $make (param $payloads i32) (param $depth i32)
          (if (local.get $depth)
            (then (call $make (local.get $payloads) (i32.sub (local.get $depth) (i32.const 1))))
            (else {})))",
        emit("(local.get $payloads)")
    );
    let nothing = emit("(i32.const 0)") + "(call $drop_output (i32.load (i32.const 68)))";
    let one = emit("(i32.const 1)");
    let flush = |payloads: &str| format!("{} (call $output (i32.load (i32.const 68)))", emit(payloads));
    let outside = format!("{one} (call $ok)");
    let emit_if = format!("(if (i32.eqz (local.get $count)) (then {one}))");
    vec![
        Cheat::new("emit-as-many", making("", &emit(count))),
        Cheat::new("emit-twice-as-many", making("", &twice)),
        Cheat::new("emit-a-hundred", making("", &emit("(i32.const 100)"))),
        Cheat::new(
            "emit-as-many-as-memory-says",
            making(
                "",
                &format!("(i32.store (i32.const 2048) (i32.const 300)) {}", emit("(i32.load (i32.const 2048))")),
            ),
        ),
        Cheat::new("emit-in-a-function", making(&make, "(call $make (i32.mul (local.get $count) (i32.const 3)))")),
        Cheat::new(
            "emit-through-a-table",
            making(&table, "(call_indirect $table (type $makes) (local.get $count) (i32.const 0))"),
        ),
        Cheat::new(
            "emit-through-a-table-of-the-import",
            making(
                imported,
                &format!(
                    "(memory.fill (i32.const 8192) (i32.const 0) (i32.const 4096))
            (call_indirect $table (type $makes) (i32.const 0) (i32.const 0) (i32.const 8192) {count}
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 0))"
                ),
            ),
        ),
        Cheat::new("emit-recursively", making(&recursive, "(call $make (local.get $count) (i32.const 3))")),
        Cheat::new("emit-nothing-often", making("", &format!("{} {}", each(&nothing), emit(count)))),
        Cheat::new(
            "emit-one-of-two",
            making("", &format!("(if (i32.and (local.get $count) (i32.const 1)) (then {one}) (else {twice}))")),
        ),
        Cheat::new("emit-in-flush", Guest { last: &flush("(i32.const 1)"), ..PROCESSOR }.text()),
        Cheat::new("emit-many-in-flush", Guest { last: &flush("(i32.const 200)"), ..PROCESSOR }.text()),
        Cheat::new(
            "emit-for-each-and-drop",
            processor("", &each(&(one.clone() + "(call $drop_output (i32.load (i32.const 68)))"))),
        )
        .fate(Fate::Traps),
        Cheat::new("emit-in-init", Guest { init: &outside, ..PROCESSOR }.text()).fate(Fate::Spares).unreachable(),
        Cheat::new("emit-in-teardown", Guest { teardown: &one, ..PROCESSOR }.text()).fate(Fate::Spares).unreachable(),
        Cheat::new("emit-in-post-return", Guest { post_return: &one, ..PROCESSOR }.text()).fate(Fate::Traps),
        Cheat::new("emit-if", Guest { work: &format!("{emit_if} {END}"), ..PROCESSOR }.text()).fate(Fate::Spares),
    ]
}
