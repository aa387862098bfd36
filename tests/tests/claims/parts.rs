//! The parts of every random component: its types, the module with its memory and its state during a call, and a nested
//! component that reads.

use wat_guests::imports::{PAYLOAD_LEASE, PAYLOAD_WRITE, payload_read, types};

/// The imports of the host.
pub(crate) fn imports() -> String {
    [&types(true), &payload_read(true), PAYLOAD_WRITE, PAYLOAD_LEASE].concat()
}

/// Memory, the lowered functions of the host, and the module behind every call of the host except the reads of a batch.
///
/// A call executes `begin` first and `end` last. `burn` says when to stop: a loop of these components has some hundred
/// rounds in a call at most, and not 2^32.
pub(crate) const COMMON: &str = r#"
  (core module $store
    (memory (export "memory") 2)
    (global (export "one") i32 (i32.const 1))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192)))
  (core instance $store (instantiate $store))
  (alias core export $store "memory" (core memory $memory))
  (alias core export $store "realloc" (core func $realloc))
  (core func $read (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))
  (core func $read-again (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc) string-encoding=utf16))
  (core func $read-all (canon lower (func $payload-read "read-all") (memory $memory) (realloc $realloc)))
  (core func $read-held (canon lower (func $payload-read "read-held") (memory $memory) (realloc $realloc)))
  (core func $emit-all (canon lower (func $payload-write "emit-all") (memory $memory) (realloc $realloc)))
  (core func $take (canon lower (func $payload-lease "take") (memory $memory) (realloc $realloc)))
  (core func $append (canon lower (func $types "[method]output.append")))
  (core func $drop-batch (canon resource.drop $batch))
  (core module $keep
    (import "store" "memory" (memory 1))
    (import "host" "emit-all" (func $emit_all (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "append" (func $append (param i32 i32)))
    (import "host" "take" (func $take (param i32 i32 i32 i32 i32 i64 i32)))
    (import "host" "read-held" (func $read_held (param i32 i32 i64 i64 i32)))
    (import "host" "drop-batch" (func $drop_batch (param i32)))
    (global $fuel (mut i32) (i32.const 0))
    (global $made (mut i32) (i32.const 0))
    (global $output (mut i32) (i32.const 0))
    (global $holds (mut i32) (i32.const 0))
    (global $lease (mut i32) (i32.const 0))
    (func (export "begin")
      (global.set $fuel (i32.const 300))
      (global.set $made (i32.const 0))
      (i64.store (i32.const 264) (i64.const 1)))
    (func (export "burn") (result i32)
      (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
      (i32.le_s (global.get $fuel) (i32.const 0)))
    (func (export "emit") (param i32)
      (call $emit_all (i32.const 256) (i32.const 1) (i32.const 264) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then return))
      (if (global.get $made)
        (then (call $append (global.get $output) (i32.load (i32.const 68))))
        (else (global.set $made (i32.const 1)) (global.set $output (i32.load (i32.const 68))))))
    (func (export "hold") (param i32)
      (i32.store (i32.const 272) (i32.const 0))
      (call $take (local.get 0) (i32.const 272) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then return))
      (global.set $holds (i32.const 1))
      (global.set $lease (i32.load (i32.const 68))))
    (func (export "look-held") (param i32)
      (if (global.get $holds)
        (then (call $read_held (global.get $lease) (local.get 0) (i64.const 0) (i64.const 1) (i32.const 64)))))
    (func (export "end") (param $batch i32) (param $count i32) (result i32)
      (call $drop_batch (local.get $batch))
      (call $ended (local.get $count)))
    (func $ended (export "ended") (param $count i32) (result i32)
      (memory.fill (i32.const 16) (i32.const 0) (i32.const 48))
      (i32.store (i32.const 20) (global.get $made))
      (i32.store (i32.const 24) (select (global.get $output) (i32.const 1024) (global.get $made)))
      (i32.store (i32.const 28) (local.get $count))
      (i32.const 16)))
  (core instance $keep (instantiate $keep
    (with "store" (instance $store))
    (with "host" (instance (export "emit-all" (func $emit-all)) (export "append" (func $append))
      (export "take" (func $take)) (export "read-held" (func $read-held)) (export "drop-batch" (func $drop-batch))))))
  (alias core export $keep "emit" (core func $emit))
  (alias core export $keep "hold" (core func $hold))
  (alias core export $keep "look-held" (core func $look-held))
"#;

/// A nested component whose `look`, of a batch and an index, reads through `$read` as `body` says.
pub(crate) fn nested(body: &str) -> String {
    format!(
        r#"
  (component $within
    (import "batch" (type $batch (sub resource)))
    (type $failure-is (variant (case "invalid-input" string) (case "unavailable" string) (case "internal" string)
      (case "deadline-exceeded") (case "fatal" string) (case "out-of-bounds") (case "budget-exceeded")
      (case "limit-exceeded" string)))
    (import "failure" (type $failure (eq $failure-is)))
    (import "read" (func $read (param "of" (borrow $batch)) (param "index" u32) (param "offset" u64) (param "len" u64)
      (result (result (list u8) (error $failure)))))
    (core module $room
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192)))
    (core instance $room (instantiate $room))
    (core func $lowered (canon lower (func $read) (memory $room "memory") (realloc (func $room "realloc"))))
    (core func $drop (canon resource.drop $batch))
    (core module $inner
      (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
      (import "host" "drop" (func $drop (param i32)))
      (func (export "look") (param $batch i32) (param $index i32) {body} (call $drop (local.get $batch))))
    (core instance $inner (instantiate $inner
      (with "host" (instance (export "read" (func $lowered)) (export "drop" (func $drop))))))
    (func (export "look") (param "of" (borrow $batch)) (param "index" u32) (canon lift (core func $inner "look"))))
  (instance $within (instantiate $within
    (with "batch" (type $batch)) (with "failure" (type $failure)) (with "read" (func $payload-read "read"))))
  (core func $nested (canon lower (func $within "look")))
"#
    )
}

/// The lifted functions and the exports. `$process` and `$flush` are core functions.
pub(crate) const EXPORTS: &str = r#"
  (core module $rest
    (import "keep" "ended" (func $ended (param i32) (result i32)))
    (func (export "init") (param i32 i32) (result i32) (call $ended (i32.const 0)))
    (func (export "teardown")))
  (core instance $rest (instantiate $rest (with "keep" (instance $keep))))
  (func $init (param "config" (list (tuple string string))) (result (result $columns (error $failure)))
    (canon lift (core func $rest "init") (memory $memory) (realloc $realloc)))
  (func $teardown (canon lift (core func $rest "teardown")))
  (func $lifted-process (param "of" (borrow $batch)) (param "count" u32) (param "metadata" (list u64))
    (result (result $outcome (error $process-failure)))
    (canon lift (core func $process) (memory $memory) (realloc $realloc)))
  (func $lifted-flush (result (result (option (own $output)) (error $failure)))
    (canon lift (core func $flush) (memory $memory)))
  (instance $lifecycle (export "init" (func $init)) (export "teardown" (func $teardown)))
  (instance $processor (export "process" (func $lifted-process)) (export "flush" (func $lifted-flush)))
  (export "torvyn:streaming/lifecycle@0.2.0" (instance $lifecycle))
  (export "torvyn:streaming/processor@0.2.0" (instance $processor))
"#;
