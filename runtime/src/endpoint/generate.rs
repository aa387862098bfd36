//! The input that generates elements.

use std::io;
use std::ops::RangeInclusive;

use super::{Input, Pull, Pulled};
use crate::base::rng::Rng;
use crate::payload::Payload;

/// Generated elements: with the same bytes in each, or with bytes drawn from a seed.
#[derive(Debug)]
pub struct Generate {
    left: u64,
    made: Made,
}

#[derive(Debug)]
enum Made {
    /// The lower-case letters, repeated.
    Letters { size: usize, payload: Option<Payload> },
    /// Random bytes of random sizes.
    Seeded { sizes: RangeInclusive<usize>, rng: Rng },
}

impl Generate {
    /// `count` elements of `size` bytes each: the lower-case letters, repeated; the same in every element.
    pub fn new(count: u64, size: usize) -> Self {
        Generate { left: count, made: Made::Letters { size, payload: None } }
    }

    /// `count` elements whose sizes, within `sizes`, and bytes are drawn from `seed`: the same for the same seed.
    pub fn seeded(count: u64, sizes: RangeInclusive<usize>, seed: u64) -> Self {
        Generate { left: count, made: Made::Seeded { sizes, rng: Rng::new(seed) } }
    }
}

impl Input for Generate {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        match &mut self.made {
            Made::Letters { size, payload } => {
                let size = *size;
                let payload = payload.get_or_insert_with(|| {
                    let mut block = pull.pool.take(size);
                    let letters: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
                    block.append(&letters).expect("the block has room for the bytes");
                    block.freeze()
                });
                let mut parts = pull.parts(payload);
                while self.left > 0 {
                    self.left -= 1;
                    if !parts.give(0, size) {
                        return Ok(Pulled::More);
                    }
                }
            }
            Made::Seeded { sizes, rng } => {
                let mut bytes = Vec::new();
                while self.left > 0 {
                    self.left -= 1;
                    let size = sizes.start() + rng.below((sizes.end() - sizes.start()).saturating_add(1));
                    bytes.clear();
                    while bytes.len() < size {
                        bytes.extend_from_slice(&rng.next().to_le_bytes());
                    }
                    let mut block = pull.pool.take(size);
                    block.append(&bytes[..size]).map_err(io::Error::other)?;
                    if !pull.give(block.freeze()) {
                        return Ok(Pulled::More);
                    }
                }
            }
        }
        Ok(Pulled::End)
    }

    fn touches_bytes(&self) -> bool {
        matches!(self.made, Made::Seeded { .. })
    }
}
