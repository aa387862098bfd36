//! A stage with tumbling windows: it joins the elements that arrived in the same `every` milliseconds when one of a
//! later window arrives, and the rest at the end. It holds each element for at most `keep` milliseconds, and drops a
//! window if it no longer holds all of its elements.

use torvyn_guest::{
    Columns, Config, Element, Failure, Holder, Lease, Mode, Output, Processor, Scope, Stage, Writer, export,
};

const MILLISECOND: u64 = 1_000_000;

struct Tumble {
    every: u64,
    keep: Option<u64>,
    window: u64,
    held: Vec<Lease<Holder>>,
}

impl Stage for Tumble {
    const COLUMNS: Columns = Columns::TIMESTAMP;

    fn new(config: &Config) -> Result<Self, Failure> {
        let milliseconds = |name| Ok::<_, Failure>(config.parse::<u64>(name)?.map(|number| number * MILLISECOND));
        let every = milliseconds("every")?.unwrap_or(60_000 * MILLISECOND);
        Ok(Tumble { every, keep: milliseconds("keep")?, window: 0, held: Vec::new() })
    }
}

/// A window that is no longer complete is dropped.
fn unless_given_up(joined: Result<(), Failure>) -> Result<(), Failure> {
    if matches!(joined, Err(Failure::DeadlineExceeded)) { Ok(()) } else { joined }
}

impl Processor<Holder> for Tumble {
    fn process(&mut self, element: Element<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), Failure> {
        let timestamp = element.timestamp().unwrap_or_default();
        let window = timestamp / self.every;
        if window != self.window && !self.held.is_empty() {
            unless_given_up(out.join(&self.held))?;
            self.held.clear();
        }
        self.window = window;
        let until = self.keep.map_or(Scope::Stage, |keep| Scope::Deadline(timestamp + keep));
        self.held.push(element.lease(Mode::Shared, until)?);
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { unless_given_up(out.join(&self.held)) }
    }
}

export!(Tumble: Processor<Holder>);
