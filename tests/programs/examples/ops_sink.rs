//! A sink that gets payloads, and fails as its elements say: see `programs::ops`.

use programs::ops::{Op, Ops, failure};
use torvyn_guest::{BackpressureSignal, Config, DataSink, Element, Failure, PayloadSink, Stage, export};

struct Takes(Ops);

impl Stage for Takes {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ops::new(config).map(Takes)
    }
}

impl PayloadSink for Takes {
    fn push(&mut self, element: Element<'_, DataSink>, _: &[u8]) -> Result<BackpressureSignal, Failure> {
        match self.0.of(element.size()) {
            Op::Pass | Op::Drop | Op::Write => Ok(BackpressureSignal::Ready),
            Op::Fail | Op::FailSomewhere | Op::WriteAndFail => Err(failure()),
            Op::Trap => self.0.trap(),
        }
    }
}

export!(Takes: PayloadSink);
