//! An inspector with two outputs that reads only the first byte of a payload: `a` goes to output 0, `b` to output 1,
//! `c` to both, and the rest is dropped.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, Processor, Stage};

struct Split;

impl Stage for Split {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Split)
    }
}

impl Processor<Inspector> for Split {
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {
        match element.read_range(0, 1)?[..] {
            [b'a'] => out.forward_to(0),
            [b'b'] => out.forward_to(1),
            [b'c'] => {
                out.forward_to(0);
                out.forward_to(1);
            }
            _ => {}
        }
        Ok(())
    }
}

torvyn_guest::export!(Split: Processor<Inspector>);
