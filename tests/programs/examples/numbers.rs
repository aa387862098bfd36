//! A source: the numbers from 1 to the configured `count` in decimal, idle before every `idle`th.

use torvyn_guest::{Config, Failure, Next, Source, Stage, Writer};

struct Numbers {
    next: u64,
    count: u64,
    idle: u64,
    rested: bool,
}

impl Stage for Numbers {
    fn new(config: &Config) -> Result<Self, Failure> {
        let count = config.parse("count")?.unwrap_or(10);
        let idle = config.parse("idle")?.unwrap_or(u64::MAX);
        Ok(Numbers { next: 1, count, idle, rested: false })
    }
}

impl Source for Numbers {
    fn pull(&mut self, out: &mut Writer) -> Result<Next, Failure> {
        if self.next > self.count {
            return Ok(Next::End);
        }
        if self.next % self.idle == 0 && !std::mem::replace(&mut self.rested, true) {
            return Ok(Next::Idle);
        }
        self.rested = false;
        out.write(self.next.to_string().as_bytes());
        self.next += 1;
        Ok(Next::More)
    }
}

torvyn_guest::export!(Numbers: Source);
