//! An inspector that reads an element again until its own counter says that it is enough.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsAgain {
    reads: u64,
}

impl Stage for ReadsAgain {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsAgain { reads: 0 })
    }
}

impl Processor<Inspector> for ReadsAgain {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        loop {
            let payload = element.read()?;
            self.reads += payload.len().max(1) as u64;
            if self.reads > 7 {
                self.reads -= 7;
                break;
            }
        }
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(ReadsAgain: Processor<Inspector>);
