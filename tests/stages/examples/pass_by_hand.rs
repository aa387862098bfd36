//! Forwards elements by handle, written for a batch with the bindings alone.

use exports::torvyn::streaming::{lifecycle, processor};
use torvyn::streaming::types::{Batch, Columns, Failure, Outcome, Output, ProcessFailure};

wit_bindgen::generate!({ path: "../../wit", world: "router", generate_all });

struct Pass;

impl lifecycle::Guest for Pass {
    fn init(_: Vec<(String, String)>) -> Result<Columns, Failure> {
        Ok(Columns::empty())
    }

    fn teardown() {}
}

impl processor::Guest for Pass {
    fn process(_: &Batch, count: u32, _: Vec<u64>) -> Result<Outcome, ProcessFailure> {
        // Bit 0 stands for output 0.
        Ok(Outcome::Routes(vec![1; count as usize]))
    }

    fn flush() -> Result<Option<Output>, Failure> {
        Ok(None)
    }
}

export!(Pass);
