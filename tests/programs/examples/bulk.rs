//! A bulk source: makes `count` payloads of `pieces` pieces, one piece per call. A piece is `size` times the low byte
//! of its number. Before each payload it writes a short one at once.

use torvyn_guest::{Buffer, BulkSource, Config, Failure, Next, Source, Stage, Writer};

struct Bulk {
    count: u32,
    pieces: u32,
    size: usize,
    made: u32,
    begun: Option<(Buffer<BulkSource>, u32)>,
}

impl Stage for Bulk {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Bulk {
            count: config.parse("count")?.unwrap_or(1),
            pieces: config.parse("pieces")?.unwrap_or(3),
            size: config.parse("size")?.unwrap_or(16),
            made: 0,
            begun: None,
        })
    }
}

impl Source<BulkSource> for Bulk {
    fn pull(&mut self, out: &mut Writer<BulkSource>) -> Result<Next, Failure> {
        if self.made == self.count {
            return Ok(Next::End);
        }
        let Some((mut buffer, piece)) = self.begun.take() else {
            self.begun = Some((Buffer::allocate(u64::from(self.pieces) * self.size as u64)?, 0));
            out.write(b"next");
            return Ok(Next::More);
        };
        if piece < self.pieces {
            buffer.append(&vec![piece as u8; self.size])?;
            self.begun = Some((buffer, piece + 1));
            return Ok(Next::Idle);
        }
        out.freeze(buffer)?;
        self.made += 1;
        Ok(Next::More)
    }
}

torvyn_guest::export!(Bulk: Source<BulkSource>);
