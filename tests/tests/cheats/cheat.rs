//! A guest that tries to read or write more often than its proof allows, and the pieces that such guests are made of.

use torvyn_tests::guest::{Guest, PROCESSOR, SINK};

/// What happens when a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It returns, and copies payloads.
    Copies,
    /// It returns and has copied nothing, although it could.
    Spares,
    /// It has a way to copy payloads, and traps before it returns.
    Traps,
    /// The engine refuses it.
    Refused,
}

/// A guest, and what it needs to be run.
pub(crate) struct Cheat {
    pub(crate) name: String,
    /// The component.
    pub(crate) text: String,
    pub(crate) fate: Fate,
    /// The copies can be made in a call that handles elements, or in one that belongs to it.
    pub(crate) reachable: bool,
    /// How often it reads an element, if the test says so.
    pub(crate) reads: Option<u64>,
    /// It takes seconds: it runs once, on one element.
    pub(crate) slow: bool,
}

impl Cheat {
    /// A guest that copies payloads.
    pub(crate) fn new(name: &str, text: String) -> Cheat {
        Cheat { name: name.to_string(), text, fate: Fate::Copies, reachable: true, reads: None, slow: false }
    }

    pub(crate) fn fate(self, fate: Fate) -> Cheat {
        Cheat { fate, ..self }
    }

    /// It copies only where it has no batch.
    pub(crate) fn unreachable(self) -> Cheat {
        Cheat { reachable: false, ..self }
    }

    /// It reads an element at most this often.
    pub(crate) fn reads(self, reads: u64) -> Cheat {
        Cheat { reads: Some(reads), ..self }
    }

    pub(crate) fn slow(self) -> Cheat {
        Cheat { slow: true, ..self }
    }
}

/// The end of `process`: the batch is dropped, and all elements go to output 0.
pub(crate) const END: &str = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";

/// Reads a byte of the element with this index. An empty payload has none, so such a read is refused: in a batch with
/// one payload that is not empty, the reads are those of this payload.
pub(crate) fn read(index: &str) -> String {
    format!("(call $read (local.get $batch) {index} (i64.const 0) (i64.const 1) (i32.const 64))")
}

/// The same in a function of `$batch $index`.
pub(crate) const READER: &str = "(func $reader (param $batch i32) (param $index i32)
    (call $read (local.get $batch) (local.get $index) (i64.const 0) (i64.const 1) (i32.const 64)))";

/// A processor with these fields of its module, and this in `process`.
pub(crate) fn processor(fields: &str, work: &str) -> String {
    Guest { fields, work: &format!("{work} {END}"), ..PROCESSOR }.text()
}

/// A sink with these fields of its module, and this in `push`.
pub(crate) fn sink(fields: &str, work: &str) -> String {
    let work = format!("{work} (call $drop_batch (local.get $batch)) (call $ok)");
    Guest { fields, work: &work, ..SINK }.text()
}

/// Executed for each element, `$i`, in order. It declares locals, so it starts a function.
pub(crate) fn each(body: &str) -> String {
    format!("(local $i i32) {}", again(body))
}

/// Only the loop, over an existing local.
pub(crate) fn again(body: &str) -> String {
    format!(
        "(local.set $i (i32.const 0))
        (loop $next {body}
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (local.get $count))))"
    )
}
