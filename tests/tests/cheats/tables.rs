//! Guests that read through tables, whatever the tables are filled from.

use torvyn_tests::guest::{Guest, PROCESSOR};

use crate::cheat::{Cheat, END, READER, each, processor, read, sink};

const TYPES: &str = "(type $reads (func (param i32 i32))) (type $imported (func (param i32 i32 i64 i64 i32)))";

/// A read through a table, which is called twice for each element.
fn indirect(name: &str, fields: &str, init: &str) -> Cheat {
    let call = "(call_indirect $table (type $reads) (local.get $batch) (local.get $i) (i32.const 1))";
    let fields = format!("{TYPES} {fields} {READER}");
    let work = format!("{} {END}", each(&call.repeat(2)));
    let init = format!("{init} (call $ok)");
    Cheat::new(name, Guest { fields: &fields, init: &init, work: &work, ..PROCESSOR }.text())
}

fn tables() -> Vec<Cheat> {
    let empty = "(table $table 4 funcref) (elem declare func $reader)";
    let other = "(table $table 4 funcref) (table $other 4 funcref) (elem (table $other) (i32.const 1) func $reader)";
    let passive = "(table $table 4 funcref) (elem $elements func $reader)";
    let number = "(call_indirect $table (type $imported)
        (local.get $batch) (local.get $i) (i64.const 0) (i64.const 1) (i32.const 64) (i32.const 0))";
    let imported = format!("{TYPES} (table $table funcref (elem $read))");
    let from_memory =
        format!("{TYPES} (table $table funcref (elem $harmless $reader)) (func $harmless (param i32 i32)) {READER}");
    let chosen = each(
        "(i32.store (i32.const 2048) (i32.const 1))
        (call_indirect $table (type $reads) (local.get $batch) (local.get $i) (i32.load (i32.const 2048)))",
    );
    vec![
        indirect("table", "(table $table 4 funcref) (elem (table $table) (i32.const 1) func $reader)", ""),
        indirect(
            "table-of-expressions",
            "(table $table 4 funcref) (elem (table $table) (i32.const 1) funcref (item (ref.func $reader)))",
            "",
        ),
        indirect(
            "table-written-twice",
            "(table $table 4 funcref) (func $harmless (param i32 i32))
            (elem (table $table) (i32.const 1) func $harmless) (elem (table $table) (i32.const 1) func $reader)",
            "",
        ),
        indirect("table-with-initial-value", "(table $table 4 funcref (ref.func $reader))", ""),
        indirect("table.set", empty, "(table.set $table (i32.const 1) (ref.func $reader))"),
        indirect("table.fill", empty, "(table.fill $table (i32.const 0) (ref.func $reader) (i32.const 4))"),
        indirect("table.copy", other, "(table.copy $table $other (i32.const 0) (i32.const 0) (i32.const 4))"),
        indirect("table.init", passive, "(table.init $table $elements (i32.const 1) (i32.const 0) (i32.const 1))"),
        indirect(
            "table.grow",
            "(table $table 1 funcref) (elem declare func $reader)",
            "(drop (table.grow $table (ref.func $reader) (i32.const 3)))",
        ),
        indirect(
            "table-set-by-start",
            &format!(
                "{empty}
            (func $fill (table.set $table (i32.const 1) (ref.func $reader))) (start $fill)"
            ),
            "",
        ),
        indirect(
            "table-of-another-type-index",
            "(table $table 4 funcref) (type $same (func (param i32 i32)))
            (elem (table $table) (i32.const 1) func $alias)
            (func $alias (type $same) (call $reader (local.get 0) (local.get 1)))",
            "",
        ),
        indirect(
            "table64",
            "(table $wide i64 4 funcref) (table $table 4 funcref)
            (elem (table $wide) (i64.const 1) func $reader)
            (elem (table $table) (i32.const 1) func $through)
            (func $through (param i32 i32)
              (call_indirect $wide (type $reads) (local.get 0) (local.get 1) (i64.const 1)))",
            "",
        ),
        indirect(
            "table-set-from-another",
            &format!("{other} (elem declare func $reader)"),
            "(table.set $table (i32.const 1) (table.get $other (i32.const 1)))",
        ),
        Cheat::new("table-of-the-import", processor(&imported, &each(&number.repeat(2)))),
        Cheat::new("table-of-the-import-in-a-sink", sink(&imported, &each(&number.repeat(2)))),
        Cheat::new("table-index-from-memory", processor(&from_memory, &chosen)),
    ]
}

/// What a table holds comes from elsewhere than it seems.
fn places() -> Vec<Cheat> {
    let harmless = "(func $harmless (param i32 i32))";
    let slot = |name: &str, fields: &str, definitions: &str, imports: &str| {
        let call = "(call_indirect $table (type $reads) (local.get $batch) (local.get $i) (i32.const 1))";
        let fields = format!("{fields} {harmless} {READER}");
        let work = format!("{} {END}", each(&call.repeat(2)));
        Cheat::new(name, Guest { fields: &fields, definitions, imports, work: &work, ..PROCESSOR }.text())
    };
    let body = read("(local.get 1)").replace("(local.get $batch)", "(local.get 0)");
    let offset = r#"(core module $numbers (global (export "one") i32 (i32.const 1)))
        (core instance $numbers (instantiate $numbers))
        (alias core export $numbers "one" (core global $one))"#;
    let reference = format!(
        r#"(core module $references
          (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
          (func $hidden (param i32 i32) {body})
          (global (export "one") funcref (ref.func $hidden)))
        (core instance $references (instantiate $references (with "host" (instance (export "read" (func $read))))))
        (alias core export $references "one" (core global $one))"#
    );
    let one = r#"(export "one" (global $one))"#;
    let types = "(type $reads (func (param i32 i32)))";
    let typed = format!(
        "{types} (table $table 2 (ref null $reads)) (elem (table $table) (i32.const 1) (ref null $reads) (item (ref.func $reader))) {READER}"
    );
    let by_get = "(call_ref $reads (local.get $batch) (local.get $i) (table.get $table (i32.const 1)))";
    vec![
        slot(
            "slot-by-an-imported-number",
            &format!(
                r#"(import "host" "one" (global $one i32)) {types} (table $table 2 funcref)
                (elem (table $table) (i32.const 0) func $harmless $harmless)
                (elem (table $table) (global.get $one) func $reader)"#
            ),
            offset,
            one,
        ),
        slot(
            "slot-by-a-sum",
            &format!(
                "{types} (table $table 2 funcref) (elem (table $table) (i32.const 0) func $harmless $harmless)
                (elem (table $table) (offset (i32.add (i32.const 0) (i32.const 1))) func $reader)"
            ),
            "",
            "",
        ),
        slot(
            "slot-of-an-imported-reference",
            &format!(
                r#"(import "host" "one" (global $one funcref)) {types} (table $table 2 funcref)
                (elem (table $table) (i32.const 0) func $harmless $harmless)
                (elem (table $table) (i32.const 1) funcref (item (global.get $one)))"#
            ),
            &reference,
            one,
        ),
        slot(
            "slot-of-an-initial-reference",
            &format!(
                r#"(import "host" "one" (global $one funcref)) {types} (table $table 2 funcref (global.get $one))
                (elem (table $table) (i32.const 0) func $harmless)"#
            ),
            &reference,
            one,
        ),
        slot(
            "slot-set-to-an-imported-reference",
            &format!(
                r#"(import "host" "one" (global $one funcref)) {types} (table $table 2 funcref)
                (elem (table $table) (i32.const 0) func $harmless $harmless)
                (func $fill (table.set $table (i32.const 1) (global.get $one))) (start $fill)"#
            ),
            &reference,
            one,
        ),
        slot(
            "slot-written-over",
            &format!(
                "{types} (table $table 2 funcref) (elem (table $table) (i32.const 0) func $harmless $harmless)
                (elem (table $table) (i32.const 1) func $reader)"
            ),
            "",
            "",
        ),
        Cheat::new("table.get-and-call_ref", processor(&typed, &each(&by_get.repeat(2)))),
        Cheat::new(
            "table.get-and-return_call_ref",
            processor(
                &format!(
                    "{typed} (func $tail (param i32 i32)
                      (return_call_ref $reads (local.get 0) (local.get 1) (table.get $table (i32.const 1))))"
                ),
                &each(&"(call $tail (local.get $batch) (local.get $i))".repeat(2)),
            ),
        ),
    ]
}

/// Functions that look like those a linker puts before an import.
fn shims() -> Vec<Cheat> {
    let shim = |name: &str, before: &str, index: &str, after: &str| {
        let fields = format!(
            "(type $imported (func (param i32 i32 i64 i64 i32))) (table $table funcref (elem $read))
            (func $shim (type $imported)
              {before}
              (call_indirect $table (type $imported)
                (local.get 0) {index} (local.get 2) (local.get 3) (local.get 4) (i32.const 0))
              {after})"
        );
        let call = "(call $shim (local.get $batch) (local.get $i) (i64.const 0) (i64.const 1) (i32.const 64))";
        Cheat::new(name, processor(&fields, &each(call)))
    };
    let flip = "(i32.store (i32.const 2048) (i32.xor (i32.load (i32.const 2048)) (i32.const 1)))";
    let again = "(br_if 0 (i32.load (i32.const 2048)))";
    vec![
        shim("shim", "", "(local.get 1)", "").reads(1),
        shim("shim-that-loops", "(loop", "(local.get 1)", &format!("{flip} {again})")).reads(2),
        shim("shim-that-sets-its-parameter", "(local.set 1 (i32.const 0))", "(local.get 1)", "").reads(64),
        shim("shim-that-passes-another", "", "(i32.const 0)", "").reads(64),
        shim("shim-that-halves", "", "(i32.shr_u (local.get 1) (i32.const 1))", "").reads(2),
        shim(
            "shim-that-calls-another",
            "(call $read_to (local.get 0) (local.get 1) (local.get 2) (local.get 3))",
            "(local.get 1)",
            "",
        )
        .reads(2),
    ]
}

pub(crate) fn cheats() -> Vec<Cheat> {
    [tables(), places(), shims()].into_iter().flatten().collect()
}
