//! The input whose elements arrive at given times.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::{CopyRecorder, Input, Pull, Pulled};
use crate::ledger::Kernel;
use crate::payload::Payload;
use crate::payload::element::Metadata;
use crate::payload::run::Runs;

/// Delays the elements of another input: each arrives at its own time.
///
/// It ends with the last element, even if arrival times are left.
pub struct Timed {
    input: Box<dyn Input>,
    arrivals: Box<dyn Iterator<Item = Duration>>,
    /// When the first element of `ahead` arrives.
    next: Duration,
    /// Elements that were pulled and have not arrived.
    ahead: VecDeque<(Payload, Metadata)>,
    ended: bool,
}

impl Timed {
    /// Delays the elements of `input` by `arrivals`, the times since the flow began. Elements without an arrival time arrive with
    /// the element before them. An element whose time is earlier than that of an element before it arrives together with that
    /// one.
    pub fn new(input: Box<dyn Input>, arrivals: impl IntoIterator<Item = Duration, IntoIter: 'static>) -> Timed {
        let mut arrivals = Box::new(arrivals.into_iter());
        let next = arrivals.next().unwrap_or_default();
        Timed { input, arrivals, next, ahead: VecDeque::new(), ended: false }
    }

    /// Delays the elements of `input`: the first arrives at once, and each further one `time` after the one before it.
    pub fn every(input: Box<dyn Input>, time: Duration) -> Timed {
        Timed::new(input, (0..u32::MAX).map(move |number| time.saturating_mul(number)))
    }

    /// Pulls elements ahead. Returns the answer of the input if it had none.
    fn pull_ahead(&mut self, pull: &mut Pull<'_>) -> io::Result<Option<Pulled>> {
        let (mut runs, mut metadata) = (Runs::default(), Vec::new());
        let mut of_input = Pull {
            given: 0,
            runs: &mut runs,
            metadata: &mut metadata,
            host_serialize: CopyRecorder { count: pull.host_serialize.count, boundary: pull.host_serialize.boundary },
            ..*pull
        };
        let pulled = self.input.pull(&mut of_input);
        let mut metadata = metadata.into_iter().peekable();
        for (index, run) in runs.drain().enumerate() {
            let mut of_run = metadata.next_if(|(of, _)| *of == index).map(|(_, metadata)| metadata);
            let elements = run.into_elements();
            self.ahead.extend(elements.map(|element| (element.payload, of_run.take().unwrap_or_default())));
        }
        let pulled = pulled?;
        self.ended = pulled == Pulled::End;
        Ok(Some(pulled).filter(|_| self.ahead.is_empty()))
    }
}

impl Input for Timed {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        loop {
            if self.ahead.is_empty() && self.ended {
                return Ok(Pulled::End);
            }
            if self.ahead.is_empty()
                && let Some(nothing) = self.pull_ahead(pull)?
            {
                return Ok(nothing);
            }
            if !pull.has_room() {
                return Ok(Pulled::More);
            }
            if pull.time() < self.next {
                return Ok(Pulled::Until(self.next));
            }
            if let Some((payload, metadata)) = self.ahead.pop_front() {
                pull.give_with(payload, metadata);
                self.next = self.arrivals.next().unwrap_or(self.next);
            }
        }
    }

    fn kernel(&self) -> Kernel {
        self.input.kernel()
    }

    fn gives_deadlines(&self) -> bool {
        self.input.gives_deadlines()
    }

    fn touches_bytes(&self) -> bool {
        self.input.touches_bytes()
    }

    fn wants_acknowledgement(&self) -> bool {
        self.input.wants_acknowledgement()
    }

    fn acknowledge(&mut self, elements: u64) -> io::Result<()> {
        self.input.acknowledge(elements)
    }
}
