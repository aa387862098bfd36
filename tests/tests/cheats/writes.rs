//! Guests that write more often than it looks.

use torvyn_tests::guest::{Guest, PROCESSOR};

use crate::cheat::{Cheat, END, Fate, each, processor};

/// Makes an output of one empty payload, and lets go of it.
const EMIT: &str = "(i64.store (i32.const 2048) (i64.const 0))
    (call $emit_all (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
    (call $drop_output (i32.load (i32.const 68)))";

/// The same, with `count` empty payloads.
fn emit_many(count: &str) -> String {
    format!(
        "(memory.fill (i32.const 8192) (i32.const 0) (i32.mul {count} (i32.const 8)))
        (call $emit_all (i32.const 0) (i32.const 0) (i32.const 8192) {count}
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $drop_output (i32.load (i32.const 68)))"
    )
}

/// Each of these writes one payload with each `emit-all`, unless it is named `many`.
pub(crate) fn cheats() -> Vec<Cheat> {
    let function = format!("(func $make {EMIT})");
    let table = format!("(type $makes (func)) (table $table funcref (elem $make)) {function}");
    let last = format!("{EMIT} (call $ok)");
    let recursive = format!(
        "(func $make (param i32) {EMIT}
        (if (local.get 0) (then (call $make (i32.sub (local.get 0) (i32.const 1))))))"
    );
    let emit_if = format!("(if (i32.eqz (local.get $count)) (then {EMIT}))");
    vec![
        Cheat::new("emit-once", processor("", EMIT)),
        Cheat::new("emit-twice", processor("", &EMIT.repeat(2))),
        Cheat::new("emit-for-each", processor("", &each(EMIT))),
        Cheat::new("emit-for-each-twice", processor("", &each(&EMIT.repeat(2)))),
        Cheat::new("emit-in-a-function-called-twice", processor(&function, "(call $make) (call $make)")),
        Cheat::new(
            "emit-through-a-table",
            processor(
                &table,
                "(call_indirect $table (type $makes) (i32.const 0)) (call_indirect $table (type $makes) (i32.const 0))",
            ),
        ),
        Cheat::new("emit-recursively", processor(&recursive, "(call $make (i32.const 3))")),
        Cheat::new("emit-many-twice-as-many", processor("", &emit_many("(i32.mul (local.get $count) (i32.const 2))"))),
        Cheat::new("emit-many-in-a-loop", processor("", &each(&emit_many("(local.get $count)")))),
        Cheat::new("emit-in-flush", Guest { last: &last, ..PROCESSOR }.text()),
        Cheat::new(
            "emit-many-in-flush",
            Guest { last: &format!("{} (call $ok)", emit_many("(i32.const 200)")), ..PROCESSOR }.text(),
        ),
        Cheat::new("emit-in-init", Guest { init: &last, ..PROCESSOR }.text()),
        Cheat::new("emit-in-teardown", Guest { teardown: EMIT, ..PROCESSOR }.text()),
        Cheat::new("emit-in-post-return", Guest { post_return: EMIT, ..PROCESSOR }.text()).fate(Fate::Traps),
        Cheat::new("emit-if", Guest { work: &format!("{emit_if} {END}"), ..PROCESSOR }.text()).fate(Fate::Spares),
    ]
}
