//! A panic, which is an internal error, as an error like any other: what programs read still comes to its end.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

use crate::exit::{Exit, Stop};
use crate::output::failure;

/// The first panic of the process, and where it was. A thread that panicked later may only say that another did.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// Remembers panics from now on, of all threads. They are still printed.
pub(crate) fn remember() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, |place| format!(", at {place}"));
        let first = format!("{}{place}", message(info.payload()));
        FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(first);
        print(info);
    }));
}

/// Does something, and makes an error of a panic.
///
/// # Errors
///
/// Those of what is done, and a [`Stop`] for a panic.
pub(crate) fn caught<T>(done: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(done)).unwrap_or_else(|payload| {
        let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cause = anyhow!(first.unwrap_or_else(|| message(&*payload)));
        let stop = Stop::new(Exit::Failed, "`cargo torvyn` panicked, which is an internal error");
        let stop = stop.code(failure::INTERNAL_ERROR);
        Err(cause.context(stop.help("please report it, with the command and what it was run on")))
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::failure::FailureRecord;

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(caught(|| Ok(7)).unwrap(), 7);
        let error = caught(|| -> anyhow::Result<()> { panic!("{} is too many", 8) }).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Failed);
        let record = FailureRecord::of(&error);
        assert_eq!((record.code, &record.causes[..]), ("internal-error", &["8 is too many".to_string()][..]));
        assert!(record.help.is_some());
    }
}
