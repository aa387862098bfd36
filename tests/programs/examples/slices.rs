//! A chunker: slices each payload into parts of at most `size` bytes; part `n` goes to output `n` modulo `outputs`. A
//! payload that is small enough is forwarded.

use torvyn_guest::{Chunker, Config, Element, Failure, Output, Processor, Stage};

struct Slices {
    size: u64,
    outputs: u64,
}

impl Stage for Slices {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Slices { size: config.parse("size")?.unwrap_or(4), outputs: config.parse("outputs")?.unwrap_or(1) })
    }
}

impl Processor<Chunker> for Slices {
    fn process(&mut self, element: Element<'_, Chunker>, out: &mut Output<'_, Chunker>) -> Result<(), Failure> {
        if element.size() <= self.size {
            out.forward();
            return Ok(());
        }
        for part in 0..element.size().div_ceil(self.size) {
            let offset = part * self.size;
            out.slice_to((part % self.outputs) as u32, offset, self.size.min(element.size() - offset));
        }
        Ok(())
    }
}

torvyn_guest::export!(Slices: Processor<Chunker>);
