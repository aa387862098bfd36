//! An inspector that reads again when the guard of its first read is dropped.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsInDrop;

impl Stage for ReadsInDrop {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsInDrop)
    }
}

struct Guard<'a>(Element<'a, Inspector>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        std::hint::black_box(self.0.read().ok());
    }
}

impl Processor<Inspector> for ReadsInDrop {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        let guard = Guard(element);
        if guard.0.read()?.is_empty() {
            return Ok(());
        }
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(ReadsInDrop: Processor<Inspector>);
