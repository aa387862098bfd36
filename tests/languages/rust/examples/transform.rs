//! A processor that reads and writes each element, converted to ASCII upper case. It refuses NUL bytes.

use exports::torvyn::streaming::{lifecycle, processor};
use torvyn::streaming::payload_read::read_all;
use torvyn::streaming::payload_write::emit_all;
use torvyn::streaming::types::{Batch, Columns, Failure, Outcome, Output, ProcessFailure, Reached};

wit_bindgen::generate!({ path: "../../../wit", world: "transform", generate_all });

struct Transform;

impl lifecycle::Guest for Transform {
    fn init(_: Vec<(String, String)>) -> Result<Columns, Failure> {
        Ok(Columns::empty())
    }

    fn teardown() {}
}

impl processor::Guest for Transform {
    fn process(batch: &Batch, count: u32, metadata: Vec<u64>) -> Result<Outcome, ProcessFailure> {
        let mut bytes = read_all(batch)?;
        let sizes = &metadata[..count as usize];
        let mut rest = bytes.as_mut_slice();
        for (index, size) in (0..).zip(sizes) {
            let payload;
            (payload, rest) = rest.split_at_mut(*size as usize);
            if payload.contains(&0) {
                // The results for the elements before this one count.
                let done = sizes[..index as usize].iter().sum::<u64>();
                let outcome = made_of(&bytes[..done as usize], &sizes[..index as usize])?;
                let failure = Failure::InvalidInput("it has a NUL byte".to_string());
                return Err(ProcessFailure { failure, reached: Some(Reached { index, outcome }) });
            }
            payload.make_ascii_uppercase();
        }
        Ok(made_of(&bytes, sizes)?)
    }

    fn flush() -> Result<Option<Output>, Failure> {
        Ok(None)
    }
}

/// Each payload inherits the metadata of the element with its index. No outputs: all go to output 0.
fn made_of(bytes: &[u8], sizes: &[u64]) -> Result<Outcome, Failure> {
    let lineage: Vec<u32> = (0..sizes.len() as u32).collect();
    emit_all(bytes, sizes, &lineage, &[]).map(Outcome::Output)
}

/// A refusal of the host fails the whole batch.
impl From<Failure> for ProcessFailure {
    fn from(failure: Failure) -> Self {
        ProcessFailure { failure, reached: None }
    }
}

export!(Transform);
