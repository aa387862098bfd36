//! Cuts a flow off: interrupts the calls and waits that are still under way when the flow must end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// How often a wait checks whether it is cut off.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Cuts a flow off: within about 50 ms, calls of stages are interrupted and waits give up. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    now: Arc<AtomicBool>,
    /// Another flag that makes it due.
    or: Option<Arc<AtomicBool>>,
    at: Option<Instant>,
}

impl Cut {
    /// A cut that is due once `now` is set.
    pub fn new(now: Arc<AtomicBool>) -> Cut {
        Cut { now, or: None, at: None }
    }

    /// Also due at this time of the system clock, unless it is due earlier.
    #[must_use]
    pub fn at(self, at: Instant) -> Cut {
        Cut { at: Some(self.at.map_or(at, |earlier| earlier.min(at))), ..self }
    }

    /// Also due once `or` is set.
    pub(crate) fn or(self, or: Arc<AtomicBool>) -> Cut {
        Cut { or: Some(or), ..self }
    }

    /// Makes it due, for all clones.
    pub fn now(&self) {
        self.now.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to give up. Reads the clock only if there is a time to compare with.
    pub fn is_due(&self) -> bool {
        self.is_set() || self.at.is_some_and(|at| at <= Instant::now())
    }

    /// As [`Cut::is_due`], with a clock value that was read just before.
    pub(crate) fn was_due(&self, now: Instant) -> bool {
        self.is_set() || self.at.is_some_and(|at| at <= now)
    }

    fn is_set(&self) -> bool {
        self.now.load(Ordering::Relaxed) || self.or.as_ref().is_some_and(|or| or.load(Ordering::Relaxed))
    }
}

/// A call or a wait was interrupted because its flow had to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted because the flow had to end")
    }
}

impl std::error::Error for CutOff {}

impl CutOff {
    /// Whether `error` is a `CutOff`.
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
    fn is_due_when_set_or_when_its_time_has_come() {
        let cut = Cut::default();
        let (late, past) = (Instant::now() + Duration::from_secs(3600), Instant::now());
        assert!(!cut.is_due() && !cut.clone().at(late).is_due());
        assert!(cut.clone().at(late).at(past).is_due() && cut.clone().at(past).at(late).is_due());
        let clone = cut.clone().at(late);
        cut.now();
        assert!(clone.is_due() && clone.was_due(past));
        let or = Arc::new(AtomicBool::new(false));
        let (cut, other) = (Cut::default(), Cut::default().or(or.clone()));
        or.store(true, Ordering::Relaxed);
        assert!(other.is_due() && other.was_due(past) && !cut.is_due());
        assert!(CutOff::is(&CutOff.into()) && !CutOff::is(&io::ErrorKind::TimedOut.into()));
    }
}
