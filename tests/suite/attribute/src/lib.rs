//! Drops the elements whose attribute `name` is `equals`, by handle: it cannot see a payload.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

struct Attribute {
    name: String,
    equals: String,
}

impl Stage for Attribute {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Attribute { name: config.require("name")?.to_string(), equals: config.require("equals")?.to_string() })
    }
}

impl Processor<Router> for Attribute {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        if element.attribute(&self.name)?.as_deref() != Some(&*self.equals) {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Attribute: Processor<Router>);
