//! The clock that stops stages: the epochs of the engine, and how long the process stood still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

/// How often the clock that stops stages ticks. A call is stopped at the first tick after its limit.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch until the engine is gone. A thread of the operating system and no timer of a scheduler: a stage
/// that never returns must not be able to hold it up. Each tick has its own moment, so that what one tick is late by does
/// not add up over a call.
pub(crate) fn tick(engine: &EngineWeak) {
    let mut next = Instant::now() + TICK;
    while let Some(engine) = engine.upgrade() {
        // Before the epoch: who looks at the time because of it is to know.
        STOPPED.see(Instant::now());
        engine.increment_epoch();
        drop(engine);
        let now = Instant::now();
        while next <= now {
            next += TICK;
        }
        thread::sleep(next - now);
    }
}

/// How long the process stood still so far: from a terminal, say, until somebody had it go on. No call is to pay for that.
pub(crate) fn stopped() -> Duration {
    Duration::from_nanos(STOPPED.total.load(Ordering::Relaxed))
}

/// As [`stopped`], up to this moment: waits for the tick after it, or for what that takes on a busy machine.
pub(crate) fn stopped_until(now: Instant) -> Duration {
    let is_known = || STOPPED.seen.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|seen| seen >= now);
    let end = now + Stopped::LATE;
    while !is_known() && Instant::now() < end {
        thread::sleep(TICK / 2);
    }
    stopped()
}

/// An engine begins to tick, and none did before.
pub(crate) fn forget_pause() {
    STOPPED.forget();
}

static STOPPED: Stopped = Stopped { total: AtomicU64::new(0), seen: Mutex::new(None) };

/// Tells that the process stood still by the ticks that did not come. All engines have one, for there is one process.
struct Stopped {
    /// Nanoseconds.
    total: AtomicU64,
    /// When an engine last ticked.
    seen: Mutex<Option<Instant>>,
}

impl Stopped {
    /// No machine is so busy that a tick is as late as this.
    const LATE: Duration = Duration::from_secs(1);

    fn see(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = seen.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        if gap > Self::LATE {
            self.total.fetch_add(gap.as_nanos() as u64, Ordering::Relaxed);
        }
        *seen = Some(now);
    }

    /// There was no engine that could have ticked.
    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stood_still_is_told_by_ticks_that_did_not_come() {
        let stopped = Stopped { total: AtomicU64::new(0), seen: Mutex::new(None) };
        let (began, seconds) = (Instant::now(), Duration::from_secs_f64);
        for at in [5.0, 5.01, 5.5, 8.5, 8.51] {
            stopped.see(began + seconds(at));
        }
        stopped.forget();
        stopped.see(began + seconds(20.0));
        assert_eq!(stopped.total.load(Ordering::Relaxed), 3_000_000_000);
    }
}
