//! [`Policy`]: what happens to an element that a stage fails on.

use std::fmt;
use std::time::Duration;

/// What happens to an element that a stage fails on: it is retried, and if that does not help, `then` applies.
///
/// The policy covers failures that a stage returns (except `fatal`), traps, and calls that exceed a limit or a budget.
/// A stage that trapped or was stopped restarts. Whatever the policy, the flow fails if a stage breaks the contract or
/// cannot restart, or if a payload cannot be read.
///
/// Calls that lend no element (`flush`, and all calls of a source) have no element to skip: a failed call is retried as
/// [`Policy::retry`] says, and then the flow fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// How often the element is retried, if at all.
    pub retry: Option<Retry>,
    /// What happens to the element after the last retry.
    pub then: Then,
}

impl Policy {
    /// The most calls that lend one element to a stage and copy it, if a call is lent at most `batch` elements: one for
    /// each time that the stage may fail on it, and one more together with other elements.
    ///
    /// An element that a failed call copied together with others, and did not finish, is lent alone from then on. A
    /// call that did not copy the element does not count. Held elements are lent again whenever the stage restarts, so
    /// for a stage that holds elements there is no such bound.
    pub fn calls(&self, batch: usize) -> u32 {
        if *self == Policy::default() {
            return 1;
        }
        let alone = self.retry.map_or(0, |retry| retry.count).saturating_add(1);
        alone.saturating_add(u32::from(batch > 1))
    }
}

/// How an element is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The most retries after the first attempt.
    pub count: u32,
    /// The pause before the first retry. It doubles with each retry, up to [`Retry::LONGEST`].
    pub backoff: Duration,
}

/// What happens to an element after the last retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// The flow fails.
    #[default]
    Stop,
    /// The element is skipped, and counted.
    Skip,
    /// The element is passed to [`Control::dead_letters`](crate::Control::dead_letters), and skipped.
    DeadLetter,
}

impl Retry {
    /// The longest pause before a retry.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// The pause after the stage failed on an element for the `attempt`th time, from 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let doubled = 2u32.checked_pow(attempt.saturating_sub(1)).and_then(|times| self.backoff.checked_mul(times));
        doubled.map_or(Self::LONGEST, |pause| pause.min(Self::LONGEST))
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Then::Stop => "stop",
            Then::Skip => "skip",
            Then::DeadLetter => "dead-letter",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_the_calls_that_copy_an_element() {
        let policy = |count, then| Policy { retry: Some(Retry { count, backoff: Duration::ZERO }), then };
        assert_eq!([1, 64].map(|batch| Policy::default().calls(batch)), [1, 1]);
        let skip = Policy { retry: None, then: Then::Skip };
        assert_eq!([1, 64].map(|batch| skip.calls(batch)), [1, 2]);
        assert_eq!([1, 2, 64].map(|batch| policy(2, Then::Stop).calls(batch)), [3, 4, 4]);
        assert_eq!(policy(u32::MAX, Then::Skip).calls(64), u32::MAX);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { count: u32::MAX, backoff: Duration::from_secs(7) };
        let pauses: Vec<_> = (1..=6).map(|attempt| retry.pause(attempt).as_secs()).collect();
        assert_eq!(pauses, [7, 14, 28, 56, 60, 60]);
        assert_eq!(retry.pause(u32::MAX), Retry::LONGEST);
        assert_eq!(Retry { count: 1, backoff: Duration::ZERO }.pause(3), Duration::ZERO);
    }
}
