//! An inspector that iterates over its batch twice.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsInTwoPasses;

impl Stage for ReadsInTwoPasses {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsInTwoPasses)
    }
}

impl BatchProcessor<Inspector> for ReadsInTwoPasses {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        let mut longest = 0;
        for element in batch.iter() {
            longest = longest.max(element.read()?.len());
        }
        for element in batch.iter() {
            if element.read()?.len() == longest {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsInTwoPasses: BatchProcessor<Inspector>);
