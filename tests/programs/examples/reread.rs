//! An inspector that reads each element `times` times and forwards it: `by` is `element`, `byte` for the first byte
//! alone, or `batch`. `then` says what it does when the host refuses: `fail`, `ignore` or `trap`.

use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage};

struct Reread {
    times: u32,
    by: String,
    then: String,
}

impl Reread {
    fn read(&self, batch: Batch<'_, Inspector>) -> Result<(), Failure> {
        for _ in 0..self.times {
            match self.by.as_str() {
                "batch" => drop(batch.read_all()?),
                "byte" => batch.iter().try_for_each(|element| element.read_range(0, 1).map(drop))?,
                _ => batch.iter().try_for_each(|element| element.read().map(drop))?,
            }
        }
        Ok(())
    }
}

impl Stage for Reread {
    fn new(config: &Config) -> Result<Self, Failure> {
        let text = |name, default: &str| config.get(name).unwrap_or(default).to_string();
        let times = config.parse("times")?.unwrap_or(2);
        Ok(Reread { times, by: text("by", "element"), then: text("then", "fail") })
    }
}

impl BatchProcessor<Inspector> for Reread {
    fn process(&mut self, batch: Batch<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), BatchFailure> {
        match self.read(batch) {
            Err(failure) if self.then == "fail" => return Err(failure.into()),
            Err(failure) if self.then == "trap" => panic!("{failure:?}"),
            _ => {}
        }
        batch.iter().for_each(|element| out.at(element).forward());
        Ok(())
    }
}

torvyn_guest::export!(Reread: BatchProcessor<Inspector>);
