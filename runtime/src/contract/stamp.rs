//! [`Stamp`]: the deadline and the trace that a source gives its elements.

use std::time::Duration;

use super::trace::Trace;

/// The deadline and the trace that a source gives its elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The time from the timestamp to the deadline.
    pub deadline: Option<Duration>,
    /// The trace.
    pub trace: Option<TraceOrigin>,
}

/// Where a trace starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOrigin {
    /// With the flow: a new trace, the same for all sources of the flow with this origin.
    Flow,
    /// Before the flow: this trace.
    Given(Trace),
}
