//! Drops the elements that contain the text `contains`, or those that are JSON and have `equals` at `pointer`: as the
//! value there, or as an item of the list there. The others are forwarded by handle.

use serde_json::Value;
use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

enum Filter {
    Contains(Vec<u8>),
    Value { pointer: String, equals: String },
}

impl Stage for Filter {
    fn new(config: &Config) -> Result<Self, Failure> {
        if let Some(text) = config.get("contains") {
            return Ok(Filter::Contains(text.as_bytes().to_vec()));
        }
        let (pointer, equals) = (config.require("pointer")?.to_string(), config.require("equals")?.to_string());
        Ok(Filter::Value { pointer, equals })
    }
}

impl PayloadProcessor<Inspector> for Filter {
    fn process(
        &mut self,
        _: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        let is_dropped = match self {
            Filter::Contains(text) => payload.windows(text.len()).any(|part| part == text),
            Filter::Value { pointer, equals } => {
                let document = serde_json::from_slice::<Value>(payload);
                let document = document.map_err(|error| Failure::InvalidInput(error.to_string()))?;
                match document.pointer(pointer) {
                    Some(Value::Array(values)) => values.iter().any(|value| value == equals.as_str()),
                    value => value.is_some_and(|value| value == equals.as_str()),
                }
            }
        };
        if !is_dropped {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Filter: PayloadProcessor<Inspector>);
