//! An inspector that reads payloads whole for their first byte: it forwards those that begin with a brace, by handle.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct FirstByte;

impl Stage for FirstByte {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(FirstByte)
    }
}

impl Processor<Inspector> for FirstByte {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        let payload = element.read()?;
        if !payload.is_empty() && payload[0] == b'{' {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(FirstByte: Processor<Inspector>);
