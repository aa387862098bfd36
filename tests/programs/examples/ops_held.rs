//! A stage that holds the last elements, reads them again when it releases them, and fails as its elements say: see
//! `programs::ops`.

use std::collections::VecDeque;

use programs::ops::{Op, Ops, failure};
use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Config, Failure, Lease, Mode, Output, Scope, Stage, Windowed, Writer, export,
};

struct Held {
    ops: Ops,
    held: VecDeque<Lease>,
}

/// How many are held.
const WINDOW: usize = 5;

impl Stage for Held {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Held { ops: Ops::new(config)?, held: VecDeque::new() })
    }
}

impl BatchProcessor<Windowed> for Held {
    fn process(&mut self, batch: Batch<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), BatchFailure> {
        for element in batch.iter() {
            for _ in 0..self.ops.reads {
                element.read()?;
            }
            out.at(element);
            match self.ops.of(element.size()) {
                Op::Pass => self.held.push_back(element.lease(Mode::Shared, Scope::Stage)?),
                Op::Drop | Op::Write => self.held.push_back(element.lease(Mode::Exclusive, Scope::Stage)?),
                Op::Fail | Op::WriteAndFail => return Err(failure().at(element)),
                Op::FailSomewhere => return Err(failure().into()),
                Op::Trap => self.ops.trap(),
            }
            while self.held.len() > WINDOW {
                self.held.pop_front().expect("there are some").read(0).ok();
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        self.held.iter().filter(|lease| lease.read(0).is_ok()).try_for_each(|lease| out.forward_lease(lease))
    }
}

export!(Held: BatchProcessor<Windowed>);
