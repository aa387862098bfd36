//! An inspector that panics at `poison`, by its size, and reads only in the panic hook.

use std::cell::Cell;

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsInHook;

impl Stage for ReadsInHook {
    fn new(_: &Config) -> Result<Self, Failure> {
        std::panic::set_hook(Box::new(|_| read_last()));
        Ok(ReadsInHook)
    }
}

thread_local! {
    static LAST: Cell<Option<Element<'static, Inspector>>> = const { Cell::new(None) };
}

fn read_last() {
    if let Some(element) = LAST.take() {
        eprintln!("{}", String::from_utf8_lossy(&element.read().unwrap_or_default()));
    }
}

impl Processor<Inspector> for ReadsInHook {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        // Not sound, but the hook runs within the call that lends the element.
        LAST.set(Some(unsafe { std::mem::transmute::<Element<'_, Inspector>, Element<'static, Inspector>>(element) }));
        if element.size() == 6 {
            panic!("a poisoned element");
        }
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(ReadsInHook: Processor<Inspector>);
