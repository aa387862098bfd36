//! A router that asks for all metadata: it forwards elements with an even sequence number, and fails if the metadata is
//! inconsistent.

use torvyn_guest::{Columns, Config, Element, Failure, Output, Processor, Router, Stage};

struct EveryOther {
    last: Option<(u64, u64)>,
}

impl Stage for EveryOther {
    const COLUMNS: Columns = Columns::all();

    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(EveryOther { last: None })
    }
}

impl Processor<Router> for EveryOther {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        let now = element.sequence().zip(element.timestamp());
        if now.is_none() || now <= self.last {
            return Err(Failure::Internal(format!("{now:?} after {:?}", self.last)));
        }
        self.last = now;
        if element.sequence().is_some_and(|sequence| sequence % 2 == 0) {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(EveryOther: Processor<Router>);
