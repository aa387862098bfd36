//! What a stage is lent again after it failed, and what its policy says of the element that it failed at.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, StageError};
use crate::flow::faults::Faults;
use crate::flow::{Control, DeadLetter, DeadLetters};
use crate::ledger::{Copies, Count};
use crate::payload::element::Element;
use crate::pipeline::injection::Injection;
use crate::pipeline::policy::{Policy, Then};
use crate::stage::instance::Tried;

/// How a stage failed in a flow that went on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FailureUse {
    /// Calls that failed, or that went on after the stage failed at elements of them.
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
    /// How often it was read, in calls that failed, and while it was held by a stage that restarted.
    reads: u32,
    /// A call that failed copied it. It is lent alone from then on: so no element is copied again and again because of
    /// others.
    touched: bool,
}

/// What is put back after a call that failed.
pub(crate) struct PutBack<'a> {
    /// What the stage held and nothing had come of, and how often each was read.
    pub(crate) held: Vec<(Element, u32)>,
    /// What of the batch was not finished.
    pub(crate) rest: Vec<(Element, Tried)>,
    /// Where in the batch that begins.
    pub(crate) index: usize,
    /// What becomes of the first of the rest, where it is known that the stage failed at it.
    pub(crate) fate: Option<&'a Disposition>,
}

/// What becomes of an element that a stage failed at.
pub(crate) enum Disposition {
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
                failed_copies: Copies::default(),
            })
        })
    }

    /// Whether the flow can go on after this, which a stage did.
    pub(crate) fn covers(&self, error: &Error) -> bool {
        let Error::Stage { fault, .. } = error else { return false };
        self.policy != Policy::default()
            && match fault {
                StageError::Failure(_)
                | StageError::Trap { .. }
                | StageError::Deadline { .. }
                | StageError::Memory { .. }
                | StageError::Budget(_) => true,
                StageError::CutOff | StageError::Fatal(_) | StageError::Link(_) | StageError::Contract(_) => false,
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
    pub(crate) fn retry_batch(&mut self, batch: &mut Vec<Element>, max_elements: usize, max_bytes: usize) {
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

    /// How often the elements of the call that comes were read before, one by one; nothing where they are new.
    pub(crate) fn reads_before(&self) -> impl Iterator<Item = u32> {
        self.marks.iter().map(|mark| mark.reads)
    }

    /// A call begins, of a stage that has copied so much.
    pub(crate) fn begin(&mut self, copies: Copies) {
        self.before = copies;
    }

    /// A call that lends nothing has succeeded.
    pub(crate) fn succeed(&mut self) {
        self.attempts = 0;
    }

    /// A call went on after the stage failed at elements.
    pub(crate) fn go_on(&mut self) {
        self.used.calls += 1;
    }

    /// A call has failed, and after it the flow goes on. The stage has copied so much by now.
    pub(crate) fn fail(&mut self, copies: Copies) {
        self.used.calls += 1;
        let (failed, before) = (&mut self.failed_copies, self.before);
        failed.payload_read += copies.payload_read.since(before.payload_read);
        failed.payload_write += copies.payload_write.since(before.payload_write);
        failed.metadata_marshal += copies.metadata_marshal.since(before.metadata_marshal);
        failed.host_serialize += copies.host_serialize.since(before.host_serialize);
    }

    /// When to make a call again that lends nothing, if it is to be.
    pub(crate) fn call_again(&mut self, error: &Error) -> Option<Duration> {
        let returned = matches!(error, Error::Stage { fault: StageError::Failure(_), .. });
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
    pub(crate) fn judge(
        &mut self,
        stage: &str,
        element: &Element,
        index: usize,
        error: Error,
    ) -> Result<Disposition, Error> {
        let attempt = self.mark(index).failed + 1;
        if let Some(retry) = self.policy.retry.filter(|retry| attempt <= retry.count) {
            self.used.retries += 1;
            return Ok(Disposition::Again(retry.pause(attempt)));
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
        Ok(Disposition::Out)
    }

    fn mark(&self, index: usize) -> Mark {
        let new = Mark { number: Some(self.first + index as u64), ..Mark::default() };
        if self.marks.is_empty() { new } else { self.marks[index] }
    }

    /// Puts back what is to be lent next: first what the stage held, then what it did not finish of the batch. Where it is
    /// not known what it failed at, each is to be alone until it is found; what the call copied is alone in any case. Tells
    /// how many elements are as if they had not been lent.
    pub(crate) fn put_back(&mut self, back: PutBack<'_>) -> u64 {
        let PutBack { held, rest, index, fate } = back;
        let mut untouched = 0;
        let mut again = Vec::with_capacity(held.len() + rest.len());
        for (element, reads) in held {
            again.push(Again { element, mark: Mark { reads, ..Mark::default() }, alone: false });
        }
        for (place, (element, tried)) in rest.into_iter().enumerate() {
            let failed_here = place == 0 && fate.is_some();
            if failed_here && matches!(fate, Some(Disposition::Out)) {
                continue;
            }
            let mark = self.mark(index + place);
            let touched = mark.touched || tried.touched || failed_here;
            untouched += u64::from(!tried.touched && !failed_here);
            let mark = Mark { failed: mark.failed + u32::from(failed_here), reads: tried.reads, touched, ..mark };
            again.push(Again { element, mark, alone: touched || fate.is_none() });
        }
        if fate.is_some() {
            // It was looked for among these.
            self.again.iter_mut().for_each(|again| again.alone = again.mark.touched);
        }
        again.into_iter().rev().for_each(|again| self.again.push_front(again));
        untouched
    }
}
