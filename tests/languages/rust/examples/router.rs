//! A processor that decides by size alone: drops empty elements and forwards the rest.

use exports::torvyn::streaming::{lifecycle, processor};
use torvyn::streaming::types::{Batch, Columns, Failure, Outcome, Output, ProcessFailure};

wit_bindgen::generate!({ path: "../../../wit", world: "router", generate_all });

struct Router;

impl lifecycle::Guest for Router {
    fn init(_: Vec<(String, String)>) -> Result<Columns, Failure> {
        Ok(Columns::empty())
    }

    fn teardown() {}
}

impl processor::Guest for Router {
    fn process(_: &Batch, count: u32, metadata: Vec<u64>) -> Result<Outcome, ProcessFailure> {
        // Bit 0 stands for output 0; no bit drops the element.
        Ok(Outcome::Routes(metadata[..count as usize].iter().map(|size| u32::from(*size > 0)).collect()))
    }

    fn flush() -> Result<Option<Output>, Failure> {
        Ok(None)
    }
}

export!(Router);
