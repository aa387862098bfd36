//! The ledger: what was copied, at which boundary and why.
//!
//! A copy of payload bytes is recorded where it is made, in the counters of the boundary it was made at: a stage's, or
//! an endpoint's. Each boundary has one writer, so the counters are plain integers. These totals are always kept. Where
//! a flow has a [`Recorder`], each copy, call and hand-off also leaves a [`Record`] in its [`Ring`].

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

/// Copies for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How often. For payloads: elements whose payload, or a part of it, was copied, each time one was.
    pub ops: u64,
    /// Bytes copied.
    pub bytes: u64,
}

impl Count {
    /// Records `ops` copies of together `bytes` bytes.
    #[inline]
    pub fn record(&mut self, ops: u64, bytes: u64) {
        self.ops += ops;
        self.bytes += bytes;
    }

    /// What came to it after it was `before`.
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
    /// Payload bytes from the host to a component, because it read them.
    pub payload_read: Count,
    /// Payload bytes from a component to the host, because it wrote them.
    pub payload_write: Count,
    /// Bytes of metadata columns lowered to and lifted from a component, counted once a column list; and of attributes,
    /// counted once a call for what was asked with, and once for what was told.
    pub metadata_marshal: Count,
    /// Payload bytes that the host copied within its own memory, to have them in one piece or in a buffer of their own;
    /// counted once each time.
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

/// What an endpoint had the operating system do: system calls, and the bytes of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// Into memory of the host, wherever in the flow it was needed.
    pub reads: Count,
    /// Out of memory of the host.
    pub writes: Count,
    /// From a file to the output, without memory of the host.
    pub ranges: Count,
}

/// Payload bytes copied ÷ payload bytes offered; `None` where none was offered.
///
/// Of a stage: copied at its boundary, offered to it. A stage that forwards has 0, one that reads everything 1, one
/// that also writes as much 2. Of a flow: copied at all boundaries, entered at the sources.
pub fn amplification(copied: u64, offered: u64) -> Option<f64> {
    (offered > 0).then(|| copied as f64 / offered as f64)
}
