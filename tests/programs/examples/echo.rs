//! A transform that changes nothing: it writes what it reads, and forwards empty elements.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Echo;

impl Stage for Echo {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Echo)
    }
}

impl PayloadProcessor<Transform> for Echo {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        if payload.is_empty() {
            out.forward();
        } else {
            out.write(payload);
        }
        Ok(())
    }
}

torvyn_guest::export!(Echo: PayloadProcessor<Transform>);
