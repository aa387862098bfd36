//! Elements that stages finally failed on.

use std::io;
use std::sync::Arc;

use crate::error::Error;
use crate::payload::element::Element;

/// An element that a stage failed on, with no retries left.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The element as it was lent.
    pub element: &'a Element,
    /// The last failure.
    pub error: &'a Error,
    /// Which failure on this element it is, from 1. A call counts if the element was alone in it, or if it named the element.
    pub attempt: u32,
}

/// Receives the elements that stages finally failed on. An error that it returns ends the flow. It must not keep an
/// element, because then its payload would still be held when the flow has ended.
pub type DeadLetters = Arc<dyn Fn(DeadLetter<'_>) -> io::Result<()> + Send + Sync>;
