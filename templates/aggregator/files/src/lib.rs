//! A processor that holds elements: joins every `window` into one and, at the end, the rest.
//! The payloads stay with the host, and the world lets the stage neither read nor write one.

use std::num::NonZeroU32;

use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Config, Failure, Holder, Lease, Mode, Output, Scope,
    Stage, Writer,
};

/// The elements of the current window so far.
pub struct Aggregate {
    window: u32,
    held: Vec<Lease<Holder>>,
}

impl Aggregate {
    /// How many elements the window still needs.
    fn missing(&self) -> u32 {
        self.window - self.held.iter().map(Lease::len).sum::<u32>()
    }
}

impl Stage for Aggregate {
    fn new(config: &Config) -> Result<Self, Failure> {
        let window = config.parse("window")?.map_or(1000, NonZeroU32::get);
        let held = Vec::new();
        Ok(Aggregate { window, held })
    }
}

impl BatchProcessor<Holder> for Aggregate {
    fn process(
        &mut self,
        batch: Batch<'_, Holder>,
        out: &mut Output<'_, Holder>,
    ) -> Result<(), BatchFailure> {
        let mut next = 0;
        while next < batch.len() {
            let end = batch.len().min(next + self.missing());
            let lease = batch.lease(next..end, Mode::Shared, Scope::Stage)?;
            self.held.push(lease);
            if self.missing() == 0 {
                out.join(&self.held)?;
                self.held.clear();
            }
            next = end;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        if self.held.is_empty() {
            return Ok(());
        }
        out.join(&self.held)
    }
}

torvyn_guest::export!(Aggregate: BatchProcessor<Holder>);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    /// The payloads that the stage makes from these batches.
    fn aggregated(window: &str, batches: &[&[&[u8]]]) -> Vec<String> {
        let mut stage = Aggregate::new(&Config::from([("window", window)])).unwrap();
        let mut made = Vec::new();
        for batch in batches {
            made.extend(testing::process_batch(&mut stage, batch).unwrap());
        }
        made.extend(testing::collect(|out| stage.flush(out)).unwrap().1);
        assert!(made.iter().all(|element| element.by_handle));
        made.into_iter()
            .map(|element| String::from_utf8(element.payload).unwrap())
            .collect()
    }

    #[test]
    fn joins_every_window_and_the_rest() {
        let batches: [&[&[u8]]; 3] = [&[b"1", b"2"], &[b"3", b"4", b"5", b"6"], &[b"7"]];
        assert_eq!(aggregated("3", &batches), ["123", "456", "7"]);
        assert_eq!(aggregated("7", &batches), ["1234567"]);
        assert_eq!(aggregated("1", &batches).len(), 7);
        assert!(aggregated("3", &[]).is_empty());
    }

    #[test]
    fn rejects_an_empty_window() {
        assert!(Aggregate::new(&Config::from([("window", "0")])).is_err());
    }
}
