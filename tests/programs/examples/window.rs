//! A stage that holds elements and joins every `window` of them into one, and the rest at the end. Its world lets it
//! neither read nor write.

use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Config, Failure, Holder, Lease, Mode, Output, Scope, Stage, Writer, export,
};

struct Window {
    window: u32,
    held: Vec<Lease<Holder>>,
}

impl Stage for Window {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Window { window: config.parse("window")?.unwrap_or(1000), held: Vec::new() })
    }
}

impl BatchProcessor<Holder> for Window {
    fn process(&mut self, batch: Batch<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), BatchFailure> {
        let mut next = 0;
        while next < batch.len() {
            let held: u32 = self.held.iter().map(Lease::len).sum();
            let end = batch.len().min(next + self.window - held);
            self.held.push(batch.lease(next..end, Mode::Shared, Scope::Stage)?);
            if held + end - next == self.window {
                out.join(&self.held)?;
                self.held.clear();
            }
            next = end;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { out.join(&self.held) }
    }
}

export!(Window: BatchProcessor<Holder>);
