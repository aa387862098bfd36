//! The output that discards everything.

use std::io;

use super::Output;
use crate::payload::element::Element;

/// Takes elements and discards them.
#[derive(Debug, Default)]
pub struct Discard;

impl Output for Discard {
    fn push(&mut self, _: &[Element]) -> io::Result<()> {
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}
