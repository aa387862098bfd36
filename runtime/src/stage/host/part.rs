//! What one call of the host made: elements that were written, or made of others.

use crate::payload::Payload;
use crate::payload::element::Element;

/// Elements that were made by one call of the host.
pub(crate) enum Part {
    Written(Written),
    Views(Vec<View>),
}

/// Elements that were written, or passed on in between, as the stage described them.
pub(crate) struct Written {
    pub(crate) bytes: Payload,
    pub(crate) sizes: Vec<u64>,
    pub(crate) lineage: Vec<u32>,
    pub(crate) outputs: Vec<u32>,
    /// How many of them bring new bytes.
    pub(crate) written: u64,
}

/// An element that was made of others, without a copy.
pub(crate) struct View {
    pub(crate) element: Element,
    pub(crate) outputs: u32,
    pub(crate) origin: Origin,
}

/// What an element was made of.
pub(crate) enum Origin {
    /// An element of the batch, by its index.
    Lent(u32),
    /// An element that was held, by its place.
    Held(u32),
    /// Several of those.
    Joined(Box<[u32]>),
}
