//! An inspector that reads through a trait object: twice if the configured `how` is `twice`, otherwise not at all.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsByDyn {
    reader: Box<dyn Reader>,
}

impl Stage for ReadsByDyn {
    fn new(config: &Config) -> Result<Self, Failure> {
        let twice = config.get("how") == Some("twice");
        Ok(ReadsByDyn { reader: if twice { Box::new(Twice) } else { Box::new(Never) } })
    }
}

trait Reader {
    fn read(&self, element: Element<'_, Inspector>) -> Result<usize, Failure>;
}

struct Twice;

impl Reader for Twice {
    fn read(&self, element: Element<'_, Inspector>) -> Result<usize, Failure> {
        Ok(element.read()?.len() + element.read()?.len())
    }
}

struct Never;

impl Reader for Never {
    fn read(&self, element: Element<'_, Inspector>) -> Result<usize, Failure> {
        Ok(element.size() as usize)
    }
}

impl Processor<Inspector> for ReadsByDyn {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        if self.reader.read(element)? > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsByDyn: Processor<Inspector>);
