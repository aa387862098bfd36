//! The ledger: what was copied, at which boundary and why.
//!
//! A copy of payload bytes is counted where it is made, in the counters of its boundary: that of a stage or of an endpoint.
//! Each boundary has one writer, so the counters are plain integers. These totals are always kept. If a flow has a
//! [`Recorder`], each copy, call and hand-off also leaves a [`Record`] in its [`Ring`].

use std::ops::{Add, AddAssign};

use serde::Serialize;

pub use record::{
    Call, CallRecord, Direction, HandOffRecord, NodeIndex, Place, Reason, Record, TransferRecord, TransitionRecord,
};
pub use recorder::{Boundary, DEFAULT_CAPACITY, Recorder};
pub use ring::Ring;

pub mod ownership;
mod record;
pub(crate) mod recorder;
mod ring;

/// A number of copies and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Copies. For payloads: elements whose payload was copied, in whole or in part, counted each time.
    pub ops: u64,
    /// Bytes copied.
    pub bytes: u64,
}

impl Count {
    /// Counts `ops` copies with `bytes` bytes in total.
    #[inline]
    pub fn record(&mut self, ops: u64, bytes: u64) {
        self.ops += ops;
        self.bytes += bytes;
    }

    /// The difference to an earlier count.
    pub fn since(self, before: Count) -> Count {
        Count { ops: self.ops - before.ops, bytes: self.bytes - before.bytes }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.record(other.ops, other.bytes);
    }
}

/// The copies at one boundary, or of a flow, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Payload bytes that components read: copied from the host to a component.
    pub payload_read: Count,
    /// Payload bytes that components wrote: copied from a component to the host.
    pub payload_write: Count,
    /// Bytes of metadata columns that were lowered to or lifted from a component, counted once per list of columns. Also bytes of
    /// attributes, counted once for the arguments of a call and once for its result.
    pub metadata_marshal: Count,
    /// Payload bytes that the host copied within its own memory, to have them in one piece or in a separate buffer; counted once
    /// per copy.
    pub host_serialize: Count,
}

impl Copies {
    /// Payload bytes that crossed a component boundary.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_read.bytes + self.payload_write.bytes
    }

    /// The copies for one reason.
    pub fn get_mut(&mut self, reason: Reason) -> &mut Count {
        match reason {
            Reason::PayloadRead => &mut self.payload_read,
            Reason::PayloadWrite => &mut self.payload_write,
            Reason::MetadataMarshal => &mut self.metadata_marshal,
            Reason::HostSerialize => &mut self.host_serialize,
        }
    }
}

impl AddAssign for Copies {
    fn add_assign(&mut self, other: Copies) {
        self.payload_read += other.payload_read;
        self.payload_write += other.payload_write;
        self.metadata_marshal += other.metadata_marshal;
        self.host_serialize += other.host_serialize;
    }
}

impl Add for Copies {
    type Output = Copies;

    fn add(mut self, other: Copies) -> Copies {
        self += other;
        self
    }
}

/// The work that the operating system did for an endpoint: system calls, and the total of their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// Reads into host memory, wherever in the flow they were needed.
    pub reads: Count,
    /// Writes from host memory.
    pub writes: Count,
    /// Copies from a file to the output, without host memory.
    pub ranges: Count,
}

/// Payload bytes copied ÷ payload bytes offered; `None` if none was offered.
///
/// For a stage: bytes copied at its boundary ÷ bytes offered to it. The result is 0 for a stage that forwards, 1 for one that
/// reads everything, and 2 for one that also writes as much. For a flow: bytes copied at all component boundaries ÷ bytes that
/// entered at the sources.
pub fn amplification(copied: u64, offered: u64) -> Option<f64> {
    (offered > 0).then(|| copied as f64 / offered as f64)
}
