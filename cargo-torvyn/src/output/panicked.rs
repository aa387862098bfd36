//! Turns a panic into an internal error, so that machine-readable output still ends with a summary.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

use crate::exit::{Exit, Stop};
use crate::output::failure;

/// The message and place of the first panic of the process. A later panic of another thread may be only its consequence.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// Installs a panic hook that records the first panic of any thread. Panics are still printed.
pub(crate) fn install_hook() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, |place| format!(", at {place}"));
        let first = format!("{}{place}", message(info.payload()));
        FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(first);
        print(info);
    }));
}

/// Runs a closure and turns a panic into an error.
///
/// # Errors
///
/// The errors of the closure, and a [`Stop`] for a panic.
pub(crate) fn catch_panic<T>(done: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(done)).unwrap_or_else(|payload| {
        let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cause = anyhow!(first.unwrap_or_else(|| message(&*payload)));
        let stop = Stop::new(Exit::Failed, "internal error: `cargo torvyn` panicked");
        let stop = stop.code(failure::INTERNAL_ERROR);
        Err(cause.context(stop.help("please report it, with the command line and the files that it ran on")))
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::failure::FailureRecord;

    #[test]
    fn panic_becomes_an_internal_error() {
        assert_eq!(catch_panic(|| Ok(7)).unwrap(), 7);
        let error = catch_panic(|| -> anyhow::Result<()> { panic!("{} is too many", 8) }).unwrap_err();
        assert_eq!(Exit::from_error(&error), Exit::Failed);
        let record = FailureRecord::from_error(&error);
        assert_eq!((record.code, &record.causes[..]), ("internal-error", &["8 is too many".to_string()][..]));
        assert!(record.help.is_some());
    }
}
