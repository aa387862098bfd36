//! A transform that handles the batch and multiplies it: it writes every element `times` times, and after the input has
//! ended, the number of elements.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Output, Stage, Transform, Writer};

struct Repeat {
    times: usize,
    seen: u64,
}

impl Stage for Repeat {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Repeat { times: config.parse("times")?.unwrap_or(2), seen: 0 })
    }
}

impl BatchProcessor<Transform> for Repeat {
    fn process(&mut self, batch: Batch<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), BatchFailure> {
        self.seen += u64::from(batch.len());
        let payloads = batch.read_all()?;
        let mut rest = payloads.as_slice();
        for element in batch.iter() {
            let payload;
            (payload, rest) = rest.split_at(element.size() as usize);
            (0..self.times).for_each(|_| out.at(element).write(payload));
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Transform>) -> Result<(), Failure> {
        out.write(self.seen.to_string().as_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Repeat: BatchProcessor<Transform>);
