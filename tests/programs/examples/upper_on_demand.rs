//! A transform that reads each element when it comes to it, unless it is longer than the configured `longest`; those it
//! forwards as they are. So its outputs mix elements written and elements passed on.

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
