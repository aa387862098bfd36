//! Imports from the host, as WebAssembly text, for both builders here.

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

/// The last type in the import of `types`. A component with more types has this replaced.
pub const COLUMNS: &str = r#"(export "columns" (type (eq $columns-is)))))"#;

/// The import of `payload-read` with `read-held` as well. It needs the type `$lease`.
pub fn payload_read_held() -> String {
    PAYLOAD_READ.replace(READ_ALL, READ_HELD)
}

const READ_ALL: &str = r#"(export "read-all" "#;
const READ_HELD: &str = r#"(export "lease" (type $held (eq $lease)))
    (export "read-held" (func (param "of" (borrow $held)) (param "index" u32) (param "offset" u64) (param "len" u64)
      (result (result (list u8) (error $why)))))
    (export "read-all" "#;
