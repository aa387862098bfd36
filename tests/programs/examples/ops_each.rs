//! A transform that handles one element at a time, and fails as its elements say: see `programs::ops`.

use programs::ops::{Op, Ops, failure};
use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform, export};

struct Each(Ops);

impl Stage for Each {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ops::new(config).map(Each)
    }
}

impl Processor<Transform> for Each {
    fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        for _ in 0..self.0.reads {
            element.read()?;
        }
        match self.0.of(element.size()) {
            Op::Pass => out.forward(),
            Op::Drop => {}
            Op::Write => out.write(b"written"),
            Op::Fail | Op::FailSomewhere => return Err(failure()),
            Op::Trap => self.0.trap(),
            Op::WriteAndFail => {
                out.write(b"in vain");
                return Err(failure());
            }
        }
        Ok(())
    }
}

export!(Each: Processor<Transform>);
