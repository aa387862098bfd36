//! Joins every `count` elements into one, and the rest at the end. No payload byte moves.

use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Config, Failure, Holder, Lease, Mode, Output, Scope, Stage, Writer,
};

struct Join {
    count: u32,
    held: Vec<Lease<Holder>>,
}

impl Stage for Join {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Join { count: config.parse("count")?.unwrap_or(10), held: Vec::new() })
    }
}

impl BatchProcessor<Holder> for Join {
    fn process(&mut self, batch: Batch<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), BatchFailure> {
        for index in 0..batch.len() {
            self.held.push(batch.lease(index..index + 1, Mode::Shared, Scope::Stage)?);
            if self.held.len() as u32 == self.count {
                out.join(&self.held)?;
                self.held.clear();
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { out.join(&self.held) }
    }
}

torvyn_guest::export!(Join: BatchProcessor<Holder>);
