//! An inspector that reads the elements in groups of four, and the first of each group again for each of them.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsGrouped;

impl Stage for ReadsGrouped {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsGrouped)
    }
}

impl BatchProcessor<Inspector> for ReadsGrouped {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        let elements: Vec<_> = batch.iter().collect();
        for group in elements.chunks(4) {
            for element in group {
                if element.read()? == group[0].read()? {
                    out.at(*element).forward();
                }
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsGrouped: BatchProcessor<Inspector>);
