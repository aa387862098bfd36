//! The time that a flow and its stages go by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time that a flow and its stages go by: that of the system, or one that goes on only where a flow waits.
///
/// The limit of a call is always held to by the time of the system.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Virtual>>);

#[derive(Debug)]
struct Virtual {
    /// Stands for the time it begins at.
    base: Instant,
    /// That time, in nanoseconds since the Unix epoch.
    begins: u64,
    /// Nanoseconds since.
    elapsed: AtomicU64,
}

impl Clock {
    /// The time of the system.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A time of its own, which begins at `unix_ns` nanoseconds after the Unix epoch.
    pub fn virtual_from(unix_ns: u64) -> Clock {
        Clock(Some(Arc::new(Virtual { base: Instant::now(), begins: unix_ns, elapsed: AtomicU64::new(0) })))
    }

    /// Whether it is a time of its own.
    pub fn is_virtual(&self) -> bool {
        self.0.is_some()
    }

    /// Now, to reckon with.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(own) => own.base + Duration::from_nanos(own.elapsed.load(Ordering::Relaxed)),
        }
    }

    /// Now, in nanoseconds since the Unix epoch.
    pub fn unix_ns(&self) -> u64 {
        match &self.0 {
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
            Some(own) => own.begins.saturating_add(own.elapsed.load(Ordering::Relaxed)),
        }
    }

    /// Lets this much time go by: the system's is waited for.
    pub fn wait(&self, time: Duration) {
        match &self.0 {
            None => thread::sleep(time),
            Some(own) => {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let add = |elapsed: u64| Some(elapsed.saturating_add(time).min(u64::MAX >> 1));
                _ = own.elapsed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_its_own_goes_on_where_it_is_waited_for() {
        let (clock, hour) = (Clock::virtual_from(5_000_000_000), Duration::from_secs(3600));
        let (before, other) = (clock.now(), clock.clone());
        assert_eq!((clock.unix_ns(), clock.now()), (5_000_000_000, before));
        other.wait(hour);
        assert_eq!((clock.unix_ns(), clock.now()), (3_605_000_000_000, before + hour));
        (0..3).for_each(|_| clock.wait(Duration::MAX));
        assert_eq!(clock.now(), before + Duration::from_nanos(u64::MAX >> 1));
    }

    #[test]
    fn the_time_of_the_system() {
        let clock = Clock::system();
        let (before, unix) = (Instant::now(), clock.unix_ns());
        clock.wait(Duration::from_millis(2));
        assert!(clock.now() - before >= Duration::from_millis(2));
        assert!(clock.unix_ns() - unix >= 1_000_000 && !clock.is_virtual());
    }
}
