//! An inspector that reads one element of each batch, the largest.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsOne;

impl Stage for ReadsOne {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsOne)
    }
}

impl BatchProcessor<Inspector> for ReadsOne {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        if let Some(largest) = batch.iter().max_by_key(|element| element.size())
            && largest.read()?.iter().any(|byte| *byte != 0)
        {
            out.at(largest).forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsOne: BatchProcessor<Inspector>);
