//! What a stage is lent again after a failure, and what its policy does with the element it failed on.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, StageError};
use crate::flow::pending_injections::PendingInjections;
use crate::flow::{Control, DeadLetter, DeadLetters};
use crate::ledger::{Copies, Count};
use crate::payload::Batch;
use crate::payload::element::Element;
use crate::pipeline::injection::Injection;
use crate::pipeline::policy::{Policy, Then};
use crate::stage::instance::Attempt;

/// The failures of a stage in a flow that survived them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FailureUse {
    /// Calls that failed, or that succeeded but skipped elements.
    pub calls: u64,
    /// Retries: of an element that the stage failed on, or of a call that lends none.
    pub retries: u64,
    /// Elements that were skipped.
    pub skipped: u64,
    /// Elements that were kept as dead letters.
    pub dead_letters: u64,
    /// Restarts of the stage.
    pub restarts: u64,
}

/// The recovery state of a stage whose policy survives failures, or that has injected faults.
pub(crate) struct Recovery {
    policy: Policy,
    dead_letters: DeadLetters,
    pub(crate) injections: PendingInjections,
    /// Elements to lend again before anything else, in order.
    retries: VecDeque<PendingRetry>,
    /// The marks of the elements in the current call, if they were lent before.
    marks: Vec<Mark>,
    /// The number of the first element in the current call, if they are new.
    first: u64,
    /// How often the current call failed, for a call that lends no elements.
    attempts: u32,
    /// What the stage had copied before the current call.
    before: Copies,
    pub(crate) used: FailureUse,
    /// Elements that were lent again.
    pub(crate) repeated: Count,
    /// What was copied in failed calls and by restarts.
    pub(crate) failed_copies: Copies,
}

/// A call of new elements that has not been completed yet.
#[derive(Clone, Copy)]
pub(crate) struct AsideCall {
    /// The number of its first element.
    first: u64,
    /// What its instance had copied before.
    before: Copies,
}

struct PendingRetry {
    element: Element,
    mark: Mark,
    /// Whether it must be alone in its call.
    is_alone: bool,
}

/// What is remembered of an element that is lent again.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Its number among all elements that the stage took; `None` for an element that the stage held.
    number: Option<u64>,
    /// How often the stage failed on it.
    failed: u32,
    /// How often it was read in failed calls, and while it was held by a stage that restarted.
    reads: u32,
    /// Whether a failed call copied it. It is lent alone from then on, so that other elements cannot cause it to be copied
    /// again and again.
    is_touched: bool,
}

/// What returns from a failed call.
pub(crate) struct PutBack<'a> {
    /// Held elements that were not consumed, and how often each was read.
    pub(crate) held: Vec<(Element, u32)>,
    /// The unfinished part of the batch.
    pub(crate) rest: Vec<(Element, Attempt)>,
    /// The index in the batch at which `rest` begins.
    pub(crate) index: usize,
    /// What happens to the first element of `rest`, if the stage is known to have failed on it.
    pub(crate) disposition: Option<&'a Disposition>,
}

/// What happens to an element that a stage failed on.
pub(crate) enum Disposition {
    /// It is lent again after this time.
    Retry(Duration),
    /// It is skipped, or was kept as a dead letter.
    Skip,
}

impl Recovery {
    /// `None` if the flow ends with the first failure of the stage, and no fault is injected.
    pub(crate) fn new(policy: Policy, injections: Vec<Injection>, control: &Control) -> Option<Box<Recovery>> {
        let needed = policy != Policy::default() || !injections.is_empty();
        needed.then(|| {
            Box::new(Recovery {
                policy,
                dead_letters: control.dead_letters.clone(),
                injections: PendingInjections::new(injections),
                retries: VecDeque::new(),
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

    /// Whether the policy lets the flow continue after this error of the stage.
    pub(crate) fn covers(&self, error: &Error) -> bool {
        let Error::Stage { source, .. } = error else { return false };
        self.policy != Policy::default()
            && match source {
                StageError::Failure(_)
                | StageError::Trap { .. }
                | StageError::Deadline { .. }
                | StageError::Memory { .. }
                | StageError::Budget(_) => true,
                StageError::CutOff
                | StageError::Fatal(_)
                | StageError::Start(_)
                | StageError::Link(_)
                | StageError::Replicas(_)
                | StageError::Contract(_) => false,
            }
    }

    /// The number of elements to lend again.
    pub(crate) fn waiting(&self) -> usize {
        self.retries.len()
    }

    /// The number of the first element of the next call; the node has taken `taken` elements so far.
    pub(crate) fn next(&self, taken: u64) -> Option<u64> {
        self.retries.front().map_or(Some(taken), |again| again.mark.number)
    }

    /// The number of the first element of the current call.
    pub(crate) fn first(&self) -> Option<u64> {
        self.marks.first().map_or(Some(self.first), |mark| mark.number)
    }

    /// Prepares a call that lends new elements, the first of which has the number `first`.
    pub(crate) fn lend_new(&mut self, first: u64) {
        self.marks.clear();
        self.first = first;
    }

    /// Moves elements to lend again into `batch`, which must be empty: at most `max_elements`, and at most `max_bytes` payload
    /// bytes unless the first element alone has more.
    pub(crate) fn retry_batch(&mut self, batch: &mut Batch, max_elements: usize, max_bytes: usize) {
        self.marks.clear();
        let mut bytes = 0;
        while let Some(next) = self.retries.front()
            && (batch.is_empty()
                || !next.is_alone && batch.len() < max_elements && bytes + next.element.payload.len() <= max_bytes)
        {
            let is_alone = next.is_alone;
            let Some(PendingRetry { element, mark, .. }) = self.retries.pop_front() else { break };
            bytes += element.payload.len();
            self.repeated.record(1, element.payload.len() as u64);
            self.marks.push(mark);
            batch.push(element);
            if is_alone {
                break;
            }
        }
    }

    /// How often each element of the next call was read before; empty if they are new.
    pub(crate) fn reads_before(&self) -> impl Iterator<Item = u32> {
        self.marks.iter().map(|mark| mark.reads)
    }

    /// What belongs to the current call, which lends new elements, while another call is made.
    pub(crate) fn set_aside(&self) -> AsideCall {
        AsideCall { first: self.first, before: self.before }
    }

    /// Continues with a call that was set aside.
    pub(crate) fn resume(&mut self, call: AsideCall) {
        self.lend_new(call.first);
        self.before = call.before;
    }

    /// Begins a call. The stage has copied `copies` so far.
    pub(crate) fn begin_call(&mut self, copies: Copies) {
        self.before = copies;
    }

    /// Notes that a call which lends no elements succeeded.
    pub(crate) fn succeed(&mut self) {
        self.attempts = 0;
    }

    /// Notes that a call succeeded but skipped elements.
    pub(crate) fn note_skips(&mut self) {
        self.used.calls += 1;
    }

    /// Notes that a call failed and the flow continues. The stage has copied `copies` so far.
    pub(crate) fn fail(&mut self, copies: Copies) {
        self.used.calls += 1;
        let (failed, before) = (&mut self.failed_copies, self.before);
        failed.payload_read += copies.payload_read.since(before.payload_read);
        failed.payload_write += copies.payload_write.since(before.payload_write);
        failed.metadata_marshal += copies.metadata_marshal.since(before.metadata_marshal);
        failed.host_serialize += copies.host_serialize.since(before.host_serialize);
    }

    /// When to retry a failed call that lends no elements; `None` if the policy does not retry it.
    pub(crate) fn retry_delay(&mut self, error: &Error) -> Option<Duration> {
        let returned = matches!(error, Error::Stage { source: StageError::Failure(_), .. });
        let retry = self.policy.retry.filter(|retry| returned && self.attempts < retry.count)?;
        self.attempts += 1;
        self.used.retries += 1;
        Some(retry.pause(self.attempts))
    }

    /// Decides what happens to the element at `index` of the batch, which the stage failed on.
    ///
    /// # Errors
    ///
    /// The failure, if the flow is to end with it; [`Error::DeadLetter`] if the element could not be kept.
    pub(crate) fn decide(
        &mut self,
        stage: &str,
        element: &Element,
        index: usize,
        error: Error,
    ) -> Result<Disposition, Error> {
        let attempt = self.mark(index).failed + 1;
        if let Some(retry) = self.policy.retry.filter(|retry| attempt <= retry.count) {
            self.used.retries += 1;
            return Ok(Disposition::Retry(retry.pause(attempt)));
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
        Ok(Disposition::Skip)
    }

    fn mark(&self, index: usize) -> Mark {
        let new = Mark { number: Some(self.first + index as u64), ..Mark::default() };
        if self.marks.is_empty() { new } else { self.marks[index] }
    }

    /// Queues what is to be lent next: first the held elements, then the unfinished part of the batch. If the failed element is
    /// unknown, each is lent alone until it is found; an element that the call copied is lent alone in any case. Returns how
    /// many elements count as not lent.
    pub(crate) fn put_back(&mut self, back: PutBack<'_>) -> u64 {
        let PutBack { held, rest, index, disposition } = back;
        let mut untouched = 0;
        let mut again = Vec::with_capacity(held.len() + rest.len());
        for (element, reads) in held {
            again.push(PendingRetry { element, mark: Mark { reads, ..Mark::default() }, is_alone: false });
        }
        for (place, (element, attempt)) in rest.into_iter().enumerate() {
            let failed_here = place == 0 && disposition.is_some();
            if failed_here && matches!(disposition, Some(Disposition::Skip)) {
                continue;
            }
            let mark = self.mark(index + place);
            let is_touched = mark.is_touched || attempt.is_touched || failed_here;
            untouched += u64::from(!attempt.is_touched && !failed_here);
            let mark = Mark { failed: mark.failed + u32::from(failed_here), reads: attempt.reads, is_touched, ..mark };
            again.push(PendingRetry { element, mark, is_alone: is_touched || disposition.is_none() });
        }
        if disposition.is_some() {
            // The failed element was among these: the search is over.
            self.retries.iter_mut().for_each(|again| again.is_alone = again.mark.is_touched);
        }
        again.into_iter().rev().for_each(|again| self.retries.push_front(again));
        untouched
    }
}
