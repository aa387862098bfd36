//! An inspector: forwards, by handle, the elements that contain the configured `needle`.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

struct Inspect {
    needle: Vec<u8>,
}

impl Stage for Inspect {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Inspect { needle: config.require("needle")?.as_bytes().to_vec() })
    }
}

impl PayloadProcessor<Inspector> for Inspect {
    fn process(
        &mut self,
        _: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        if payload.windows(self.needle.len()).any(|window| window == self.needle) {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Inspect: PayloadProcessor<Inspector>);
