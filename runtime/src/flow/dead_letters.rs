//! Elements that stages failed on for good.

use std::io;
use std::sync::Arc;

use crate::error::Error;
use crate::payload::element::Element;

/// An element that a stage failed at for good.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The stage.
    pub stage: &'a str,
    /// What it was given.
    pub element: &'a Element,
    /// How it failed the last time.
    pub error: &'a Error,
    /// How often it failed at the element, from 1. Calls count that it was alone in, or that said that it was this one.
    pub attempt: u32,
}

/// Takes the elements that stages failed at for good. What it returns as an error ends the flow. It must not keep an
/// element, whose payload would still be held when the flow has ended.
pub type DeadLetters = Arc<dyn Fn(DeadLetter<'_>) -> io::Result<()> + Send + Sync>;
