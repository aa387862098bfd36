//! A stage that holds each element until `after` others have arrived, and then forwards it; `mode` is `shared` or
//! `exclusive`. An element that is longer than `longest` is forwarded at once.

use std::collections::VecDeque;

use torvyn_guest::{Config, Element, Failure, Holder, Lease, Mode, Output, Processor, Scope, Stage, Writer};

struct HoldForward {
    mode: Mode,
    after: usize,
    longest: u64,
    held: VecDeque<Lease<Holder>>,
}

impl Stage for HoldForward {
    fn new(config: &Config) -> Result<Self, Failure> {
        let mode = match config.get("mode") {
            None | Some("shared") => Mode::Shared,
            Some("exclusive") => Mode::Exclusive,
            Some(other) => return Err(Failure::InvalidInput(format!("config `mode` is `{other}`"))),
        };
        let after = config.parse("after")?.unwrap_or(1);
        let longest = config.parse("longest")?.unwrap_or(u64::MAX);
        Ok(HoldForward { mode, after, longest, held: VecDeque::new() })
    }
}

impl Processor<Holder> for HoldForward {
    fn process(&mut self, element: Element<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), Failure> {
        if element.size() > self.longest {
            out.forward();
            return Ok(());
        }
        self.held.push_back(element.lease(self.mode, Scope::Stage)?);
        if self.held.len() > self.after
            && let Some(first) = self.held.pop_front()
        {
            out.forward_lease(&first)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        self.held.drain(..).try_for_each(|lease| out.forward_lease(&lease))
    }
}

torvyn_guest::export!(HoldForward: Processor<Holder>);
