//! A transform that reads one element after the other, and forwards those that are longer than the configured `longest`
//! without reading them. So its outputs mix written and forwarded elements.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform};

struct UpperOnDemand {
    longest: u64,
}

impl Stage for UpperOnDemand {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(UpperOnDemand { longest: config.parse("longest")?.unwrap_or(u64::MAX) })
    }
}

impl Processor<Transform> for UpperOnDemand {
    fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        if element.size() > self.longest {
            out.forward();
        } else {
            out.write(&element.read()?.to_ascii_uppercase());
        }
        Ok(())
    }
}

torvyn_guest::export!(UpperOnDemand: Processor<Transform>);
