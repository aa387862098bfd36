//! An inspector that reads the elements of a batch by computed indices: each third of them three times.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct ReadsNth;

impl Stage for ReadsNth {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsNth)
    }
}

impl BatchProcessor<Inspector> for ReadsNth {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        for index in 0..batch.len() {
            if let Some(element) = batch.iter().nth((index - index % 3) as usize)
                && element.read()?.len() as u32 > index
            {
                out.at(element).forward();
            }
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsNth: BatchProcessor<Inspector>);
