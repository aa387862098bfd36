//! Forwards elements as a processor must: it cannot return what it borrowed, so the host makes a buffer with the same
//! bytes. No payload byte enters the component, which is the cheapest way in that contract.

use baseline::streaming::buffer_allocator::clone_into_mutable;
use baseline::streaming::types::{OutputElement, ProcessError, ProcessResult, StreamElement};
use exports::baseline::streaming::processor;

wit_bindgen::generate!({ path: "wit", world: "transform" });

struct Component;

impl processor::Guest for Component {
    fn process(input: StreamElement<'_>) -> Result<ProcessResult, ProcessError> {
        let buffer = clone_into_mutable(input.payload).map_err(|_| ProcessError::Unavailable("no buffer".into()))?;
        Ok(ProcessResult::Emit(OutputElement { meta: input.meta, payload: buffer.freeze() }))
    }
}

export!(Component);
