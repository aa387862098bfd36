//! Adds up every payload as its setting `task` says, and prints the result.

use shape::{Tally, Task};
use torvyn_guest::{BackpressureSignal, Config, DataSink, Element, Failure, PayloadSink, Stage};

struct Sum {
    task: Task,
    tally: Tally,
}

impl Stage for Sum {
    fn new(config: &Config) -> Result<Self, Failure> {
        let task = match config.require("task")? {
            "pass" => Task::Pass,
            "upper" => Task::Upper,
            other => return Err(Failure::InvalidInput(format!("`{other}` is neither `pass` nor `upper`"))),
        };
        Ok(Sum { task, tally: Tally::default() })
    }
}

impl PayloadSink for Sum {
    fn push(&mut self, _: Element<'_, DataSink>, payload: &[u8]) -> Result<BackpressureSignal, Failure> {
        self.tally.add(self.task, payload);
        Ok(BackpressureSignal::Ready)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        println!("{} {} {}", self.tally.elements, self.tally.bytes, self.tally.sum);
        Ok(())
    }
}

torvyn_guest::export!(Sum: PayloadSink);
