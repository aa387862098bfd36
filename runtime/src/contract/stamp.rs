//! What a source stamps its elements with.

use std::time::Duration;

use super::trace::Trace;

/// What a source stamps its elements with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The deadline: this long after the timestamp.
    pub deadline: Option<Duration>,
    /// The trace.
    pub trace: Option<TraceOrigin>,
}

/// Where a trace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOrigin {
    /// With the flow: a new one, the same for all its sources that say so.
    Flow,
    /// Before it: this one.
    Given(Trace),
}
