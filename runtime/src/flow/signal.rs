//! Wakes the driver of a flow when a call on another thread has ended.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that one thread waits for and others set. It stays set until somebody has waited for it, so nothing is missed.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_set: bool,
    /// Whether a thread waits. If none does, nobody need be woken, which is a call of the system.
    is_awaited: bool,
}

impl Signal {
    /// Sets the flag, and wakes the thread that waits for it.
    pub(crate) fn set(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_set = true;
        if state.is_awaited {
            self.changed.notify_one();
        }
    }

    /// Waits until the flag is set, for at most this time, and clears it.
    pub(crate) fn wait(&self, time: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_awaited = true;
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = State::default();
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
