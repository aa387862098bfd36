//! An inspector for numbers of eight bytes, which fails on other payloads: it forwards those above 1000, by handle.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct Above;

impl Stage for Above {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Above)
    }
}

impl Processor<Inspector> for Above {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        let number = element.read()?.try_into().map_err(|_| Failure::InvalidInput("not a number".to_string()))?;
        if u64::from_le_bytes(number) > 1000 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Above: Processor<Inspector>);
