//! Faults that a test has a stage suffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A fault that a stage suffers at an element. That element is alone in its call.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The element that it is given, or that it makes where it is a source, counted from 0. One that it is given again
    /// has the number that it had; one that it held, and is given again when it begins anew, has none any more.
    pub element: u64,
    /// How often, if it is given the element as often.
    pub times: u32,
    /// What happens.
    pub what: InjectedFault,
    /// How often it happened.
    happened: Arc<AtomicU32>,
}

/// What happens to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedFault {
    /// It traps where it enters the call.
    Trap,
    /// It is stopped where it enters the call, as one whose time is over.
    Deadline,
    /// It is refused more memory, and more payload memory, during the call.
    Allocation,
    /// The call is not made, and fails as if the stage had returned this.
    Failure(FailureKind),
    /// The call is made this much later. What others do meanwhile is not held up.
    Pause(Duration),
}

/// What a stage can return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The element is not what the stage takes.
    InvalidInput,
    /// Something outside is not there now.
    Unavailable,
    /// The stage is at fault.
    Internal,
    /// It took too long.
    DeadlineExceeded,
    /// It cannot go on with any element.
    Fatal,
}

impl Injection {
    /// `what` happens at this element the first so many times that the stage is given it.
    pub fn new(element: u64, times: u32, what: InjectedFault) -> Injection {
        Injection { element, times, what, happened: Arc::default() }
    }

    /// How often it happened so far, to this one and all that were cloned of it.
    pub fn happened(&self) -> u32 {
        self.happened.load(Ordering::Relaxed)
    }

    /// It happens.
    pub(crate) fn strike(&self) {
        self.happened.fetch_add(1, Ordering::Relaxed);
    }
}
