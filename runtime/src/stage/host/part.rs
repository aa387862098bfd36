//! What one host call made: elements that were written, or made of others.

use crate::payload::Payload;
use crate::payload::element::Element;

/// Elements made by one host call.
pub(crate) enum Part {
    Written(Written),
    Views(Vec<View>),
}

/// Elements that were written, or passed on in between, as the stage described them.
pub(crate) struct Written {
    /// The new payloads, each followed by `end`.
    pub(crate) bytes: Payload,
    /// Bytes after each payload that are part of none.
    pub(crate) end: usize,
    pub(crate) sizes: Vec<u64>,
    pub(crate) lineage: Vec<u32>,
    pub(crate) outputs: Vec<u32>,
    /// How many of them have new bytes.
    pub(crate) written: u64,
}

/// An element made of others without a copy.
pub(crate) struct View {
    pub(crate) element: Element,
    pub(crate) outputs: u32,
    pub(crate) origin: Origin,
}

/// What an element was made of.
pub(crate) enum Origin {
    /// An element of the batch, by its index.
    Lent(u32),
    /// A held element, by its place.
    Held(u32),
    /// Several held elements.
    Joined(Box<[u32]>),
}
