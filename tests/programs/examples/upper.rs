//! A transform: ASCII upper case, from payloads that it gets as an argument.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Upper;

impl Stage for Upper {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Upper)
    }
}

impl PayloadProcessor<Transform> for Upper {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        out.write_mapped(payload, |byte| byte.to_ascii_uppercase());
        Ok(())
    }
}

torvyn_guest::export!(Upper: PayloadProcessor<Transform>);
