//! An inspector that reads an element two bytes at a time.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsInChunks;

impl Stage for ReadsInChunks {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsInChunks)
    }
}

impl Processor<Inspector> for ReadsInChunks {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        let mut sum = 0u64;
        let mut offset = 0;
        while offset < element.size() {
            let len = (element.size() - offset).min(2);
            sum += element.read_range(offset, len)?.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            offset += len;
        }
        if sum > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsInChunks: Processor<Inspector>);
