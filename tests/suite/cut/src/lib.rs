//! Makes an element of each line of an element, with its end. It reads to find the ends, and copies nothing else.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Slicer, Stage};

struct Cut;

impl Stage for Cut {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Cut)
    }
}

impl PayloadProcessor<Slicer> for Cut {
    fn process(&mut self, _: Element<'_, Slicer>, payload: &[u8], out: &mut Output<'_, Slicer>) -> Result<(), Failure> {
        let mut offset = 0;
        for line in payload.split_inclusive(|byte| *byte == b'\n') {
            out.slice(offset, line.len() as u64);
            offset += line.len() as u64;
        }
        Ok(())
    }
}

torvyn_guest::export!(Cut: PayloadProcessor<Slicer>);
