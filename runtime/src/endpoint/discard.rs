//! The output that discards everything.

use std::io;

use super::Output;
use crate::payload::Batch;

/// Takes elements and discards them.
#[derive(Debug, Default)]
pub struct Discard;

impl Output for Discard {
    fn push(&mut self, _: &Batch) -> io::Result<()> {
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }

    fn touches_bytes(&self) -> bool {
        false
    }
}
