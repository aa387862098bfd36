//! The account of a flow: what went through each of its parts, and what was copied there.

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
    /// Elements that a stage took and nothing came of, over all stages.
    pub dropped: u64,
    /// Elements that a stage failed at and were left out, over all stages.
    pub skipped: u64,
    /// Elements that a stage failed at and were kept as dead letters, over all stages.
    pub dead_letters: u64,
    /// Elements with a deadline that reached an end, counted at each end.
    pub due: u64,
    /// Those of them that an end had taken only after their deadline.
    pub late: u64,
}

/// The account of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageAccount {
    /// The stage.
    pub name: String,
    /// Its role.
    pub kind: Kind,
    /// What it can do with payloads.
    pub verdict: Verdict,
    /// How that is proven; [`Bounds::proof`] says when it is `None`.
    pub proof: Option<Proof>,
    /// What it copies at most each time that it is lent an element, which the flow was held to.
    pub bounds: Bounds,
    /// Elements it was lent, each counted once.
    pub elements_in: u64,
    /// Elements it sent, counted once an output.
    pub elements_out: u64,
    /// Elements it was lent and nothing came of. For a sink, 0.
    pub elements_dropped: u64,
    /// Time in its calls, in nanoseconds, sending what they returned included.
    pub busy_ns: u64,
    /// What was copied at its boundary, in calls that failed as well.
    pub copies: Copies,
    /// Of that, what was copied in calls that failed.
    pub failed_copies: Copies,
    /// The most reads that one element had, in all calls that lent it, failed ones included, and while it was held.
    pub reads_max: u32,
    /// The most writes for one element, by the lineage of what was written.
    pub writes_max: u32,
    /// Payloads that were compared with the one they were written from, by their lineage, and are equal: the first 1,024
    /// that are not empty, and 0 once one of them differed.
    pub writes_unchanged: u64,
    /// What was written piece by piece, besides the bytes of the payloads that came of it: writes after the first of each
    /// payload, and bytes that others took the place of.
    pub rewritten: Count,
    /// What was written to payloads that were given up.
    pub given_up: Count,
    /// What the stage held beyond the calls that lent it.
    pub leases: LeaseUse,
    /// How it failed, without an end to the flow.
    pub failures: FailureUse,
    /// What it printed.
    pub log: LogUse,
    /// Payload bytes copied at the stage ÷ payload bytes offered to it; `None` where none were.
    pub amplification: Option<f64>,
}

/// The account of an endpoint of the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointAccount {
    /// The endpoint.
    pub name: String,
    /// `input` or `output`.
    pub kind: &'static str,
    /// Elements that went through it.
    pub elements: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Time spent in it, in nanoseconds.
    pub busy_ns: u64,
    /// What the host copied there. No component boundary is crossed at an endpoint.
    pub copies: Copies,
    /// Of an input that cannot be read again, such as a pipe: bytes that were read and are in no element, because the flow
    /// ended before the element was whole or before the bytes were cut.
    pub left_over: u64,
    /// What the operating system copied for it.
    pub kernel: Kernel,
}

/// What was under way when a flow was cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CutOffUse {
    /// The stages and endpoints that were interrupted in a call.
    pub interrupted: Vec<String>,
    /// Elements that had not arrived, counted on each edge: those that waited, and those in a call that was interrupted.
    /// What stages kept to themselves is not among them.
    pub undelivered: u64,
}

impl CutOffUse {
    /// Whether this stage or endpoint was.
    pub(crate) fn is_interrupted(&self, name: &str) -> bool {
        self.interrupted.iter().any(|interrupted| interrupted == name)
    }
}

/// The account of a flow that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// What went in and out.
    pub elements: Elements,
    /// The traces that the elements were part of, in 32 hexadecimal digits.
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
    /// From before the first stage was started until everything was down, in nanoseconds.
    pub wall_ns: u64,
    /// Whether it was ended before its sources were.
    pub cancelled: bool,
    /// What was lost by that, where it was cut off: where it could finish what it had begun, that is `None`.
    pub cut_off: Option<CutOffUse>,
}
