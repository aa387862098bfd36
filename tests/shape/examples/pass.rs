//! Forwards elements as a filter does: it returns true.

use baseline::streaming::types::{ProcessError, StreamElement};
use exports::baseline::streaming::filter;

wit_bindgen::generate!({ path: "wit", world: "content-filter" });

struct Component;

impl filter::Guest for Component {
    fn evaluate(_: StreamElement<'_>) -> Result<bool, ProcessError> {
        Ok(true)
    }
}

export!(Component);
