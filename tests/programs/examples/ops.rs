//! A transform that handles batches, and fails as its elements say: see `programs::ops`.

use programs::ops::{Op, Ops, failure};
use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Output, Stage, Transform, export};

struct InBatches(Ops);

impl Stage for InBatches {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ops::new(config).map(InBatches)
    }
}

impl BatchProcessor<Transform> for InBatches {
    fn process(&mut self, batch: Batch<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), BatchFailure> {
        let Self(ops) = self;
        for _ in 0..if ops.ahead { ops.reads } else { 0 } {
            batch.read_all()?;
        }
        for element in batch.iter() {
            for _ in 0..if ops.ahead { 0 } else { ops.reads } {
                element.read()?;
            }
            match ops.of(element.size()) {
                Op::Pass => out.at(element).forward(),
                Op::Drop => {}
                Op::Write => out.at(element).write(b"written"),
                Op::Fail => return Err(failure().at(element)),
                Op::FailSomewhere => return Err(failure().into()),
                Op::Trap => ops.trap(),
                Op::WriteAndFail => {
                    out.at(element).write(b"in vain");
                    return Err(failure().at(element));
                }
            }
        }
        Ok(())
    }
}

export!(InBatches: BatchProcessor<Transform>);
