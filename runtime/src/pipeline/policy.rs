//! What becomes of an element that a stage fails at.

use std::fmt;
use std::time::Duration;

/// What becomes of an element that a stage fails at: it is given to the stage again, and where that does not help, what
/// `then` says.
///
/// It covers what a stage returns as a failure, unless it says that it cannot go on with any element; traps; and calls
/// that take too long, or want more than they may have. A stage that trapped or was stopped begins anew. A stage that
/// breaks the contract or cannot begin anew, and a payload that cannot be read, end the flow whatever the policy.
///
/// A call that lends no element, as `flush` and those of a source, has none to leave out: where it returns a failure, it is
/// made again as [`Policy::retry`] says, and after that the flow fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// How often it is given to the stage again, if it is.
    pub retry: Option<Retry>,
    /// What becomes of it after that.
    pub then: Then,
}

impl Policy {
    /// The most calls that lend one element to a stage and copy it, where a call is lent at most `batch` elements: each
    /// time that the stage may fail at it, and once more together with others.
    ///
    /// An element that a failed call copied together with others, and did not finish, is lent alone from then on; what such
    /// a call did not copy of an element costs nothing. What a stage holds is lent again whenever it restarts, so for a
    /// stage that holds elements there is no such number.
    pub fn calls(&self, batch: usize) -> u32 {
        if *self == Policy::default() {
            return 1;
        }
        let alone = self.retry.map_or(0, |retry| retry.count).saturating_add(1);
        alone.saturating_add(u32::from(batch > 1))
    }
}

/// How an element is given to a stage again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, after the first time.
    pub count: u32,
    /// How long the stage is left alone before the first of these; before each other one twice as long as before, up to
    /// [`Retry::LONGEST`].
    pub backoff: Duration,
}

/// What becomes of an element that its stage fails at for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// The flow fails.
    #[default]
    Stop,
    /// It is left out, and counted.
    Skip,
    /// It is given to [`Control::dead_letters`](crate::Control::dead_letters), and left out.
    DeadLetter,
}

impl Retry {
    /// The longest that a stage is left alone before an element is given to it again.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// How long the stage is left alone after it failed at an element for the `attempt`th time, from 1.
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
    fn an_element_is_copied_in_a_bounded_number_of_calls() {
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
