//! The time that a flow and its stages go by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time that a flow and its stages go by: that of the system, or one that goes on only where a flow waits.
///
/// The limit of a call is always held to by the time of the system. A clock is for one flow.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Virtual>>);

#[derive(Debug)]
struct Virtual {
    /// Stands for the time it begins at.
    base: Instant,
    /// Nanoseconds since, up to [`Clock::END`].
    elapsed: AtomicU64,
    /// The time of day that it was last set to, in nanoseconds since the Unix epoch.
    set_to: AtomicU64,
    /// What had elapsed then.
    set_at: AtomicU64,
}

impl Clock {
    /// Nanoseconds after which a time of its own goes on no more: 292 years.
    pub(crate) const END: u64 = u64::MAX >> 1;

    /// The time of the system.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A time of its own, which begins at `unix_ns` nanoseconds after the Unix epoch.
    pub fn virtual_from(unix_ns: u64) -> Clock {
        let (elapsed, set_at) = Default::default();
        Clock(Some(Arc::new(Virtual { base: Instant::now(), elapsed, set_to: unix_ns.into(), set_at })))
    }

    /// Whether it is a time of its own.
    pub fn is_virtual(&self) -> bool {
        self.0.is_some()
    }

    /// Now, to reckon with.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(own) => own.base + Duration::from_nanos(own.elapsed()),
        }
    }

    /// Now, in nanoseconds since the Unix epoch.
    pub fn unix_ns(&self) -> u64 {
        match &self.0 {
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
            Some(own) => {
                let since = own.elapsed().saturating_sub(own.set_at.load(Ordering::Relaxed));
                own.set_to.load(Ordering::Relaxed).saturating_add(since)
            }
        }
    }

    /// Sets a time of its own to another time of day, as somebody sets the system's: no time goes by. That of the system
    /// stays as it is.
    pub fn set(&self, unix_ns: u64) {
        if let Some(own) = &self.0 {
            own.set_at.store(own.elapsed(), Ordering::Relaxed);
            own.set_to.store(unix_ns, Ordering::Relaxed);
        }
    }

    /// Lets this much time go by: the system's is waited for.
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

    /// The moment so long after another, or the last that this clock gets to.
    pub(crate) fn after(&self, from: Instant, time: Duration) -> Instant {
        let base = self.0.as_ref().map_or(from, |own| own.base);
        let end = base + Duration::from_nanos(Self::END);
        from.checked_add(time).map_or(end, |at| at.min(end))
    }

    /// What has elapsed of a time of its own, in nanoseconds; `None` where it is the system's.
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
    fn a_time_of_its_own_goes_on_where_it_is_waited_for() {
        let clock = Clock::virtual_from(5_000_000_000);
        let (before, other) = (clock.now(), clock.clone());
        assert_eq!((clock.unix_ns(), clock.now()), (5_000_000_000, before));
        other.wait(HOUR);
        assert_eq!((clock.unix_ns(), clock.now()), (3_605_000_000_000, before + HOUR));
        let last = clock.after(clock.now(), Duration::MAX);
        (0..3).for_each(|_| clock.wait(Duration::MAX));
        assert_eq!((clock.now(), clock.after(last, HOUR)), (last, last), "it gets to the last moment, and no further");
    }

    #[test]
    fn setting_it_lets_no_time_go_by() {
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
    fn the_time_of_the_system() {
        let clock = Clock::system();
        let (before, unix) = (Instant::now(), clock.unix_ns());
        clock.wait(Duration::from_millis(2));
        clock.set(0);
        assert!(clock.now() - before >= Duration::from_millis(2));
        assert!(clock.unix_ns() - unix >= 1_000_000 && !clock.is_virtual());
        assert_eq!(clock.after(before, HOUR), before + HOUR);
    }
}
