//! The ticks that stop stages: they advance the engine's epoch, and detect that the process was suspended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

/// The tick interval. A call is stopped at the first tick after its limit.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch until the engine is gone. This runs on a thread of its own, not on a scheduler's timer, because a stage
/// that never returns must not delay it. Each tick has its own due time, so that delays do not add up over a call.
pub(crate) fn tick(engine: &EngineWeak) {
    let mut next = Instant::now() + TICK;
    while let Some(engine) = engine.upgrade() {
        // Before the epoch: whoever reads the time because of the new epoch must know of the suspension.
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

/// How long the process was suspended so far, for example from a terminal. No call has to pay for that time.
pub(crate) fn stopped() -> Duration {
    Duration::from_nanos(STOPPED.total.load(Ordering::Relaxed))
}

/// As [`stopped`], including all time up to `now`: waits for the next tick, for at most a second.
pub(crate) fn stopped_until(now: Instant) -> Duration {
    let is_known = || STOPPED.seen.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|seen| seen >= now);
    let end = now + Stopped::LATE;
    while !is_known() && Instant::now() < end {
        thread::sleep(TICK / 2);
    }
    stopped()
}

/// Forgets the last tick when the first engine starts: without an engine there were no ticks.
pub(crate) fn forget_pause() {
    STOPPED.forget();
}

static STOPPED: Stopped = Stopped { total: AtomicU64::new(0), seen: Mutex::new(None) };

/// Measures suspensions of the process by missing ticks. There is one for all engines, as there is one process.
struct Stopped {
    /// Nanoseconds of suspension.
    total: AtomicU64,
    /// The last tick of any engine.
    seen: Mutex<Option<Instant>>,
}

impl Stopped {
    /// A tick that is later than this means that the process was suspended: no machine is so busy.
    const LATE: Duration = Duration::from_secs(1);

    fn see(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = seen.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        if gap > Self::LATE {
            self.total.fetch_add(gap.as_nanos() as u64, Ordering::Relaxed);
        }
        *seen = Some(now);
    }

    /// Forgets the last tick, because no engine has ticked since.
    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_suspension_by_missing_ticks() {
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
