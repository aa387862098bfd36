//! Stages written by hand, in WebAssembly text: they can do what no compiler would generate.
//!
//! A [`Guest`] is a well-behaved stage. A test replaces parts of it; each part is the instructions of a core function.

use std::path::PathBuf;

use tempfile::TempDir;
use torvyn_runtime::pipeline::graph::Role;

use crate::imports::*;

/// Where a lowered import of the host writes its result, and where the functions of a guest write theirs. `result<_,
/// failure>` has its discriminant there, and its content four bytes later. Both have the same layout, so a guest that
/// returns `HOST_RESULT` returns the failure of the host as its own.
pub const HOST_RESULT: &str = "(i32.const 64)";

/// A stage: the parts of its component.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Its exports.
    pub role: Role,
    /// Whether it imports the functions of `payload-read` that its role may have, except those for held elements, and
    /// `payload-write`.
    pub payloads: bool,
    /// Whether it imports what its role may have of `payload-view`, `payload-buffer` and `payload-lease`, and of
    /// `payload-read` for held elements.
    pub holds: bool,
    /// The size of its memory, in pages.
    pub memory: &'a str,
    /// `cabi_realloc`, of `$old $old_size $align $size`.
    pub realloc: &'a str,
    /// Fields of its core module.
    pub fields: &'a str,
    /// Fields of that and of the core module that allocates.
    pub both: &'a str,
    /// The core start function.
    pub start: &'a str,
    /// `init`, of `$config $entries`.
    pub init: &'a str,
    /// Called for elements: `pull` of `$max_elements $max_bytes`, `process` or `push` of `$batch $count $metadata
    /// $values`.
    pub work: &'a str,
    /// Runs after it, with the address of the result in `$result`.
    pub post_return: &'a str,
    /// `flush` or `complete`; a source has neither.
    pub last: &'a str,
    /// `teardown`.
    pub teardown: &'a str,
    /// Further definitions of the component, before its core module is instantiated.
    pub definitions: &'a str,
    /// Further arguments of the instance `host` that its core module imports from.
    pub imports: &'a str,
}

const QUIET: Guest<'static> = Guest {
    role: Role::Processor,
    payloads: true,
    holds: false,
    memory: "2",
    realloc: BUMP,
    fields: "",
    both: "",
    start: "",
    init: "(call $ok)",
    work: "",
    post_return: "",
    last: "(call $ok)",
    teardown: "",
    definitions: "",
    imports: "",
};

/// A processor that sends every element to output 0. It has the imports of a transform.
pub const PROCESSOR: Guest<'static> =
    Guest { work: "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))", ..QUIET };

/// The same with all imports of the contract.
pub const HOLDER: Guest<'static> = Guest { holds: true, ..PROCESSOR };

/// The same without imports except the types.
pub const ROUTER: Guest<'static> = Guest { payloads: false, ..PROCESSOR };

/// A processor that adds one to every byte.
pub const TRANSFORM: Guest<'static> = Guest {
    work: "(local $at i32) (local $end i32) (local $entry i32)
        (call $read_all (local.get $batch) (i32.const 64))
        (call $drop_batch (local.get $batch))
        (if (i32.eqz (call $done)) (then unreachable))
        (local.set $at (i32.load (i32.const 68)))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const 72))))
        (block $ended (loop $next
          (br_if $ended (i32.eq (local.get $at) (local.get $end)))
          (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
        (loop $next
          (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $entry) (i32.const 4))) (local.get $entry))
          (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $entry) (local.get $count))))
        (if (i32.eqz (call $emit (i32.load (i32.const 68)) (i32.load (i32.const 72))
            (local.get $metadata) (local.get $count) (i32.const 1024) (local.get $count) (i32.const 0) (i32.const 0)))
          (then unreachable))
        (call $output (i32.load (i32.const 68)))",
    ..QUIET
};

/// A source that has ended.
pub const SOURCE: Guest<'static> = Guest { role: Role::Source, work: "(call $ok)", ..QUIET };

/// A sink that takes everything.
pub const SINK: Guest<'static> =
    Guest { role: Role::Sink, work: "(call $drop_batch (local.get $batch)) (call $ok)", ..QUIET };

/// Allocates and never frees.
pub const BUMP: &str = "(local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ge_s (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))) (i32.const 0)))
      unreachable)
    (local.get $at)";

/// What the guests call. Below 4 KiB memory is theirs to use.
const HELPERS: &str = r#"
    ;; ok of nothing: no columns, no output, `ready`.
    (func $ok (result i32)
      (memory.fill (i32.const 16) (i32.const 0) (i32.const 48))
      (i32.const 16))
    ;; ok of the routes there.
    (func $routes (param $at i32) (param $len i32) (result i32)
      (drop (call $ok))
      (i32.store (i32.const 24) (local.get $at))
      (i32.store (i32.const 28) (local.get $len))
      (i32.const 16))
    ;; ok of one route for all elements.
    (func $all_to (param $count i32) (param $mask i32) (result i32)
      (local $entry i32)
      (loop $next
        (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $entry) (i32.const 4))) (local.get $mask))
        (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $entry) (local.get $count))))
      (call $routes (i32.const 1024) (local.get $count)))
    ;; ok of an output, as an outcome and as an option.
    (func $output (param $output i32) (result i32)
      (drop (call $ok))
      (i32.store (i32.const 20) (i32.const 1))
      (i32.store (i32.const 24) (local.get $output))
      (i32.const 16))
    ;; The failure of this number, without a text.
    (func $fail (param $failure i32) (result i32)
      (drop (call $ok))
      (i32.store (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get $failure))
      (i32.const 16))
    ;; The same in `process` or `push`, at an element; nothing came of those before it.
    (func $fail_at (param $failure i32) (param $index i32) (result i32)
      (drop (call $fail (local.get $failure)))
      (i32.store (i32.const 32) (i32.const 1))
      (i32.store (i32.const 36) (local.get $index))
      (i32.const 16))
    ;; The same in `process`, with the routes there for those before it.
    (func $fail_routed (param $failure i32) (param $index i32) (param $at i32) (param $len i32) (result i32)
      (drop (call $fail_at (local.get $failure) (local.get $index)))
      (i32.store (i32.const 44) (local.get $at))
      (i32.store (i32.const 48) (local.get $len))
      (i32.const 16))
    ;; The same, with an output.
    (func $fail_made (param $failure i32) (param $index i32) (param $output i32) (result i32)
      (drop (call $fail_at (local.get $failure) (local.get $index)))
      (i32.store (i32.const 40) (i32.const 1))
      (i32.store (i32.const 44) (local.get $output))
      (i32.const 16))
    ;; Whether the host did what it was asked.
    (func $done (result i32) (i32.eqz (i32.load8_u (i32.const 64))))
    ;; Traps unless the host refused with the failure of this number.
    (func $expect_failure (param $failure i32)
      (if (call $done) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 68)) (local.get $failure)) (then unreachable)))
"#;

const READS: &str = r#"
    (func $read_to (param $batch i32) (param $index i32) (param $offset i64) (param $len i64)
      (call $read (local.get $batch) (local.get $index) (local.get $offset) (local.get $len) (i32.const 64)))
"#;

const WRITES: &str = r#"
    ;; Makes one output; whether the host did.
    (func $emit (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $emit_all (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        (local.get 6) (local.get 7) (i32.const 64))
      (call $done))
    ;; Makes an output without elements, and returns its handle.
    (func $empty (result i32)
      (if (i32.eqz (call $emit (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (then unreachable))
      (i32.load (i32.const 68)))
"#;

const BUFFERS: &str = r#"
    ;; A buffer with room for so much.
    (func $room (param $capacity i64) (result i32)
      (call $allocate (local.get $capacity) (i32.const 64))
      (if (i32.eqz (call $done)) (then unreachable))
      (i32.load (i32.const 68)))
    ;; Writes to the end of it; whether the host did.
    (func $write (param i32 i32 i32) (result i32)
      (call $buffer_append (local.get 0) (local.get 1) (local.get 2) (i32.const 64))
      (call $done))
    ;; Makes an output of it; whether the host did.
    (func $frozen (param $buffer i32) (param $lineage i32) (param $outputs i32) (result i32)
      (call $freeze (local.get $buffer) (local.get $lineage) (local.get $outputs) (i32.const 64))
      (call $done))
"#;

const HOLDS: &str = r#"
    ;; Writes the numbers from 0 there.
    (func $count_up (param $at i32) (param $count i32)
      (local $entry i32)
      (block $ended (loop $next
        (br_if $ended (i32.eq (local.get $entry) (local.get $count)))
        (i32.store (i32.add (local.get $at) (i32.mul (local.get $entry) (i32.const 4))) (local.get $entry))
        (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
        (br $next))))
    ;; Holds the elements whose indices are there until the stage ends; whether the host does.
    (func $hold (param $batch i32) (param $at i32) (param $count i32) (param $mode i32) (result i32)
      (call $take (local.get $batch) (local.get $at) (local.get $count) (local.get $mode)
        (i32.const 0) (i64.const 0) (i32.const 64))
      (call $done))
    ;; Holds the first elements of the batch; the handle.
    (func $hold_first (param $batch i32) (param $count i32) (param $mode i32) (result i32)
      (call $count_up (i32.const 3072) (local.get $count))
      (if (i32.eqz (call $hold (local.get $batch) (i32.const 3072) (local.get $count) (local.get $mode)))
        (then unreachable))
      (i32.load (i32.const 68)))
    ;; Holds one element of the batch, whatever comes of it.
    (func $hold_one (param $batch i32) (param $index i32) (param $mode i32)
      (i32.store (i32.const 3072) (local.get $index))
      (drop (call $hold (local.get $batch) (i32.const 3072) (i32.const 1) (local.get $mode))))
    ;; Passes one element of a lease on to output 0, whatever comes of it.
    (func $forward_one (param $lease i32) (param $index i32)
      (i32.store (i32.const 3072) (local.get $index))
      (call $forward_all (local.get $lease) (i32.const 3072) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64)))
    ;; Passes the first elements of a lease on to output 0; the output.
    (func $forward_first (param $lease i32) (param $count i32) (result i32)
      (call $count_up (i32.const 3072) (local.get $count))
      (call $forward_all (local.get $lease) (i32.const 3072) (local.get $count)
        (i32.const 0) (i32.const 0) (i32.const 64))
      (if (i32.eqz (call $done)) (then unreachable))
      (i32.load (i32.const 68)))
    ;; Joins one lease; the output.
    (func $join_one (param $lease i32) (result i32)
      (i32.store (i32.const 3072) (local.get $lease))
      (call $join (i32.const 3072) (i32.const 1) (i32.const 1) (i32.const 64))
      (if (i32.eqz (call $done)) (then unreachable))
      (i32.load (i32.const 68)))
"#;

const READS_HELD: &str = r#"
    ;; Reads all of an element of three bytes of a lease, whatever comes of it.
    (func $read_held (param $lease i32) (param $index i32)
      (call $lease_read (local.get $lease) (local.get $index) (i64.const 0) (i64.const 3) (i32.const 64)))
"#;

impl Guest<'_> {
    /// The component, as text.
    pub fn text(&self) -> String {
        let Guest { memory, realloc, fields, both, init, work, post_return, teardown, definitions, imports, .. } = self;
        let reads = self.payloads && self.role != Role::Source;
        let writes = self.payloads && self.role != Role::Sink;
        let holds = self.holds && self.role == Role::Processor;
        let buffers = self.holds && self.role != Role::Sink;
        let when = |yes: bool, text: &'static str| if yes { text } else { "" };
        let types = types(holds);
        let reads_held = reads && holds;
        let (interface, export, parameters, core_parameters, result, failure) = match self.role {
            Role::Source => (
                "source",
                "pull",
                r#"(param "max-elements" u32) (param "max-bytes" u64)"#,
                "(param $max_elements i32) (param $max_bytes i64)",
                "(option (own $output))",
                "$failure",
            ),
            Role::Processor => ("processor", "process", LENT, CORE_LENT, "$outcome", "$process-failure"),
            Role::Sink => ("sink", "push", LENT, CORE_LENT, "$signal", "$push-failure"),
        };
        let (last, last_result) = match self.role {
            Role::Source => (None, ""),
            Role::Processor => (Some("flush"), "(option (own $output))"),
            Role::Sink => (Some("complete"), ""),
        };
        let core_last =
            last.map_or(String::new(), |name| format!(r#"(func (export "{name}") (result i32) {})"#, self.last));
        let lifted_last = last.map_or(String::new(), |name| {
            format!(
                r#"(func $last (result (result {last_result} (error $failure)))
                     (canon lift (core func $main "{name}") (memory $memory)))"#
            )
        });
        let exported_last = last.map_or(String::new(), |name| format!(r#"(export "{name}" (func $last))"#));
        let start =
            if self.start.is_empty() { String::new() } else { format!("(func $start {}) (start $start)", self.start) };
        format!(
            r#"(component
  {types}
  {payload_read}
  {payload_write}
  {payload_buffer}
  {buffer_type}
  {payload_view}
  {payload_lease}
  (core module $store
    (memory (export "memory") {memory})
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32) {realloc})
    {both})
  {STORE}
  {lowered_read}
  {lowered_write}
  {lowered_buffer}
  {drop_buffer}
  {lowered_lease}
  {lowered_holds}
  {lowered_read_held}
  (core func $batch-len (canon lower (func $types "[method]batch.len")))
  (core func $drop-batch (canon resource.drop $batch))
  (core func $drop-output (canon resource.drop $output))
  {definitions}
  (core module $main
    (import "store" "memory" (memory 0))
    {read}
    {write}
    {buffer}
    {hold}
    {read_held}
    (import "host" "batch-len" (func $batch_len (param i32) (result i32)))
    (import "host" "drop-batch" (func $drop_batch (param i32)))
    (import "host" "drop-output" (func $drop_output (param i32)))
    {fields}
    {both}
    {HELPERS}
    {read_helpers}
    {write_helpers}
    {buffer_helpers}
    {hold_helpers}
    {read_held_helpers}
    {start}
    (func (export "init") (param $config i32) (param $entries i32) (result i32) {init})
    (func (export "{export}") {core_parameters} (result i32) {work})
    (func (export "post-return") (param $result i32) {post_return})
    {core_last}
    (func (export "teardown") {teardown}))
  (core instance $main (instantiate $main
    (with "store" (instance $store))
    (with "host" (instance
      {read_arguments}
      {write_arguments}
      {buffer_arguments}
      {hold_arguments}
      {read_held_arguments}
      (export "batch-len" (func $batch-len))
      (export "drop-batch" (func $drop-batch))
      (export "drop-output" (func $drop-output))
      {imports}))))
  {LIFECYCLE}
  (func $work {parameters} (result (result {result} (error {failure})))
    (canon lift (core func $main "{export}") (memory $memory) (realloc $realloc)
      (post-return (func $main "post-return"))))
  {lifted_last}
  (instance $role (export "{export}" (func $work)) {exported_last})
  (export "torvyn:streaming/{interface}@0.2.0" (instance $role)))"#,
            payload_read = if reads { payload_read(holds) } else { String::new() },
            payload_write = when(writes, PAYLOAD_WRITE),
            lowered_read = when(reads, LOWERED_READ),
            read = when(reads, IMPORTED_READ),
            write = when(writes, IMPORTED_WRITE),
            lowered_write = when(writes, LOWERED_WRITE),
            payload_buffer = when(buffers, PAYLOAD_BUFFER),
            buffer_type = when(buffers, BUFFER_TYPE),
            payload_view = when(holds, PAYLOAD_VIEW),
            payload_lease = when(holds, PAYLOAD_LEASE),
            lowered_buffer = when(buffers, LOWERED_BUFFER),
            drop_buffer = when(buffers, DROP_BUFFER),
            lowered_lease = when(holds, LOWERED_LEASE),
            lowered_holds = when(holds, LOWERED_HOLDS),
            lowered_read_held = when(reads_held, LOWERED_READ_HELD),
            buffer = when(buffers, IMPORTED_BUFFER),
            hold = when(holds, IMPORTED_HOLDS),
            read_held = when(reads_held, IMPORTED_READ_HELD),
            buffer_helpers = when(buffers, BUFFERS),
            hold_helpers = when(holds, HOLDS),
            read_held_helpers = when(reads_held, READS_HELD),
            buffer_arguments = when(buffers, BUFFER_ARGUMENTS),
            hold_arguments = when(holds, HOLD_ARGUMENTS),
            read_held_arguments = when(reads_held, r#"(export "lease-read" (func $read-held))"#),
            read_helpers = when(reads, READS),
            write_helpers = when(writes, WRITES),
            read_arguments = when(reads, r#"(export "read" (func $read)) (export "read-all" (func $read-all))"#),
            write_arguments = when(writes, r#"(export "emit-all" (func $emit-all))"#),
        )
    }

    /// The component, in a file of its own.
    pub fn file(&self) -> ComponentFile {
        ComponentFile::of_text(&self.text())
    }
}

/// A component in a file that exists as long as this value.
pub struct ComponentFile {
    /// Where it is.
    pub path: PathBuf,
    _folder: TempDir,
}

impl ComponentFile {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> ComponentFile {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("component.wasm");
        std::fs::write(&path, bytes).expect("a temporary file");
        ComponentFile { path, _folder: folder }
    }

    /// From this text, which must be valid.
    pub fn of_text(text: &str) -> ComponentFile {
        match wat::parse_str(text) {
            Ok(bytes) => ComponentFile::new(&bytes),
            Err(error) => panic!("{error}\n{text}"),
        }
    }
}

const LENT: &str = r#"(param "of" (borrow $batch)) (param "count" u32) (param "metadata" (list u64))"#;
const CORE_LENT: &str = "(param $batch i32) (param $count i32) (param $metadata i32) (param $values i32)";

const BUFFER_TYPE: &str = r#"(alias export $payload-buffer "buffer" (type $buffer))"#;

const DROP_BUFFER: &str = r#"(core func $drop-buffer (canon resource.drop $buffer))"#;

const IMPORTED_BUFFER: &str = r#"
    (import "host" "allocate" (func $allocate (param i64 i32)))
    (import "host" "buffer-append" (func $buffer_append (param i32 i32 i32 i32)))
    (import "host" "write-at" (func $write_at (param i32 i64 i32 i32 i32)))
    (import "host" "freeze" (func $freeze (param i32 i32 i32 i32)))
    (import "host" "drop-buffer" (func $drop_buffer (param i32)))
"#;

const BUFFER_ARGUMENTS: &str = r#"
      (export "allocate" (func $allocate))
      (export "buffer-append" (func $append))
      (export "write-at" (func $write-at))
      (export "freeze" (func $freeze))
      (export "drop-buffer" (func $drop-buffer))
"#;

const LOWERED_HOLDS: &str = r#"
  (core func $drop-lease (canon resource.drop $lease))
  (core func $lease-len (canon lower (func $types "[method]lease.len")))
  (core func $output-append (canon lower (func $types "[method]output.append")))
"#;

const IMPORTED_READ_HELD: &str = r#"
    (import "host" "lease-read" (func $lease_read (param i32 i32 i64 i64 i32)))
"#;

const IMPORTED_HOLDS: &str = r#"
    (import "host" "slice-all" (func $slice_all (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "take" (func $take (param i32 i32 i32 i32 i32 i64 i32)))
    (import "host" "forward-all" (func $forward_all (param i32 i32 i32 i32 i32 i32)))
    (import "host" "join" (func $join (param i32 i32 i32 i32)))
    (import "host" "drop-lease" (func $drop_lease (param i32)))
    (import "host" "lease-len" (func $lease_len (param i32) (result i32)))
    (import "host" "output-append" (func $output_append (param i32 i32)))
"#;

const HOLD_ARGUMENTS: &str = r#"
      (export "slice-all" (func $slice-all))
      (export "take" (func $take))
      (export "forward-all" (func $forward-all))
      (export "join" (func $join))
      (export "drop-lease" (func $drop-lease))
      (export "lease-len" (func $lease-len))
      (export "output-append" (func $output-append))
"#;

/// A router that uses the size of an element as the bits of its outputs.
pub fn by_size() -> ComponentFile {
    let work = "(local $entry i32)
        (call $drop_batch (local.get $batch))
        (loop $next
          (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $entry) (i32.const 4)))
            (i32.load (i32.add (local.get $metadata) (i32.mul (local.get $entry) (i32.const 8)))))
          (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $entry) (local.get $count))))
        (call $routes (i32.const 1024) (local.get $count))";
    Guest { work, ..ROUTER }.file()
}

/// A processor that drops everything.
pub fn drop_all() -> ComponentFile {
    let work = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 0))";
    Guest { work, ..PROCESSOR }.file()
}

impl<'a> Guest<'a> {
    /// The same, which can read the time, `(call $now)`, and wait: `(call $block (call $subscribe (i64.const NANOSECONDS)))`.
    pub fn with_clock(self) -> Guest<'a> {
        let imports =
            r#"(export "now" (func $now)) (export "block" (func $block)) (export "subscribe" (func $subscribe))"#;
        let fields = r#"(import "host" "now" (func $now (result i64)))
            (import "host" "block" (func $block (param i32)))
            (import "host" "subscribe" (func $subscribe (param i64) (result i32)))"#;
        Guest { definitions: CLOCK, imports, fields, ..self }
    }
}

const CLOCK: &str = r#"
  (import "wasi:io/poll@0.2.6" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
    (export "pollable" (type $at (eq $pollable)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $at))))))
  (core func $now (canon lower (func $clock "now")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
"#;

/// What a [`HOLDER`] does that joins the first element of its batch so often with itself.
pub fn join_with_itself(times: u32) -> String {
    format!(
        "(local $lease i32) (local $at i32)
        (local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const 0)))
        (local.set $at (i32.const 65536))
        (loop $more
          (i32.store (local.get $at) (local.get $lease))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const {}))))
        (call $join (i32.const 65536) (i32.const {times}) (i32.const 1) (i32.const 64))
        (call $drop_batch (local.get $batch)) (call $drop_lease (local.get $lease))
        (if (call $done) (then (return (call $output (i32.load (i32.const 68))))))
        (i32.const 64)",
        65536 + 4 * times
    )
}
