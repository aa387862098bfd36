//! Waits for components to be compiled, and names those that take long.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long to wait before naming a component.
const PATIENCE: Duration = Duration::from_secs(2);

/// The components that are being compiled.
pub(super) struct Waiting {
    names: Vec<Option<String>>,
    done: Receiver<usize>,
    began: Instant,
}

impl Waiting {
    /// Waits for components with these names. Call the returned function with the index of each component that is ready.
    pub(super) fn new(names: Vec<String>) -> (Waiting, impl Fn(usize) + Sync + Send) {
        let (sender, done) = mpsc::channel();
        let names = names.into_iter().map(Some).collect();
        // It does not matter whether anybody still waits.
        (Waiting { names, done, began: Instant::now() }, move |index| _ = sender.send(index))
    }

    /// Waits for all components, and calls `tell` once with the name of each that takes long.
    ///
    /// # Errors
    ///
    /// The error of `tell`.
    pub(super) fn wait(mut self, mut tell: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut is_reported = false;
        loop {
            let left = PATIENCE.saturating_sub(self.began.elapsed());
            let done = match is_reported {
                true => self.done.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.done.recv_timeout(left),
            };
            match done {
                Ok(index) => self.names[index] = None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    is_reported = true;
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

    /// The names that are reported when the `ready` components are ready at once and the others `after` a time.
    fn named_components(names: &[&str], ready: &[usize], after: Duration) -> Vec<String> {
        let (waiting, done) = Waiting::new(names.iter().map(ToString::to_string).collect());
        let mut named = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                ready.iter().for_each(|index| done(*index));
                thread::sleep(after);
                (0..names.len()).for_each(done);
            });
            let tell = |name: &str| {
                named.push(name.to_string());
                Ok(())
            };
            waiting.wait(tell).unwrap();
        });
        named
    }

    #[test]
    fn names_slow_components_once() {
        assert_eq!(named_components(&["a", "b"], &[], Duration::ZERO), [""; 0]);
        assert_eq!(named_components(&["a", "b", "c"], &[1], PATIENCE * 2), ["a", "c"]);
    }
}
