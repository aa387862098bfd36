//! A sink that never reads, and asks for a pause after each batch of the first `batches`.

use torvyn_guest::{BackpressureSignal, Batch, BatchFailure, BatchSink, Config, Failure, MetadataSink, Stage};

struct Stall {
    batches: u64,
}

impl Stage for Stall {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Stall { batches: config.parse("batches")?.unwrap_or(0) })
    }
}

impl BatchSink<MetadataSink> for Stall {
    fn push(&mut self, _: Batch<'_, MetadataSink>) -> Result<BackpressureSignal, BatchFailure> {
        if self.batches == 0 {
            return Ok(BackpressureSignal::Ready);
        }
        self.batches -= 1;
        Ok(BackpressureSignal::Pause)
    }
}

torvyn_guest::export!(Stall: BatchSink<MetadataSink>);
