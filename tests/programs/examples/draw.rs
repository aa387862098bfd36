//! A transform that writes for each element what it draws by chance.

use std::hash::{BuildHasher, RandomState};

use torvyn_guest::{Config, Element, Failure, Output, Processor, Replacer, Stage};

/// By what a hash map has that is made then.
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
