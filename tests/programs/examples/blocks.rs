//! A source that makes batches: `count` elements of `size` bytes, each filled with the low byte of its number.

use torvyn_guest::{BatchSource, Config, Failure, Next, Stage, Writer};

struct Blocks {
    next: u64,
    count: u64,
    size: usize,
}

impl Stage for Blocks {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Blocks { next: 0, count: config.parse("count")?.unwrap_or(1), size: config.parse("size")?.unwrap_or(64) })
    }
}

impl BatchSource for Blocks {
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer) -> Result<Next, Failure> {
        let mut bytes = 0;
        while self.next < self.count {
            if out.len() == max_elements as usize || bytes >= max_bytes {
                return Ok(Next::More);
            }
            out.write_with(self.size, |to| to.fill(self.next as u8));
            bytes += self.size as u64;
            self.next += 1;
        }
        Ok(Next::End)
    }
}

torvyn_guest::export!(Blocks: BatchSource);
