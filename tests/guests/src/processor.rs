//! Processors in WebAssembly text that read and write in ways that no compiler would choose.

use crate::imports::*;

/// The parts of a processor that a test replaces.
#[derive(Clone, Copy, Default)]
pub struct Guest<'a> {
    /// The body of `process`, of `$batch $count`. It ends with nothing on the stack.
    pub process: &'a str,
    /// The body of `flush`.
    pub flush: &'a str,
    /// The body of `init`, of `$config`.
    pub init: &'a str,
    /// Further fields of the core module.
    pub fields: &'a str,
    /// The body of `cabi_realloc`, before it fails.
    pub realloc: &'a str,
    /// Further definitions of the component, before its core module is instantiated.
    pub before: &'a str,
    /// Further definitions of the component, after its core module is instantiated.
    pub after: &'a str,
    /// What the core module imports `read` from, in place of the host.
    pub read: &'a str,
    /// Further arguments of its instance.
    pub arguments: &'a str,
    /// The body of `teardown`.
    pub teardown: &'a str,
    /// Whether it also imports `payload-view`, `payload-buffer`, `payload-lease` and `read-held`, as functions
    /// `$slice_all`, `$allocate_buffer` and so on.
    pub holds: bool,
}

impl Guest<'_> {
    /// The binary of the component.
    pub fn build(&self) -> Vec<u8> {
        let Guest { process, flush, init, fields, realloc, before, after, read, arguments, teardown, holds } = self;
        let [view, buffer, lease, held, calling, given] =
            if *holds { [PAYLOAD_VIEW, PAYLOAD_BUFFER, PAYLOAD_LEASE, HELD, CALLING, GIVEN] } else { [""; 6] };
        let lowered = if *holds { [LOWERED_BUFFER, LOWERED_LEASE, LOWERED_READ_HELD].concat() } else { String::new() };
        let (types, payload_read) = (types(*holds), payload_read(*holds));
        let read = if read.is_empty() { r#"(export "read" (func $read))"# } else { read };
        let text = format!(
            r#"(component {types} {payload_read} {PAYLOAD_WRITE} {view} {buffer} {lease}
  (core module $store
    (memory (export "memory") 1)
    (table $late (export "late") 1 funcref)
    (type $allocate (func (param i32 i32 i32 i32) (result i32)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect $late (type $allocate)
        (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 0))))
  {STORE} {LOWERED_READ} {LOWERED_WRITE}
  {lowered}
  {before}
  (core module $main
    (import "store" "memory" (memory 1))
    (import "store" "late" (table $late 1 funcref))
    {IMPORTED_READ} {IMPORTED_WRITE}
    {held}
    {fields}
    {calling}
    (func $look (param $batch i32) (param $index i32)
      (call $read (local.get $batch) (local.get $index) (i64.const 0) (i64.const 1) (i32.const 64)))
    (func $emit
      (call $emit_all (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 64)))
    (func $allocate (param i32 i32 i32 i32) (result i32) {realloc} (unreachable))
    (elem (table $late) (i32.const 0) func $allocate)
    (func (export "init") (param $config i32) (param i32) (result i32) {init} (i32.const 16))
    (func (export "process") (param $batch i32) (param $count i32) (param i32 i32) (result i32)
      {process} (i32.const 16))
    (func (export "flush") (result i32) {flush} (i32.const 16))
    (func (export "teardown") {teardown}))
  (core instance $main (instantiate $main
    (with "store" (instance $store))
    (with "host" (instance {read} (export "read-all" (func $read-all)) (export "emit-all" (func $emit-all))))
    {given} {arguments}))
  {after}
  {LIFECYCLE}
  (func $process (param "of" (borrow $batch)) (param "count" u32) (param "metadata" (list u64))
    (result (result $outcome (error $process-failure)))
    (canon lift (core func $main "process") (memory $memory) (realloc $realloc)))
  (func $flush (result (result (option (own $output)) (error $failure)))
    (canon lift (core func $main "flush") (memory $memory)))
  (instance $processor (export "process" (func $process)) (export "flush" (func $flush)))
  (export "torvyn:streaming/processor@0.2.0" (instance $processor)))"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

const GIVEN: &str = r#"(with "holding" (instance
    (export "slice-all" (func $slice-all)) (export "allocate" (func $allocate)) (export "append" (func $append))
    (export "write-at" (func $write-at)) (export "freeze" (func $freeze)) (export "read" (func $read-held))
    (export "take" (func $take)) (export "forward-all" (func $forward-all)) (export "join" (func $join))))"#;

const HELD: &str = r#"
    (import "holding" "slice-all" (func $slice_all (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "holding" "allocate" (func $allocate_buffer (param i64 i32)))
    (import "holding" "append" (func $append_bytes (param i32 i32 i32 i32)))
    (import "holding" "write-at" (func $write_bytes (param i32 i64 i32 i32 i32)))
    (import "holding" "freeze" (func $freeze_buffer (param i32 i32 i32 i32)))
    (import "holding" "read" (func $read_held (param i32 i32 i64 i64 i32)))
    (import "holding" "take" (func $take_some (param i32 i32 i32 i32 i32 i64 i32)))
    (import "holding" "forward-all" (func $forward_all (param i32 i32 i32 i32 i32 i32)))
    (import "holding" "join" (func $join_all (param i32 i32 i32 i32)))
"#;

/// A function without arguments for a call of each.
const CALLING: &str = r#"
    (func $slice (call $slice_all (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)))
    (func $begin_buffer (call $allocate_buffer (i64.const 8) (i32.const 64)))
    (func $append (call $append_bytes (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 64)))
    (func $write (call $write_bytes (i32.load (i32.const 8)) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))
    (func $freeze (call $freeze_buffer (i32.load (i32.const 8)) (i32.const -1) (i32.const 1) (i32.const 64)))
    (func $look_held (call $read_held (i32.load (i32.const 8)) (i32.const 0) (i64.const 0) (i64.const 1) (i32.const 64)))
    (func $take (call $take_some (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0)
      (i32.const 64)))
    (func $forward (call $forward_all (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)
      (i32.const 64)))
    (func $join (call $join_all (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 64)))
"#;
