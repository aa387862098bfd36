//! An inspector that reads the elements of a batch from the last to the first.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsBackwards;

impl Stage for ReadsBackwards {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsBackwards)
    }
}

impl BatchProcessor<Inspector> for ReadsBackwards {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        for index in (0..batch.len()).rev() {
            if let Some(element) = batch.iter().nth(index as usize)
                && !element.read()?.is_empty()
            {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsBackwards: BatchProcessor<Inspector>);
