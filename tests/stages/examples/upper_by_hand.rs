//! ASCII upper case, written for a batch with the bindings alone: reads all payloads and changes them where they are.

use exports::torvyn::streaming::{lifecycle, processor};
use torvyn::streaming::payload_read::read_all;
use torvyn::streaming::payload_write::emit_all;
use torvyn::streaming::types::{Batch, Columns, Failure, Outcome, Output, ProcessFailure};

wit_bindgen::generate!({ path: "../../wit", world: "transform", generate_all });

struct Upper;

impl lifecycle::Guest for Upper {
    fn init(_: Vec<(String, String)>) -> Result<Columns, Failure> {
        Ok(Columns::empty())
    }

    fn teardown() {}
}

impl processor::Guest for Upper {
    fn process(batch: &Batch, count: u32, metadata: Vec<u64>) -> Result<Outcome, ProcessFailure> {
        let mut bytes = read_all(batch)?;
        bytes.make_ascii_uppercase();
        // Each payload inherits the metadata of the element with its index. No outputs: all go to output 0.
        let lineage: Vec<u32> = (0..count).collect();
        Ok(Outcome::Output(emit_all(&bytes, &metadata[..count as usize], &lineage, &[])?))
    }

    fn flush() -> Result<Option<Output>, Failure> {
        Ok(None)
    }
}

/// A refusal of the host fails the whole batch.
impl From<Failure> for ProcessFailure {
    fn from(failure: Failure) -> Self {
        ProcessFailure { failure, reached: None }
    }
}

export!(Upper);
