//! A collector that reads held elements: after the input has ended, it forwards those that contain `needle`.

use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Collector, Config, Failure, Lease, Mode, Output, Scope, Stage, Writer, export,
};

struct HoldRead {
    needle: Vec<u8>,
    held: Vec<Lease<Collector>>,
}

impl Stage for HoldRead {
    fn new(config: &Config) -> Result<Self, Failure> {
        let needle = config.get("needle").unwrap_or("x").as_bytes().to_vec();
        Ok(HoldRead { needle, held: Vec::new() })
    }
}

impl BatchProcessor<Collector> for HoldRead {
    fn process(&mut self, batch: Batch<'_, Collector>, _: &mut Output<'_, Collector>) -> Result<(), BatchFailure> {
        self.held.push(batch.lease(0..batch.len(), Mode::Shared, Scope::Stage)?);
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Collector>) -> Result<(), Failure> {
        for lease in &self.held {
            for index in 0..lease.len() {
                let payload = lease.read(index)?;
                if payload.windows(self.needle.len()).any(|part| part == self.needle) {
                    out.forward_from(lease, [index], 0)?;
                }
            }
        }
        Ok(())
    }
}

export!(HoldRead: BatchProcessor<Collector>);
