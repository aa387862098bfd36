//! An inspector that reads an element, and its first byte again.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsTwice;

impl Stage for ReadsTwice {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsTwice)
    }
}

impl Processor<Inspector> for ReadsTwice {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        if element.read()?.len() > 1 && element.read_range(0, 1)? == b"a" {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsTwice: Processor<Inspector>);
