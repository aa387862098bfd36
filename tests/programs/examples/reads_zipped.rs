//! An inspector that compares each element with the next one: it reads most of them twice.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsZipped;

impl Stage for ReadsZipped {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsZipped)
    }
}

impl BatchProcessor<Inspector> for ReadsZipped {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        for (element, next) in batch.iter().zip(batch.iter().skip(1)) {
            if element.read()? != next.read()? {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsZipped: BatchProcessor<Inspector>);
