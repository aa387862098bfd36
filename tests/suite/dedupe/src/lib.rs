//! Forwards the first of equal elements. An empty element is dropped, and starts again without known elements.

use std::collections::HashSet;

use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

#[derive(Default)]
struct Dedupe {
    known: HashSet<Vec<u8>>,
}

impl Stage for Dedupe {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Dedupe::default())
    }
}

impl PayloadProcessor<Inspector> for Dedupe {
    fn process(
        &mut self,
        _: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        if payload.is_empty() {
            self.known.clear();
        } else if self.known.insert(payload.to_vec()) {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Dedupe: PayloadProcessor<Inspector>);
