//! Forwards elements that equal `first` to output 0, those that equal `second` to output 1, and all to output 2.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

struct Route([Vec<u8>; 2]);

impl Stage for Route {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Route([config.require("first")?.into(), config.require("second")?.into()]))
    }
}

impl PayloadProcessor<Inspector> for Route {
    fn process(
        &mut self,
        _: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        for (port, text) in (0..).zip(&self.0) {
            if text == payload {
                out.forward_to(port);
            }
        }
        out.forward_to(2);
        Ok(())
    }
}

torvyn_guest::export!(Route: PayloadProcessor<Inspector>);
