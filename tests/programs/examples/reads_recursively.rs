//! An inspector that reads an element once for each of its bytes, by recursion.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct ReadsRecursively;

impl Stage for ReadsRecursively {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ReadsRecursively)
    }
}

fn read_down(element: Element<'_, Inspector>, depth: u64) -> Result<usize, Failure> {
    let read = element.read()?.len();
    Ok(read + if depth > 1 { read_down(element, std::hint::black_box(depth - 1))? } else { 0 })
}

impl Processor<Inspector> for ReadsRecursively {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        if read_down(element, element.size())? > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(ReadsRecursively: Processor<Inspector>);
