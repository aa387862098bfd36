//! [`Injection`]: a fault that a test injects into a stage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A fault that is injected into a stage when it is lent a certain element. That element is alone in its call.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The element: the number of the element among those that the stage is lent, or that a source makes, from 0. A
    /// retried element keeps its number. A held element that is lent again after the stage restarts no longer has one.
    pub element: u64,
    /// How often the fault is injected, if the stage is lent the element that often.
    pub times: u32,
    /// The fault.
    pub what: InjectedFault,
    /// How often the fault was injected so far.
    count: Arc<AtomicU32>,
}

/// What happens to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedFault {
    /// The stage traps at the start of the call.
    Trap,
    /// The call times out at its start.
    Deadline,
    /// During the call, the stage is refused more memory, and more payload memory.
    Allocation,
    /// The call is not made, and fails as if the stage had returned this.
    Failure(FailureKind),
    /// The call is delayed by this time. Other stages are not delayed.
    Pause(Duration),
}

/// A failure that a stage can return, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The element is not valid input for the stage.
    InvalidInput,
    /// Something outside the flow is not available now.
    Unavailable,
    /// The stage is at fault.
    Internal,
    /// The call timed out.
    DeadlineExceeded,
    /// The stage cannot process any further element.
    Fatal,
}

impl Injection {
    /// Injects `what` the first `times` times that the stage is lent the element.
    pub fn new(element: u64, times: u32, what: InjectedFault) -> Injection {
        Injection { element, times, what, count: Arc::default() }
    }

    /// How often the fault was injected so far, by this injection and all its clones.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts an injection.
    pub(crate) fn record(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}
