//! A router that fails on each empty element after it has forwarded it.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

struct Strict;

impl Stage for Strict {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Strict)
    }
}

impl Processor<Router> for Strict {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        out.forward();
        if element.size() == 0 { Err(Failure::InvalidInput("it is empty".to_string())) } else { Ok(()) }
    }
}

torvyn_guest::export!(Strict: Processor<Router>);
