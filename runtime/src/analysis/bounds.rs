//! What is known of a stage as a whole: a bound for its reads, and one for its writes.

use serde::Serialize;

use super::Bound;

/// What a stage copies for one element. See the parent module for the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// How often an element is read in the call it is lent for.
    pub reads: Bound,
    /// How many payloads are written for an element: over all calls, not more than so many for each element lent.
    pub writes: Bound,
}

impl Bounds {
    /// Nothing is known.
    pub fn unknown() -> Bounds {
        Bounds { reads: Bound::unknown(), writes: Bound::unknown() }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds::unknown()
    }
}
