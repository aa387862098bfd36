//! A windowed stage: joins every `window` elements into one, and at the end those that are left. It reads and writes
//! nothing.

use torvyn_guest::{
    Batch, BatchProcessor, Config, Failure, Lease, Mode, Output, Scope, Stage, Windowed, Writer, export,
};

struct Window {
    window: u32,
    held: Vec<Lease>,
}

impl Stage for Window {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Window { window: config.parse("window")?.unwrap_or(1000), held: Vec::new() })
    }
}

impl BatchProcessor<Windowed> for Window {
    fn process(&mut self, batch: Batch<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
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

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { out.join(&self.held) }
    }
}

export!(Window: BatchProcessor<Windowed>);
