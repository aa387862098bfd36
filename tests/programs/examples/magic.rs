//! An inspector that reads payloads whole to look at their first two bytes: it forwards gzip data, by handle.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct Magic;

impl Stage for Magic {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Magic)
    }
}

impl Processor<Inspector> for Magic {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        if element.read()?.starts_with(b"\x1f\x8b") {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Magic: Processor<Inspector>);
