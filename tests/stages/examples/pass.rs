//! Forwards elements by handle.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

struct Pass;

impl Stage for Pass {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Pass)
    }
}

impl Processor<Router> for Pass {
    fn process(&mut self, _: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(Pass: Processor<Router>);
