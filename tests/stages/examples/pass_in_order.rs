//! Forwards elements by handle as long as all of their metadata increases: this measures the cost of metadata.

use torvyn_guest::{Columns, Config, Element, Failure, Output, Processor, Router, Stage};

struct PassInOrder {
    next: u64,
    latest: u64,
}

impl Stage for PassInOrder {
    const COLUMNS: Columns = Columns::all();

    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(PassInOrder { next: 0, latest: 0 })
    }
}

impl Processor<Router> for PassInOrder {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        if let (Some(sequence), Some(timestamp)) = (element.sequence(), element.timestamp())
            && sequence >= self.next
            && timestamp >= self.latest
        {
            (self.next, self.latest) = (sequence + 1, timestamp);
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(PassInOrder: Processor<Router>);
