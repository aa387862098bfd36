//! A sink: counts elements and their bytes, and prints the totals at the end. It uses sizes alone,
//! and the world does not let it read payloads. Use `DataSink` for a sink that reads.

use torvyn_guest::{BackpressureSignal, Config, Element, Failure, MetadataSink, Sink, Stage};

/// The totals so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    elements: u64,
    bytes: u64,
}

impl Stage for Totals {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Totals::default())
    }
}

impl Sink<MetadataSink> for Totals {
    fn push(&mut self, element: Element<'_, MetadataSink>) -> Result<BackpressureSignal, Failure> {
        self.elements += 1;
        self.bytes += element.size();
        Ok(BackpressureSignal::Ready)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        println!("{} elements, {} bytes", self.elements, self.bytes);
        Ok(())
    }
}

torvyn_guest::export!(Totals: Sink<MetadataSink>);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    #[test]
    fn counts_elements_and_bytes() {
        let mut stage = Totals::default();
        let signal = testing::push(&mut stage, &[b"one", b"", b"three"]).unwrap();

        assert_eq!(signal, BackpressureSignal::Ready);
        assert_eq!(
            stage,
            Totals {
                elements: 3,
                bytes: 8
            }
        );
        stage.complete().unwrap();
    }
}
