//! The run report: what went through each part of a flow, and what was copied there.

use serde::Serialize;

use crate::contract::{Bounds, Kind, Proof, Verdict};
use crate::ledger::{Copies, Count, Kernel};
use crate::payload::PoolUse;

pub use crate::flow::recovery::FailureUse;
pub use crate::stage::host::leases::LeaseUse;
pub use crate::stage::log::LogUse;

/// Elements in and out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Elements {
    /// Elements that came from the sources.
    #[serde(rename = "in")]
    pub entered: u64,
    /// Elements that the sinks took.
    #[serde(rename = "out")]
    pub left: u64,
    /// Elements that a stage took and sent nothing for, over all stages.
    pub dropped: u64,
    /// Elements that a stage failed on and that were skipped, over all stages.
    pub skipped: u64,
    /// Elements that a stage failed on and that were kept as dead letters, over all stages.
    pub dead_letters: u64,
    /// Elements with a deadline that reached a sink or an output, counted at each of them.
    pub due: u64,
    /// Of these, elements that arrived after their deadline.
    pub late: u64,
}

/// The report of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageAccount {
    /// The stage.
    pub name: String,
    /// Whether it is a source, a processor or a sink.
    pub kind: Kind,
    /// How many instances of the component took turns at the batches. The counts below are those of all of them.
    pub replicas: usize,
    /// What the stage can do with payloads.
    pub verdict: Verdict,
    /// How the verdict is proven; [`Bounds::proof`] says when this is `None`.
    pub proof: Option<Proof>,
    /// The most that the stage copies each time it is lent an element. The flow was held to these bounds.
    pub bounds: Bounds,
    /// Elements lent to the stage, each counted once.
    pub elements_in: u64,
    /// Elements that the stage sent, counted once per output.
    pub elements_out: u64,
    /// Elements that the stage took and sent nothing for; 0 for a sink.
    pub elements_dropped: u64,
    /// Time spent in the calls of the stage, in nanoseconds, sending the results included. With replicas, calls at the same
    /// time each count in full.
    pub busy_ns: u64,
    /// What was copied at the boundary of the stage, failed calls included.
    pub copies: Copies,
    /// The part of `copies` that was copied in failed calls.
    pub failed_copies: Copies,
    /// The most reads of one element, over all calls that lent it (failed calls included) and while it was held.
    pub reads_max: u32,
    /// The most writes for one element, by the lineage of the written payloads.
    pub writes_max: u32,
    /// Identity writes: payloads that equal the one they were written from, by lineage. The first 1,024 non-empty payloads
    /// are compared; 0 as soon as one differs.
    pub writes_unchanged: u64,
    /// Payload bytes written beyond the final payloads: every write after the first one of a payload, and bytes that were
    /// overwritten.
    pub rewritten: Count,
    /// What was written to payloads that the stage discarded.
    pub given_up: Count,
    /// What the stage held beyond the calls that lent it.
    pub leases: LeaseUse,
    /// Failures of the stage that did not end the flow.
    pub failures: FailureUse,
    /// What the stage printed.
    pub log: LogUse,
    /// Payload bytes copied at the stage ÷ payload bytes offered to it; `None` where none were.
    pub amplification: Option<f64>,
}

/// The report of one input or output of the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EndpointAccount {
    /// The endpoint.
    pub name: String,
    /// `input` or `output`.
    pub kind: &'static str,
    /// Elements that went through the endpoint.
    pub elements: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Time spent in the endpoint, in nanoseconds.
    pub busy_ns: u64,
    /// What the host copied in the endpoint. No component boundary is crossed there.
    pub copies: Copies,
    /// For an input that cannot be read again, such as a pipe: bytes that were read and are in no element, because the flow
    /// ended before the element was complete or before the bytes were cut into elements.
    pub left_over: u64,
    /// What the operating system copied for the endpoint.
    pub kernel: Kernel,
}

/// What was in progress when a flow was cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CutOffUse {
    /// The stages and endpoints that were interrupted in a call.
    pub interrupted: Vec<String>,
    /// Elements that were not delivered, counted on each edge: those that waited, and those in an interrupted call.
    /// Elements that only a stage held are not counted.
    pub undelivered: u64,
}

impl CutOffUse {
    /// Whether this stage or endpoint was interrupted.
    pub(crate) fn is_interrupted(&self, name: &str) -> bool {
        self.interrupted.iter().any(|interrupted| interrupted == name)
    }
}

/// The run report of a flow that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Elements in and out.
    pub elements: Elements,
    /// The traces that the elements belong to, as 32 hexadecimal digits each.
    pub traces: Vec<String>,
    /// Every stage, in the order of the graph.
    pub stages: Vec<StageAccount>,
    /// Every endpoint, in the order of the graph.
    pub endpoints: Vec<EndpointAccount>,
    /// All copies: the sum over stages and endpoints.
    pub copies: Copies,
    /// Payload bytes copied at all component boundaries ÷ payload bytes that entered at the sources; `None` where none
    /// did.
    pub amplification: Option<f64>,
    /// How payload memory was used.
    pub pool: PoolUse,
    /// Time from before the first stage started until everything was torn down, in nanoseconds.
    pub wall_ns: u64,
    /// Whether the flow ended before its sources did.
    pub cancelled: bool,
    /// What was lost when the flow was cut off; `None` if it was not cut off, and so delivered all that it had begun.
    pub cut_off: Option<CutOffUse>,
}
