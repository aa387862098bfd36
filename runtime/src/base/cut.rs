//! The end of a flow that is not waited for: what is still under way then is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// How often something that waits looks whether it is cut off.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Cuts a flow off: calls of stages are interrupted, and whatever waits gives up, within about 50 ms. Clones share the
/// flag.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    now: Arc<AtomicBool>,
    at: Option<Instant>,
}

impl Cut {
    /// Is due once `now` is set.
    pub fn new(now: Arc<AtomicBool>) -> Cut {
        Cut { now, at: None }
    }

    /// Is due at this moment of the system's time too, if not before.
    #[must_use]
    pub fn at(self, at: Instant) -> Cut {
        Cut { at: Some(self.at.map_or(at, |earlier| earlier.min(at))), ..self }
    }

    /// Cuts off, from now on.
    pub fn now(&self) {
        self.now.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to give up. Reads the clock only where there is a moment to compare with.
    pub fn is_due(&self) -> bool {
        self.now.load(Ordering::Relaxed) || self.at.is_some_and(|at| at <= Instant::now())
    }

    /// As [`Cut::is_due`], by a clock that was read a moment ago.
    pub(crate) fn was_due(&self, now: Instant) -> bool {
        self.now.load(Ordering::Relaxed) || self.at.is_some_and(|at| at <= now)
    }
}

/// Something was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was interrupted, because the flow had to end")
    }
}

impl std::error::Error for CutOff {}

impl CutOff {
    /// Whether an error says so.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<CutOff>())
    }
}

impl From<CutOff> for io::Error {
    fn from(cut_off: CutOff) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, cut_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_due_when_it_is_set_or_its_moment_has_come() {
        let cut = Cut::default();
        let (late, past) = (Instant::now() + Duration::from_secs(3600), Instant::now());
        assert!(!cut.is_due() && !cut.clone().at(late).is_due());
        assert!(cut.clone().at(late).at(past).is_due() && cut.clone().at(past).at(late).is_due());
        let clone = cut.clone().at(late);
        cut.now();
        assert!(clone.is_due() && clone.was_due(past));
        assert!(CutOff::is(&CutOff.into()) && !CutOff::is(&io::ErrorKind::TimedOut.into()));
    }
}
