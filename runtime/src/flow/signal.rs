//! Wakes the driver of a flow when a call on another thread has ended.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that one thread waits for and others set. It stays set until somebody has waited for it, so nothing is missed.
#[derive(Default)]
pub(crate) struct Signal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Sets the flag, and wakes the thread that waits for it.
    pub(crate) fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until the flag is set, for at most this time, and clears it.
    pub(crate) fn wait(&self, time: Duration) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_set, time, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn waits_until_it_is_set() {
        let signal = Arc::new(Signal::default());
        signal.set();
        let (began, long) = (Instant::now(), Duration::from_secs(60));
        signal.wait(long);
        let other = signal.clone();
        let thread = std::thread::spawn(move || other.set());
        signal.wait(long);
        thread.join().unwrap();
        assert!(began.elapsed() < long);
        let began = Instant::now();
        signal.wait(Duration::from_millis(5));
        assert!(began.elapsed() >= Duration::from_millis(5), "the flag was cleared");
    }
}
