//! A transform that gets payloads, and fails as its elements say: see `programs::ops`.

use programs::ops::{Op, Ops, failure};
use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform, export};

struct WithPayload(Ops);

impl Stage for WithPayload {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ops::new(config).map(WithPayload)
    }
}

impl PayloadProcessor<Transform> for WithPayload {
    fn process(
        &mut self,
        element: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        match self.0.of(element.size()) {
            Op::Pass => out.forward(),
            Op::Drop => {}
            Op::Write => out.write(payload),
            Op::Fail | Op::FailSomewhere => return Err(failure()),
            Op::Trap => self.0.trap(),
            Op::WriteAndFail => {
                out.write(payload);
                return Err(failure());
            }
        }
        Ok(())
    }
}

export!(WithPayload: PayloadProcessor<Transform>);
