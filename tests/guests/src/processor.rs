//! Processors in WebAssembly text that read and write in ways that no compiler would choose.

use crate::imports::{
    COLUMNS, PAYLOAD_BUFFER, PAYLOAD_LEASE, PAYLOAD_READ, PAYLOAD_VIEW, PAYLOAD_WRITE, payload_read_held,
};

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
        let [view, buffer, lease, lowered, held, calling, given] =
            if *holds { [PAYLOAD_VIEW, PAYLOAD_BUFFER, PAYLOAD_LEASE, LOWERED, HELD, CALLING, GIVEN] } else { [""; 7] };
        let types = if *holds { TYPES.replace(COLUMNS, LEASE) } else { TYPES.to_string() };
        let payload_read = if *holds { payload_read_held() } else { PAYLOAD_READ.to_string() };
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
  (core instance $store (instantiate $store))
  (alias core export $store "memory" (core memory $memory))
  (alias core export $store "realloc" (core func $realloc))
  (core func $read (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))
  (core func $read-all (canon lower (func $payload-read "read-all") (memory $memory) (realloc $realloc)))
  (core func $emit-all (canon lower (func $payload-write "emit-all") (memory $memory) (realloc $realloc)))
  {lowered}
  {before}
  (core module $main
    (import "store" "memory" (memory 1))
    (import "store" "late" (table $late 1 funcref))
    (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
    (import "host" "read-all" (func $read_all (param i32 i32)))
    (import "host" "emit-all" (func $emit_all (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
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
  (func $init (param "config" (list (tuple string string))) (result (result $columns (error $failure)))
    (canon lift (core func $main "init") (memory $memory) (realloc $realloc)))
  (func $teardown (canon lift (core func $main "teardown")))
  (func $process (param "of" (borrow $batch)) (param "count" u32) (param "metadata" (list u64))
    (result (result $outcome (error $process-failure)))
    (canon lift (core func $main "process") (memory $memory) (realloc $realloc)))
  (func $flush (result (result (option (own $output)) (error $failure)))
    (canon lift (core func $main "flush") (memory $memory)))
  (instance $lifecycle (export "init" (func $init)) (export "teardown" (func $teardown)))
  (instance $processor (export "process" (func $process)) (export "flush" (func $flush)))
  (export "torvyn:streaming/lifecycle@0.2.0" (instance $lifecycle))
  (export "torvyn:streaming/processor@0.2.0" (instance $processor)))"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

const TYPES: &str = r#"
  (import "torvyn:streaming/types@0.2.0" (instance $types
    (export "batch" (type (sub resource)))
    (export "output" (type $output (sub resource)))
    (type $failure-is (variant (case "invalid-input" string) (case "unavailable" string) (case "internal" string)
      (case "deadline-exceeded") (case "fatal" string) (case "out-of-bounds") (case "budget-exceeded")
      (case "limit-exceeded" string)))
    (export "failure" (type $why (eq $failure-is)))
    (type $routes-is (list u32))
    (export "routes" (type $routes (eq $routes-is)))
    (type $outcome-is (variant (case "routes" $routes) (case "output" (own $output))))
    (export "outcome" (type $became (eq $outcome-is)))
    (type $reached-is (record (field "index" u32) (field "outcome" $became)))
    (export "reached" (type $reached (eq $reached-is)))
    (type $process-failure-is (record (field "failure" $why) (field "reached" (option $reached))))
    (export "process-failure" (type (eq $process-failure-is)))
    (type $columns-is (flags "sequence" "timestamp" "deadline" "trace"))
    (export "columns" (type (eq $columns-is)))))
  (alias export $types "batch" (type $batch))
  (alias export $types "output" (type $output))
  (alias export $types "failure" (type $failure))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "process-failure" (type $process-failure))
  (alias export $types "columns" (type $columns))
"#;

/// Further imports for processors that hold elements.
const LEASE: &str = r#"(export "columns" (type (eq $columns-is))) (export "lease" (type (sub resource)))))
  (alias export $types "lease" (type $lease))"#;

const LOWERED: &str = r#"
  (core func $slice-all (canon lower (func $payload-view "slice-all") (memory $memory) (realloc $realloc)))
  (core func $allocate (canon lower (func $payload-buffer "[static]buffer.allocate") (memory $memory) (realloc $realloc)))
  (core func $append (canon lower (func $payload-buffer "[method]buffer.append") (memory $memory) (realloc $realloc)))
  (core func $write-at (canon lower (func $payload-buffer "[method]buffer.write-at") (memory $memory) (realloc $realloc)))
  (core func $freeze (canon lower (func $payload-buffer "[static]buffer.freeze") (memory $memory) (realloc $realloc)))
  (core func $read-held (canon lower (func $payload-read "read-held") (memory $memory) (realloc $realloc)))
  (core func $take (canon lower (func $payload-lease "take") (memory $memory) (realloc $realloc)))
  (core func $forward-all (canon lower (func $payload-lease "forward-all") (memory $memory) (realloc $realloc)))
  (core func $join (canon lower (func $payload-lease "join") (memory $memory) (realloc $realloc)))
"#;

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
