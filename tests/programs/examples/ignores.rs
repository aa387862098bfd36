//! An inspector that reads payloads and never looks at a byte of them: it forwards all, by handle.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct Ignores {
    bytes: u64,
}

impl Stage for Ignores {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Ignores { bytes: 0 })
    }
}

impl Processor<Inspector> for Ignores {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        let payload = element.read()?;
        self.bytes += payload.len() as u64;
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(Ignores: Processor<Inspector>);
