//! An inspector that reads every third element.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsStepped;

impl Stage for ReadsStepped {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsStepped)
    }
}

impl BatchProcessor<Inspector> for ReadsStepped {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        for element in batch.iter().step_by(3) {
            if !element.read()?.is_empty() {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsStepped: BatchProcessor<Inspector>);
