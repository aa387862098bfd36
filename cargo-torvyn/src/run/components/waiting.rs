//! What a person is told while components are compiled: nothing, unless it takes long.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// After so long a person wonders what is going on.
const LONG: Duration = Duration::from_secs(2);

/// Components that are being compiled.
pub(super) struct Waiting {
    names: Vec<Option<String>>,
    done: Receiver<usize>,
    began: Instant,
}

impl Waiting {
    /// Of components with these names; the function is to be called with the index of each that is ready.
    pub(super) fn new(names: Vec<String>) -> (Waiting, impl Fn(usize) + Sync + Send) {
        let (sender, done) = mpsc::channel();
        let names = names.into_iter().map(Some).collect();
        // Whether anybody still waits makes no difference.
        (Waiting { names, done, began: Instant::now() }, move |index| _ = sender.send(index))
    }

    /// Waits for all of them, and calls `tell` with the name of each that is not ready after a while.
    ///
    /// # Errors
    ///
    /// What `tell` returns.
    pub(super) fn wait(mut self, mut tell: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut is_told = false;
        loop {
            let left = LONG.saturating_sub(self.began.elapsed());
            let done = match is_told {
                true => self.done.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.done.recv_timeout(left),
            };
            match done {
                Ok(index) => self.names[index] = None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    is_told = true;
                    self.names.iter().flatten().try_for_each(|name| tell(name))?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Components with these names, of which some are ready after so long.
    fn told(names: &[&str], ready: &[usize], after: Duration) -> Vec<String> {
        let (waiting, done) = Waiting::new(names.iter().map(ToString::to_string).collect());
        let mut told = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                ready.iter().for_each(|index| done(*index));
                thread::sleep(after);
                (0..names.len()).for_each(done);
            });
            let tell = |name: &str| {
                told.push(name.to_string());
                Ok(())
            };
            waiting.wait(tell).unwrap();
        });
        told
    }

    #[test]
    fn what_takes_long_is_told_once() {
        assert_eq!(told(&["a", "b"], &[], Duration::ZERO), [""; 0]);
        assert_eq!(told(&["a", "b", "c"], &[1], LONG * 2), ["a", "c"]);
    }
}
