//! Guests with a component structure that hides the read: in another core module, in another component, or under
//! another name.

use torvyn_tests::guest::{Guest, PROCESSOR};
use wat_guests::imports::{LOWERED_READ, PAYLOAD_READ, PAYLOAD_WRITE, STORE, TYPES};

use crate::cheat::{Cheat, END, Fate, each, processor, read};

const PROCESS: &str = r#"(canon lift (core func $main "process")"#;

/// A core module that wraps the import, in a function that reads once.
fn wrapper(exports: &str) -> String {
    format!(
        r#"
        (core module $wrapper
          (type $reads (func (param i32 i32)))
          (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
          (func $wrap (type $reads) {}) {exports})
        (core instance $wrapper (instantiate $wrapper (with "host" (instance (export "read" (func $read))))))"#,
        read("(local.get 1)").replace("(local.get $batch)", "(local.get 0)")
    )
}

/// A main module with another import, which it calls twice for each element.
fn importing(name: &str, definitions: &str, argument: &str, fields: &str, call: &str) -> Cheat {
    let work = format!("{} {END}", each(&call.repeat(2)));
    Cheat::new(name, Guest { definitions, imports: argument, fields, work: &work, ..PROCESSOR }.text())
}

fn core_modules() -> Vec<Cheat> {
    let function =
        wrapper(r#"(export "wrap" (func $wrap))"#) + r#"(alias core export $wrapper "wrap" (core func $wrapped))"#;
    let table = wrapper(r#"(table (export "wrap") 1 funcref) (elem (i32.const 0) func $wrap)"#)
        + r#"(alias core export $wrapper "wrap" (core table $wrapped))"#;
    let global = wrapper(r#"(global (export "wrap") (ref $reads) (ref.func $wrap))"#)
        + r#"(alias core export $wrapper "wrap" (core global $wrapped))"#;
    let filled = format!(
        r#"
        (core module $tables (table (export "table") 2 funcref))
        (core instance $tables (instantiate $tables))
        (alias core export $tables "table" (core table $wrapped))
        (core module $filler
          (import "host" "table" (table 1 funcref))
          (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
          (elem (i32.const 0) func $wrap)
          (func $wrap (param i32 i32) {}))
        (core instance $filler (instantiate $filler (with "host" (instance
          (export "read" (func $read)) (export "table" (table $wrapped))))))"#,
        read("(local.get 1)").replace("(local.get $batch)", "(local.get 0)")
    );
    let twice = function.replace("(type $reads) ", "(type $reads) (call $more (local.get 0) (local.get 1))").replace(
        "(func $wrap (type",
        &format!(
            "(func $more (type $reads) {}) (func $wrap (type",
            read("(local.get 1)").replace("(local.get $batch)", "(local.get 0)")
        ),
    );
    let two_instances = format!(
        r#"{function}
        (core instance $second (instantiate $wrapper (with "host" (instance (export "read" (func $read))))))
        (alias core export $second "wrap" (core func $wrapped-too))"#
    );
    let passed_on = format!(
        r#"{function}
        (core module $relay (import "host" "wrap" (func $wrap (param i32 i32))) (export "log" (func $wrap)))
        (core instance $relay (instantiate $relay (with "host" (instance (export "wrap" (func $wrapped))))))
        (alias core export $relay "log" (core func $relayed))"#
    );
    let call = "(call $wrap (local.get $batch) (local.get $i))";
    let import = r#"(import "host" "wrap" (func $wrap (param i32 i32)))"#;
    let import_table = r#"(type $reads (func (param i32 i32))) (import "host" "wrap" (table $table 1 funcref))"#;
    let call_table = "(call_indirect $table (type $reads) (local.get $batch) (local.get $i) (i32.const 0))";
    let lowered = r#"(core func $again (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))"#;
    let full = |name: &str| {
        format!("(call ${name} (local.get $batch) (local.get $i) (i64.const 0) (i64.const 1) (i32.const 64))")
    };
    let renamed = r#"(instance $innocent (export "log" (func $payload-read "read")))
        (core func $log (canon lower (func $innocent "log") (memory $memory) (realloc $realloc)))"#;
    vec![
        importing("a-module-exports-a-function", &function, r#"(export "wrap" (func $wrapped))"#, import, call),
        importing(
            "a-module-exports-a-function-that-reads-twice",
            &twice,
            r#"(export "wrap" (func $wrapped))"#,
            import,
            call,
        ),
        importing("a-module-exports-a-table", &table, r#"(export "wrap" (table $wrapped))"#, import_table, call_table),
        importing("a-module-fills-a-table", &filled, r#"(export "wrap" (table $wrapped))"#, import_table, call_table),
        importing(
            "a-module-exports-a-reference",
            &global,
            r#"(export "wrap" (global $wrapped))"#,
            r#"(type $reads (func (param i32 i32))) (import "host" "wrap" (global $wrap (ref $reads)))"#,
            "(call_ref $reads (local.get $batch) (local.get $i) (global.get $wrap))",
        ),
        importing(
            "a-module-instantiated-twice",
            &two_instances,
            r#"(export "wrap" (func $wrapped)) (export "too" (func $wrapped-too))"#,
            r#"(import "host" "wrap" (func $wrap (param i32 i32))) (import "host" "too" (func $too (param i32 i32)))"#,
            "(call $wrap (local.get $batch) (local.get $i)) (call $too (local.get $batch) (local.get $i))",
        ),
        importing("a-module-passes-a-function-on", &passed_on, r#"(export "wrap" (func $relayed))"#, import, call),
        importing(
            "lowered-twice",
            lowered,
            r#"(export "again" (func $again))"#,
            r#"(import "host" "again" (func $again (param i32 i32 i64 i64 i32)))"#,
            &(full("again") + &full("read")),
        ),
        importing(
            "imported-twice",
            "",
            r#"(export "log" (func $read))"#,
            r#"(import "host" "log" (func $log (param i32 i32 i64 i64 i32)))"#,
            &(full("log") + &full("read")),
        ),
        importing(
            "imported-under-another-name",
            "",
            r#"(export "log" (func $read))"#,
            r#"(import "host" "log" (func $log (param i32 i32 i64 i64 i32)))"#,
            &full("log"),
        ),
        importing(
            "renamed-instance",
            renamed,
            r#"(export "log" (func $log))"#,
            r#"(import "host" "log" (func $log (param i32 i32 i64 i64 i32)))"#,
            &full("log"),
        ),
        importing(
            "memory-of-another-import",
            r#"(core func $size (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))"#,
            r#"(export "size" (func $size))"#,
            r#"(import "host" "size" (func $size (param i32 i32 i64 i64 i32)))"#,
            &full("size"),
        ),
    ]
}

/// Exports with misleading names.
fn names() -> Vec<Cheat> {
    let reading = format!(
        r#"(func (export "innocent") (param $batch i32) (param $count i32) (param i32 i32) (result i32) {} {END})"#,
        each(&read("(local.get $i)").repeat(2))
    );
    let other = processor(&reading, "");
    let lifted = other.replace(PROCESS, r#"(canon lift (core func $main "innocent")"#);
    assert_ne!(other, lifted);
    let wrapped = other.replace(
        "(func $init (param \"config\"",
        r#"(core instance $dressed (export "process" (func $main "innocent")))
           (func $init (param "config""#,
    );
    let dressed = wrapped.replace(PROCESS, r#"(canon lift (core func $dressed "process")"#);
    assert_ne!(wrapped, dressed);
    // The name section calls the import a helper, and a helper the import.
    let misnamed = Guest {
        imports: r#"(export "drop" (func $read)) (export "tell" (func $read-all))"#,
        fields: r#"(import "host" "drop" (func $innocent (@name "drop") (param i32 i32 i64 i64 i32)))
            (import "host" "tell" (func $teardown (@name "teardown") (param i32 i32)))
            (func $named (@name "payload-read.read") (param i32 i32))"#,
        work: &format!(
            "{} (call $teardown (local.get $batch) (i32.const 64)) {END}",
            each("(call $innocent (local.get $batch) (local.get $i) (i64.const 0) (i64.const 1) (i32.const 64))")
        ),
        ..PROCESSOR
    };
    vec![
        Cheat::new("lifted-under-another-name", lifted),
        Cheat::new("lifted-from-an-instance-of-exports", dressed),
        Cheat::new("names-that-lie", misnamed.text()),
    ]
}

const ARGUMENTS: &str = r#"
    (with "torvyn:streaming/types@0.2.0" (instance $types))
    (with "torvyn:streaming/payload-read@0.2.0" (instance $payload-read))"#;

/// Nested components.
fn components() -> Vec<Cheat> {
    let text = processor("", &each(&read("(local.get $i)").repeat(2)));
    let guest = text.replacen("(component", "(component $inner", 1);
    let exports = r#"
        (export "torvyn:streaming/lifecycle@0.2.0" (instance $inner "torvyn:streaming/lifecycle@0.2.0"))
        (export "torvyn:streaming/processor@0.2.0" (instance $inner "torvyn:streaming/processor@0.2.0"))"#;
    let write = r#"(with "torvyn:streaming/payload-write@0.2.0" (instance $payload-write))"#;
    let nested = format!(
        "(component {TYPES} {PAYLOAD_READ} {PAYLOAD_WRITE} {guest}
          (instance $inner (instantiate $inner {ARGUMENTS} {write})) {exports})"
    );
    let twice_nested = format!(
        "(component {TYPES} {PAYLOAD_READ} {PAYLOAD_WRITE} {}
          (instance $inner (instantiate $inner {ARGUMENTS} {write})) {exports})",
        nested.replacen("(component", "(component $inner", 1)
    );
    // Sits between a guest that reads once and the host, and reads three times for it.
    let amplifier = amplifier(3);
    let once = processor("", &each(&read("(local.get $i)"))).replacen("(component", "(component $inner", 1);
    let composed = format!(
        r#"(component {TYPES} {PAYLOAD_READ} {PAYLOAD_WRITE} {amplifier} {once}
          (instance $amplifier (instantiate $amplifier {ARGUMENTS}))
          (instance $inner (instantiate $inner
            (with "torvyn:streaming/types@0.2.0" (instance $types))
            (with "torvyn:streaming/payload-read@0.2.0" (instance $amplifier "torvyn:streaming/payload-read@0.2.0"))
            {write}))
          {exports})"#
    );
    // The same, with the guest not nested: its lowered import is an export of another component.
    let definitions = format!("{amplifier} (instance $amplifier (instantiate $amplifier {ARGUMENTS}))
        (core func $more (canon lower (func $amplifier \"torvyn:streaming/payload-read@0.2.0\" \"read\") (memory $memory) (realloc $realloc)))");
    let beside = importing(
        "a-component-in-the-component-reads",
        &definitions,
        r#"(export "more" (func $more))"#,
        r#"(import "host" "more" (func $more (param i32 i32 i64 i64 i32)))"#,
        "(call $more (local.get $batch) (local.get $i) (i64.const 0) (i64.const 1) (i32.const 64))",
    );
    vec![
        Cheat::new("nested", nested),
        Cheat::new("nested-twice", twice_nested),
        Cheat::new("composed-with-an-amplifier", composed),
        // The engine traps a component that calls into one that it instantiated itself.
        beside.fate(Fate::Traps),
    ]
}

/// A component that exports `payload-read`, and reads `times` times for each requested read.
fn amplifier(times: usize) -> String {
    let reads = "(call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64))".repeat(times);
    format!(
        r#"(component $amplifier {TYPES} {PAYLOAD_READ}
          (core module $store
            (memory (export "memory") 2)
            (global $top (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $top)
              (global.set $top (i32.and (i32.add (global.get $top) (i32.add (local.get 3) (i32.const 7))) (i32.const 0x1fff8)))))
          {STORE} {LOWERED_READ}
          (core func $drop (canon resource.drop $batch))
          (core module $main
            (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
            (import "host" "read-all" (func $read_all (param i32 i32)))
            (import "host" "drop" (func $drop (param i32)))
            (func (export "read") (param i32 i32 i64 i64) (result i32) {reads} (call $drop (local.get 0)) (i32.const 64))
            (func (export "read-all") (param i32) (result i32)
              (call $read_all (local.get 0) (i32.const 64)) (call $drop (local.get 0)) (i32.const 64)))
          (core instance $main (instantiate $main (with "host" (instance
            (export "read" (func $read)) (export "read-all" (func $read-all)) (export "drop" (func $drop))))))
          (func $lifted-read (param "of" (borrow $batch)) (param "index" u32) (param "offset" u64) (param "len" u64)
            (result (result (list u8) (error $failure)))
            (canon lift (core func $main "read") (memory $memory) (realloc $realloc)))
          (func $lifted-read-all (param "of" (borrow $batch)) (result (result (list u8) (error $failure)))
            (canon lift (core func $main "read-all") (memory $memory) (realloc $realloc)))
          (instance $exported
            (export "batch" (type $batch)) (export "failure" (type $failure))
            (export "read" (func $lifted-read)) (export "read-all" (func $lifted-read-all)))
          (export "torvyn:streaming/payload-read@0.2.0" (instance $exported)))"#
    )
}

pub(crate) fn cheats() -> Vec<Cheat> {
    [core_modules(), names(), components()].into_iter().flatten().collect()
}
