//! Makes elements: allocates a buffer of the host, appends the payload, freezes it and returns it. Its configuration is
//! the length of a payload and the number of elements.

use std::cell::RefCell;

use baseline::streaming::buffer_allocator::allocate;
use baseline::streaming::types::{BackpressureSignal, ElementMeta, OutputElement, ProcessError};
use exports::baseline::streaming::{lifecycle, source};

wit_bindgen::generate!({ path: "wit", world: "data-source" });

struct Source {
    payload: Vec<u8>,
    next: u64,
    end: u64,
}

thread_local! {
    static SOURCE: RefCell<Source> = const { RefCell::new(Source { payload: Vec::new(), next: 0, end: 0 }) };
}

struct Component;

impl source::Guest for Component {
    fn pull() -> Result<Option<OutputElement>, ProcessError> {
        SOURCE.with_borrow_mut(|source| {
            if source.next == source.end {
                return Ok(None);
            }
            let sequence = source.next;
            source.next += 1;
            shape::stamp(&mut source.payload, sequence);
            let full = |_| ProcessError::Unavailable("no buffer".into());
            let buffer = allocate(source.payload.len() as u64).map_err(full)?;
            buffer.append(&source.payload).map_err(full)?;
            let meta = ElementMeta { sequence, timestamp_ns: 0, content_type: "text/plain".into() };
            Ok(Some(OutputElement { meta, payload: buffer.freeze() }))
        })
    }

    fn notify_backpressure(_: BackpressureSignal) {}
}

impl lifecycle::Guest for Component {
    fn init(config: String) -> Result<(), ProcessError> {
        let wrong = || ProcessError::InvalidInput("expected a length and a number of elements".into());
        let (len, elements) = config.split_once(' ').ok_or_else(wrong)?;
        let payload = shape::blank(len.parse().map_err(|_| wrong())?);
        let end = elements.parse().map_err(|_| wrong())?;
        SOURCE.set(Source { payload, next: 0, end });
        Ok(())
    }

    fn teardown() {}
}

export!(Component);
