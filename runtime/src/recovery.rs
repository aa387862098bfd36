//! What a stage is lent again after it failed, and what its policy says of the element that it failed at.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::element::Element;
use crate::error::{Error, Fault};
use crate::faults::Faults;
use crate::flow::Control;
use crate::injection::Injection;
use crate::ledger::{Copies, Count};
use crate::policy::{DeadLetter, DeadLetters, Policy, Then};

/// How a stage failed in a flow that went on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FailureUse {
    /// Calls that failed.
    pub calls: u64,
    /// Times that an element was lent again because the stage failed at it, or that a call was made again which lends none.
    pub retries: u64,
    /// Elements that were left out.
    pub skipped: u64,
    /// Elements that were left out and kept as dead letters.
    pub dead_letters: u64,
    /// Times that the stage began anew.
    pub restarts: u64,
}

/// What is known of a stage whose flow does not end with its first failure, or that faults are injected in.
pub(crate) struct Recovery {
    policy: Policy,
    dead_letters: DeadLetters,
    pub(crate) faults: Faults,
    /// To be lent again before anything else, in order.
    again: VecDeque<Again>,
    /// The elements of the call under way, if they were lent before.
    marks: Vec<Mark>,
    /// The number of the first of them, if not.
    first: u64,
    /// How often the call failed that is made again, of those that lend nothing.
    attempts: u32,
    /// What the stage had copied before the call.
    before: Copies,
    pub(crate) used: FailureUse,
    /// What was lent another time.
    pub(crate) repeated: Count,
    /// How many elements were lent in vain, whether or not for the first time.
    pub(crate) in_vain: u64,
    /// What was copied in calls that failed, and until the stage was ready for the next.
    pub(crate) failed_copies: Copies,
}

struct Again {
    element: Element,
    mark: Mark,
    /// To be alone in its call.
    alone: bool,
}

/// What is remembered of an element that is lent again.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Its number among all that the stage was given. What it held has none.
    number: Option<u64>,
    /// How often the stage failed at it.
    failed: u32,
}

/// What becomes of an element that a stage failed at.
pub(crate) enum Fate {
    /// It is lent again, after this time.
    Again(Duration),
    /// It is left out.
    Out,
}

impl Recovery {
    /// Nothing where the flow ends with the first failure of the stage, and none is injected.
    pub(crate) fn new(policy: Policy, faults: Vec<Injection>, control: &Control) -> Option<Box<Recovery>> {
        let needed = policy != Policy::default() || !faults.is_empty();
        needed.then(|| {
            Box::new(Recovery {
                policy,
                dead_letters: control.dead_letters.clone(),
                faults: Faults::new(faults),
                again: VecDeque::new(),
                marks: Vec::new(),
                first: 0,
                attempts: 0,
                before: Copies::default(),
                used: FailureUse::default(),
                repeated: Count::default(),
                in_vain: 0,
                failed_copies: Copies::default(),
            })
        })
    }

    /// Whether the flow can go on after this, which a stage did.
    pub(crate) fn covers(&self, error: &Error) -> bool {
        let Error::Stage { fault, .. } = error else { return false };
        self.policy != Policy::default()
            && match fault {
                Fault::Failure(_)
                | Fault::Trap { .. }
                | Fault::Deadline { .. }
                | Fault::Memory { .. }
                | Fault::Budget(_) => true,
                Fault::CutOff | Fault::Fatal(_) | Fault::Link(_) | Fault::Contract(_) => false,
            }
    }

    /// How many elements are to be lent again.
    pub(crate) fn waiting(&self) -> usize {
        self.again.len()
    }

    /// The number of the first element of the next call, of which the node has taken `taken` so far.
    pub(crate) fn next(&self, taken: u64) -> Option<u64> {
        self.again.front().map_or(Some(taken), |again| again.mark.number)
    }

    /// The number of the first element of this call.
    pub(crate) fn first(&self) -> Option<u64> {
        self.marks.first().map_or(Some(self.first), |mark| mark.number)
    }

    /// The call that comes is lent elements for the first time. The first of them has this number.
    pub(crate) fn lend_new(&mut self, first: u64) {
        self.marks.clear();
        self.first = first;
    }

    /// Moves what is to be lent again into `batch`, which is empty: at most `max_elements`, and after the first none that
    /// makes it more than `max_bytes`.
    pub(crate) fn lend_again(&mut self, batch: &mut Vec<Element>, max_elements: usize, max_bytes: usize) {
        self.marks.clear();
        let mut bytes = 0;
        while let Some(next) = self.again.front()
            && (batch.is_empty()
                || !next.alone && batch.len() < max_elements && bytes + next.element.payload.len() <= max_bytes)
        {
            let alone = next.alone;
            let Some(Again { element, mark, .. }) = self.again.pop_front() else { break };
            bytes += element.payload.len();
            self.repeated.record(1, element.payload.len() as u64);
            self.marks.push(mark);
            batch.push(element);
            if alone {
                break;
            }
        }
    }

    /// A call begins, of a stage that has copied so much.
    pub(crate) fn begin(&mut self, copies: Copies) {
        self.before = copies;
    }

    /// A call that lends nothing has succeeded.
    pub(crate) fn succeed(&mut self) {
        self.attempts = 0;
    }

    /// A call has failed, and after it the flow goes on. So many elements were lent in vain, and the stage has copied so much
    /// by now.
    pub(crate) fn fail(&mut self, in_vain: u64, copies: Copies) {
        self.used.calls += 1;
        self.in_vain += in_vain;
        self.failed_copies.payload_read += copies.payload_read.since(self.before.payload_read);
        self.failed_copies.payload_write += copies.payload_write.since(self.before.payload_write);
    }

    /// When to make a call again that lends nothing, if it is to be.
    pub(crate) fn call_again(&mut self, error: &Error) -> Option<Duration> {
        let returned = matches!(error, Error::Stage { fault: Fault::Failure(_), .. });
        let retry = self.policy.retry.filter(|retry| returned && self.attempts < retry.count)?;
        self.attempts += 1;
        self.used.retries += 1;
        Some(retry.pause(self.attempts))
    }

    /// What becomes of the element at `index` of the batch, which the stage failed at.
    ///
    /// # Errors
    ///
    /// The failure, where the flow is to end with it; [`Error::DeadLetter`] where the element could not be kept.
    pub(crate) fn judge(&mut self, stage: &str, element: &Element, index: usize, error: Error) -> Result<Fate, Error> {
        let attempt = self.mark(index).failed + 1;
        if let Some(retry) = self.policy.retry.filter(|retry| attempt <= retry.count) {
            self.used.retries += 1;
            return Ok(Fate::Again(retry.pause(attempt)));
        }
        match self.policy.then {
            Then::Stop => return Err(error),
            Then::Skip => self.used.skipped += 1,
            Then::DeadLetter => {
                let kept = (self.dead_letters)(DeadLetter { stage, element, error: &error, attempt });
                let (stage, element) = (stage.to_string(), element.sequence);
                kept.map_err(|source| Error::DeadLetter { stage, element, source })?;
                self.used.dead_letters += 1;
            }
        }
        Ok(Fate::Out)
    }

    fn mark(&self, index: usize) -> Mark {
        let new = Mark { number: Some(self.first + index as u64), failed: 0 };
        if self.marks.is_empty() { new } else { self.marks[index] }
    }

    /// What is lent next: first what the stage `held`, then the `rest` of the batch, from `index` on. Where it is known what
    /// it failed at, that is the first of the rest, and `fate` says what becomes of it; otherwise each is to be alone.
    pub(crate) fn put_back(&mut self, held: Vec<Element>, rest: Vec<Element>, index: usize, fate: Option<&Fate>) {
        let rest = rest.into_iter().enumerate().map(|(place, element)| {
            let mark = self.mark(index + place);
            match fate {
                Some(_) if place == 0 => Again { element, mark: Mark { failed: mark.failed + 1, ..mark }, alone: true },
                _ => Again { element, mark, alone: fate.is_none() },
            }
        });
        let rest: Vec<Again> = rest.skip(usize::from(matches!(fate, Some(Fate::Out)))).collect();
        if fate.is_some() {
            // It was looked for among these.
            self.again.iter_mut().for_each(|again| again.alone = again.mark.failed > 0);
        }
        let held = held.into_iter().map(|element| Again { element, mark: Mark::default(), alone: false });
        for again in held.chain(rest).rev() {
            self.again.push_front(again);
        }
    }
}
