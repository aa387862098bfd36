//! What components import from the host and how, as WebAssembly text: what the builders here have in common.

/// The import of the types, as `$types`, and the types by name.
pub const TYPES: &str = r#"
  (import "torvyn:streaming/types@0.2.0" (instance $types
    (export "batch" (type $lent (sub resource)))
    (export "[method]batch.len" (func (param "self" (borrow $lent)) (result u32)))
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
    (type $push-failure-is (record (field "failure" $why) (field "index" (option u32))))
    (export "push-failure" (type (eq $push-failure-is)))
    (type $signal-is (enum "ready" "pause"))
    (export "backpressure-signal" (type (eq $signal-is)))
    (type $columns-is (flags "sequence" "timestamp" "deadline" "trace"))
    (export "columns" (type (eq $columns-is)))))
  (alias export $types "batch" (type $batch))
  (alias export $types "output" (type $output))
  (alias export $types "failure" (type $failure))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "process-failure" (type $process-failure))
  (alias export $types "push-failure" (type $push-failure))
  (alias export $types "backpressure-signal" (type $signal))
  (alias export $types "columns" (type $columns))
"#;

/// The import of `payload-read`, as `$payload-read`.
pub const PAYLOAD_READ: &str = r#"
  (import "torvyn:streaming/payload-read@0.2.0" (instance $payload-read
    (export "batch" (type $lent (eq $batch)))
    (export "failure" (type $why (eq $failure)))
    (export "read" (func (param "of" (borrow $lent)) (param "index" u32) (param "offset" u64) (param "len" u64)
      (result (result (list u8) (error $why)))))
    (export "read-all" (func (param "of" (borrow $lent)) (result (result (list u8) (error $why)))))))
"#;

/// The import of `payload-write`, as `$payload-write`.
pub const PAYLOAD_WRITE: &str = r#"
  (import "torvyn:streaming/payload-write@0.2.0" (instance $payload-write
    (export "output" (type $made (eq $output)))
    (export "failure" (type $why (eq $failure)))
    (export "emit-all" (func (param "bytes" (list u8)) (param "sizes" (list u64)) (param "lineage" (list u32))
      (param "outputs" (list u32)) (result (result (own $made) (error $why)))))))
"#;

/// The import of `payload-view`, as `$payload-view`.
pub const PAYLOAD_VIEW: &str = r#"
  (import "torvyn:streaming/payload-view@0.2.0" (instance $payload-view
    (export "batch" (type $lent (eq $batch)))
    (export "output" (type $made (eq $output)))
    (export "failure" (type $why (eq $failure)))
    (export "slice-all" (func (param "of" (borrow $lent)) (param "indices" (list u32)) (param "offsets" (list u64))
      (param "lens" (list u64)) (param "outputs" (list u32)) (result (result (own $made) (error $why)))))))
"#;

/// The import of `payload-buffer`, as `$payload-buffer`.
pub const PAYLOAD_BUFFER: &str = r#"
  (import "torvyn:streaming/payload-buffer@0.2.0" (instance $payload-buffer
    (export "output" (type $made (eq $output)))
    (export "failure" (type $why (eq $failure)))
    (export "buffer" (type $buffer (sub resource)))
    (export "[static]buffer.allocate" (func (param "capacity" u64) (result (result (own $buffer) (error $why)))))
    (export "[method]buffer.append" (func (param "self" (borrow $buffer)) (param "bytes" (list u8))
      (result (result (error $why)))))
    (export "[method]buffer.write-at" (func (param "self" (borrow $buffer)) (param "offset" u64)
      (param "bytes" (list u8)) (result (result (error $why)))))
    (export "[static]buffer.freeze" (func (param "this" (own $buffer)) (param "lineage" u32) (param "outputs" u32)
      (result (result (own $made) (error $why)))))))
"#;

/// The import of `payload-lease`, as `$payload-lease`. It needs the type `$lease`.
pub const PAYLOAD_LEASE: &str = r#"
  (import "torvyn:streaming/payload-lease@0.2.0" (instance $payload-lease
    (export "batch" (type $lent (eq $batch)))
    (export "output" (type $made (eq $output)))
    (export "failure" (type $why (eq $failure)))
    (export "lease" (type $held (eq $lease)))
    (type $mode-is (enum "shared" "exclusive"))
    (export "mode" (type $mode (eq $mode-is)))
    (type $scope-is (variant (case "stage") (case "deadline" u64)))
    (export "scope" (type $scope (eq $scope-is)))
    (export "take" (func (param "of" (borrow $lent)) (param "indices" (list u32)) (param "mode" $mode)
      (param "scope" $scope) (result (result (own $held) (error $why)))))
    (export "forward-all" (func (param "of" (borrow $held)) (param "indices" (list u32)) (param "outputs" (list u32))
      (result (result (own $made) (error $why)))))
    (export "join" (func (param "leases" (list (borrow $held))) (param "outputs" u32)
      (result (result (own $made) (error $why)))))))
"#;

/// The import of the types, with those of what is held if it `holds`.
pub fn types(holds: bool) -> String {
    if holds { TYPES.replace(COLUMNS, HOLDER_TYPES) } else { TYPES.to_string() }
}

/// The import of `payload-read`, with what reads what is held if it `holds`. That needs the type `$lease`.
pub fn payload_read(holds: bool) -> String {
    if holds { PAYLOAD_READ.replace(READ_ALL, READ_HELD) } else { PAYLOAD_READ.to_string() }
}

/// The last type in the import of the types.
const COLUMNS: &str = r#"(export "columns" (type (eq $columns-is)))))"#;
/// What is beside it where elements are held, and outputs put together.
const HOLDER_TYPES: &str = r#"(export "columns" (type (eq $columns-is)))
    (export "lease" (type $held (sub resource)))
    (export "[method]lease.len" (func (param "self" (borrow $held)) (result u32)))
    (export "[method]output.append" (func (param "self" (borrow $output)) (param "other" (own $output))))))
  (alias export $types "lease" (type $lease))"#;

const READ_ALL: &str = r#"(export "read-all" "#;
const READ_HELD: &str = r#"(export "lease" (type $held (eq $lease)))
    (export "read-held" (func (param "of" (borrow $held)) (param "index" u32) (param "offset" u64) (param "len" u64)
      (result (result (list u8) (error $why)))))
    (export "read-all" "#;

/// The instance of a core module `$store`, whose memory and allocator everything else uses.
pub const STORE: &str = r#"
  (core instance $store (instantiate $store))
  (alias core export $store "memory" (core memory $memory))
  (alias core export $store "realloc" (core func $realloc))
"#;

/// What is lowered of `payload-read`.
pub const LOWERED_READ: &str = r#"
  (core func $read (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))
  (core func $read-all (canon lower (func $payload-read "read-all") (memory $memory) (realloc $realloc)))
"#;

/// What is lowered of `payload-read` where elements are held.
pub const LOWERED_READ_HELD: &str = r#"
  (core func $read-held (canon lower (func $payload-read "read-held") (memory $memory) (realloc $realloc)))
"#;

/// What is lowered of `payload-write`.
pub const LOWERED_WRITE: &str = r#"
  (core func $emit-all (canon lower (func $payload-write "emit-all") (memory $memory) (realloc $realloc)))
"#;

/// What is lowered of `payload-buffer`.
pub const LOWERED_BUFFER: &str = r#"
  (core func $allocate (canon lower (func $payload-buffer "[static]buffer.allocate") (memory $memory) (realloc $realloc)))
  (core func $append (canon lower (func $payload-buffer "[method]buffer.append") (memory $memory) (realloc $realloc)))
  (core func $write-at (canon lower (func $payload-buffer "[method]buffer.write-at") (memory $memory) (realloc $realloc)))
  (core func $freeze (canon lower (func $payload-buffer "[static]buffer.freeze") (memory $memory) (realloc $realloc)))
"#;

/// What is lowered of `payload-view` and `payload-lease`.
pub const LOWERED_LEASE: &str = r#"
  (core func $slice-all (canon lower (func $payload-view "slice-all") (memory $memory) (realloc $realloc)))
  (core func $take (canon lower (func $payload-lease "take") (memory $memory) (realloc $realloc)))
  (core func $forward-all (canon lower (func $payload-lease "forward-all") (memory $memory) (realloc $realloc)))
  (core func $join (canon lower (func $payload-lease "join") (memory $memory) (realloc $realloc)))
"#;

/// What a core module imports to read, as `$read` and `$read_all`.
pub const IMPORTED_READ: &str = r#"
    (import "host" "read" (func $read (param i32 i32 i64 i64 i32)))
    (import "host" "read-all" (func $read_all (param i32 i32)))
"#;

/// What a core module imports to write, as `$emit_all`.
pub const IMPORTED_WRITE: &str = r#"
    (import "host" "emit-all" (func $emit_all (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
"#;

/// The exported `lifecycle`, of a core instance `$main`.
pub const LIFECYCLE: &str = r#"
  (func $init (param "config" (list (tuple string string))) (result (result $columns (error $failure)))
    (canon lift (core func $main "init") (memory $memory) (realloc $realloc)))
  (func $teardown (canon lift (core func $main "teardown")))
  (instance $lifecycle (export "init" (func $init)) (export "teardown" (func $teardown)))
  (export "torvyn:streaming/lifecycle@0.2.0" (instance $lifecycle))
"#;
