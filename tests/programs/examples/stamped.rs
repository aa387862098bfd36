//! A transform that writes the metadata of each element: its deadline, relative to its timestamp, and its trace.

use torvyn_guest::{Columns, Config, Element, Failure, Output, Processor, Replacer, Stage};

struct Stamped;

impl Stage for Stamped {
    const COLUMNS: Columns = Columns::TIMESTAMP.union(Columns::DEADLINE).union(Columns::TRACE);

    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Stamped)
    }
}

impl Processor<Replacer> for Stamped {
    fn process(&mut self, element: Element<'_, Replacer>, out: &mut Output<'_, Replacer>) -> Result<(), Failure> {
        let deadline = element.deadline().zip(element.timestamp()).map(|(deadline, from)| deadline - from);
        let trace = element.trace().map(|trace| format!("{:032x} {:016x}", trace.id, trace.span));
        out.write(format!("{deadline:?} {trace:?}").as_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Stamped: Processor<Replacer>);
