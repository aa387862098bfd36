//! The clock of a flow and its stages: the system's, or a virtual one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of one flow and its stages: the system's, or a virtual one, which advances only when the flow waits.
///
/// The time limit of a call is always measured with the system clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Virtual>>);

#[derive(Debug)]
struct Virtual {
    /// Stands for the time at which the clock starts.
    base: Instant,
    /// Nanoseconds since the start, up to [`Clock::END`].
    elapsed: AtomicU64,
    /// The wall-clock time that was last set, in nanoseconds since the Unix epoch.
    set_to: AtomicU64,
    /// The value of `elapsed` when it was set.
    set_at: AtomicU64,
}

impl Clock {
    /// Nanoseconds after which a virtual clock stops advancing: 292 years.
    pub(crate) const END: u64 = u64::MAX >> 1;

    /// The system clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A virtual clock that starts at `unix_ns` nanoseconds after the Unix epoch.
    pub fn virtual_from(unix_ns: u64) -> Clock {
        let (elapsed, set_at) = Default::default();
        Clock(Some(Arc::new(Virtual { base: Instant::now(), elapsed, set_to: unix_ns.into(), set_at })))
    }

    /// Whether this is a virtual clock.
    pub fn is_virtual(&self) -> bool {
        self.0.is_some()
    }

    /// The current monotonic time.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(own) => own.base + Duration::from_nanos(own.elapsed()),
        }
    }

    /// The current wall-clock time, in nanoseconds since the Unix epoch.
    pub fn unix_ns(&self) -> u64 {
        match &self.0 {
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
            Some(own) => {
                let since = own.elapsed().saturating_sub(own.set_at.load(Ordering::Relaxed));
                own.set_to.load(Ordering::Relaxed).saturating_add(since)
            }
        }
    }

    /// Sets the wall-clock time of a virtual clock; its monotonic time does not advance. Does nothing to the system
    /// clock.
    pub fn set(&self, unix_ns: u64) {
        if let Some(own) = &self.0 {
            own.set_at.store(own.elapsed(), Ordering::Relaxed);
            own.set_to.store(unix_ns, Ordering::Relaxed);
        }
    }

    /// Waits: advances a virtual clock at once, sleeps with the system clock.
    pub fn wait(&self, time: Duration) {
        match &self.0 {
            None => thread::sleep(time),
            Some(own) => {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let add = |elapsed: u64| Some(elapsed.saturating_add(time).min(Self::END));
                _ = own.elapsed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            }
        }
    }

    /// `from` plus `time`, or the last time that this clock reaches if that is earlier.
    pub(crate) fn after(&self, from: Instant, time: Duration) -> Instant {
        let base = self.0.as_ref().map_or(from, |own| own.base);
        let end = base + Duration::from_nanos(Self::END);
        from.checked_add(time).map_or(end, |at| at.min(end))
    }

    /// Nanoseconds since the start of a virtual clock; `None` for the system clock.
    pub(crate) fn elapsed_ns(&self) -> Option<u64> {
        self.0.as_ref().map(|own| own.elapsed())
    }
}

impl Virtual {
    fn elapsed(&self) -> u64 {
        self.elapsed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn virtual_clock_advances_by_waits_only() {
        let clock = Clock::virtual_from(5_000_000_000);
        let (before, other) = (clock.now(), clock.clone());
        assert_eq!((clock.unix_ns(), clock.now()), (5_000_000_000, before));
        other.wait(HOUR);
        assert_eq!((clock.unix_ns(), clock.now()), (3_605_000_000_000, before + HOUR));
        let last = clock.after(clock.now(), Duration::MAX);
        (0..3).for_each(|_| clock.wait(Duration::MAX));
        assert_eq!((clock.now(), clock.after(last, HOUR)), (last, last), "the clock stops at its end");
    }

    #[test]
    fn setting_the_wall_clock_does_not_advance_time() {
        let clock = Clock::virtual_from(u64::MAX);
        clock.wait(HOUR);
        let now = clock.now();
        assert_eq!(clock.unix_ns(), u64::MAX);
        for unix_ns in [7, 0, 3_605_000_000_000] {
            clock.set(unix_ns);
            assert_eq!((clock.unix_ns(), clock.now()), (unix_ns, now));
        }
        clock.wait(HOUR);
        assert_eq!((clock.unix_ns(), clock.now()), (7_205_000_000_000, now + HOUR));
    }

    #[test]
    fn system_clock_waits_and_cannot_be_set() {
        let clock = Clock::system();
        let (before, unix) = (Instant::now(), clock.unix_ns());
        clock.wait(Duration::from_millis(2));
        clock.set(0);
        assert!(clock.now() - before >= Duration::from_millis(2));
        assert!(clock.unix_ns() - unix >= 1_000_000 && !clock.is_virtual());
        assert_eq!(clock.after(before, HOUR), before + HOUR);
    }
}
