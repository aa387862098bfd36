//! What becomes of an element that a stage fails at.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::element::Element;
use crate::error::Error;

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

/// An element that a stage failed at for good.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The stage.
    pub stage: &'a str,
    /// What it was given.
    pub element: &'a Element,
    /// How it failed the last time.
    pub error: &'a Error,
    /// How often it failed at the element, from 1. Calls count that it was alone in, or that said that it was this one.
    pub attempt: u32,
}

/// Takes the elements that stages failed at for good. What it returns as an error ends the flow. It must not keep an
/// element, whose payload would still be held when the flow has ended.
pub type DeadLetters = Arc<dyn Fn(DeadLetter<'_>) -> io::Result<()> + Send + Sync>;

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
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { count: u32::MAX, backoff: Duration::from_secs(7) };
        let pauses: Vec<_> = (1..=6).map(|attempt| retry.pause(attempt).as_secs()).collect();
        assert_eq!(pauses, [7, 14, 28, 56, 60, 60]);
        assert_eq!(retry.pause(u32::MAX), Retry::LONGEST);
        assert_eq!(Retry { count: 1, backoff: Duration::ZERO }.pause(3), Duration::ZERO);
    }
}
