//! A router: drops empty elements and forwards the rest.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

struct DropEmpty;

impl Stage for DropEmpty {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(DropEmpty)
    }
}

impl Processor<Router> for DropEmpty {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        if element.size() > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(DropEmpty: Processor<Router>);
