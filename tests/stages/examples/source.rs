//! Makes `elements` elements of `len` bytes: stamps the payload that it keeps, and writes it.

use torvyn_guest::{Config, Failure, Next, Source, Stage, Writer};

struct Stamping {
    payload: Vec<u8>,
    next: u64,
    end: u64,
}

impl Stage for Stamping {
    fn new(config: &Config) -> Result<Self, Failure> {
        let payload = shape::blank(config.parse("len")?.unwrap_or(64));
        Ok(Stamping { payload, next: 0, end: config.parse("elements")?.unwrap_or(1) })
    }
}

impl Source for Stamping {
    fn pull(&mut self, out: &mut Writer) -> Result<Next, Failure> {
        if self.next == self.end {
            return Ok(Next::End);
        }
        shape::stamp(&mut self.payload, self.next);
        self.next += 1;
        out.write(&self.payload);
        Ok(Next::More)
    }
}

torvyn_guest::export!(Stamping: Source);
