//! ASCII upper case: reads the payload, and writes a new one.

use baseline::streaming::buffer_allocator::allocate;
use baseline::streaming::types::{OutputElement, ProcessError, ProcessResult, StreamElement};
use exports::baseline::streaming::processor;

wit_bindgen::generate!({ path: "wit", world: "transform" });

struct Component;

impl processor::Guest for Component {
    fn process(input: StreamElement<'_>) -> Result<ProcessResult, ProcessError> {
        let mut payload = input.payload.read_all();
        payload.make_ascii_uppercase();
        let full = |_| ProcessError::Unavailable("no buffer".into());
        let buffer = allocate(payload.len() as u64).map_err(full)?;
        buffer.append(&payload).map_err(full)?;
        Ok(ProcessResult::Emit(OutputElement { meta: input.meta, payload: buffer.freeze() }))
    }
}

export!(Component);
