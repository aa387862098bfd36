//! A transform that writes a random number for each element.

use std::hash::{BuildHasher, RandomState};

use torvyn_guest::{Config, Element, Failure, Output, Processor, Replacer, Stage};

/// From the random state of a new hash map.
struct Draw;

impl Stage for Draw {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Draw)
    }
}

impl Processor<Replacer> for Draw {
    fn process(&mut self, _: Element<'_, Replacer>, out: &mut Output<'_, Replacer>) -> Result<(), Failure> {
        out.write(&RandomState::new().hash_one(0).to_le_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Draw: Processor<Replacer>);
