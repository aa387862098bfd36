//! An inspector that sorts the elements of a batch into a list, and reads those in the list.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsCollected;

impl Stage for ReadsCollected {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsCollected)
    }
}

impl BatchProcessor<Inspector> for ReadsCollected {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        let mut elements: Vec<_> = batch.iter().collect();
        elements.sort_by_key(|element| element.size());
        elements.extend_from_within(..1);
        for element in elements {
            if !element.read()?.is_empty() {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsCollected: BatchProcessor<Inspector>);
