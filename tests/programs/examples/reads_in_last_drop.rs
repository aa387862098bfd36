//! An inspector that keeps an element beyond its call, and reads it when the stage itself is dropped.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsInLastDrop {
    last: Option<Element<'static, Inspector>>,
}

impl Stage for ReadsInLastDrop {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsInLastDrop { last: None })
    }
}

impl Drop for ReadsInLastDrop {
    fn drop(&mut self) {
        std::hint::black_box(self.last.take().and_then(|element| element.read().ok()));
    }
}

impl Processor<Inspector> for ReadsInLastDrop {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        // Not sound: the handle is no longer valid when it is used, which is what this tests.
        self.last =
            Some(unsafe { std::mem::transmute::<Element<'_, Inspector>, Element<'static, Inspector>>(element) });
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(ReadsInLastDrop: Processor<Inspector>);
