//! A transform that fails on each element that begins with `!`, after it has made something of it. It forwards those
//! that begin with `=`, and makes two of each other one.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Strict;

impl Stage for Strict {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Strict)
    }
}

impl PayloadProcessor<Transform> for Strict {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        match payload.first() {
            Some(b'=') => out.forward(),
            first => {
                out.write(payload);
                out.forward();
                if first == Some(&b'!') {
                    return Err(Failure::InvalidInput("it begins with `!`".to_string()));
                }
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(Strict: PayloadProcessor<Transform>);
