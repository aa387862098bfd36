//! An inspector that reads through a function pointer of a table; the configured `which` selects it.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsByPointer {
    reader: Reader,
}

impl Stage for ReadsByPointer {
    fn new(config: &Config) -> Result<Self, Failure> {
        let which: usize = config.parse("which")?.unwrap_or(0);
        Ok(ReadsByPointer { reader: READERS[which % READERS.len()] })
    }
}

type Reader = for<'a> fn(Element<'a, Inspector>) -> Result<usize, Failure>;

static READERS: [Reader; 3] = [never, once, twice];

fn never(element: Element<'_, Inspector>) -> Result<usize, Failure> {
    Ok(element.size() as usize)
}

fn once(element: Element<'_, Inspector>) -> Result<usize, Failure> {
    Ok(element.read()?.len())
}

fn twice(element: Element<'_, Inspector>) -> Result<usize, Failure> {
    Ok(once(element)? + once(element)?)
}

impl Processor<Inspector> for ReadsByPointer {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        if (self.reader)(element)? > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsByPointer: Processor<Inspector>);
