//! An inspector that reads its batch in one crossing, twice.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsAllTwice;

impl Stage for ReadsAllTwice {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsAllTwice)
    }
}

impl BatchProcessor<Inspector> for ReadsAllTwice {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        let once = batch.read_all()?;
        let again = batch.read_all()?;
        for element in batch.iter() {
            if once == again {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsAllTwice: BatchProcessor<Inspector>);
