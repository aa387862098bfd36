//! The input that makes elements up.

use std::io;

use super::{Input, Pull, Pulled};
use crate::payload::Payload;

/// `count` elements of `size` bytes: the lower-case letters over and over, the same in every element.
#[derive(Debug)]
pub struct Generate {
    left: u64,
    size: usize,
    payload: Option<Payload>,
}

impl Generate {
    /// `count` elements of `size` bytes each.
    pub fn new(count: u64, size: usize) -> Self {
        Generate { left: count, size, payload: None }
    }
}

impl Input for Generate {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let size = self.size;
        let payload = self.payload.get_or_insert_with(|| {
            let mut block = pull.pool.take(size);
            let letters: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
            block.append(&letters).expect("the block was taken for so many");
            block.freeze()
        });
        while self.left > 0 {
            self.left -= 1;
            if !pull.give(payload.clone()) {
                return Ok(Pulled::More);
            }
        }
        Ok(Pulled::End)
    }
}
