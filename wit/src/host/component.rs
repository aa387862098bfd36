//! The host functions of the contract: each function here is one crossing.

use crate::bindings::lifecycle::types::{self, Failure, FailurePolicy};
use crate::bindings::processor::{
    attributes, payload_buffer, payload_lease, payload_read, payload_view, payload_write,
};
use crate::columns::Columns;
use crate::lease::{Mode, Scope};

/// Elements that a host function made.
pub(crate) use crate::bindings::lifecycle::types::Output as HostOutput;

/// The batch that is lent to the current call.
#[derive(Clone, Copy)]
pub struct Lent<'a>(pub(crate) &'a types::Batch);

impl Lent<'_> {
    #[inline(always)]
    pub(crate) fn read(self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        payload_read::read(self.0, index, offset, len)
    }

    #[inline(always)]
    pub(crate) fn read_all(self) -> Result<Vec<u8>, Failure> {
        payload_read::read_all(self.0)
    }

    pub(crate) fn skip(self, index: u32, failure: &Failure) -> bool {
        types::skip(self.0, index, failure)
    }

    pub(crate) fn attribute(self, index: u32, name: &str) -> Result<Option<String>, Failure> {
        attributes::get(self.0, index, name)
    }

    pub(crate) fn attributes(self, index: u32) -> Result<Vec<(String, String)>, Failure> {
        attributes::all(self.0, index)
    }

    pub(crate) fn set_attribute(self, index: u32, name: &str, value: Option<&str>) -> Result<(), Failure> {
        attributes::set(self.0, index, name, value)
    }

    pub(crate) fn slice_all(self, of: &Columns) -> Result<HostOutput, Failure> {
        payload_view::slice_all(self.0, &of.lineage, &of.offsets, &of.sizes, &of.outputs)
    }

    pub(crate) fn take(self, indices: &[u32], mode: Mode, scope: Scope) -> Result<HostLease, Failure> {
        payload_lease::take(self.0, indices, mode, scope).map(HostLease)
    }
}

pub(crate) fn failure_policy() -> FailurePolicy {
    types::on_failure()
}

/// The host knows the batch: it checks `lineage` against it when the output is returned.
pub(crate) fn emit_all(of: &Columns, _: Option<Lent<'_>>) -> Result<HostOutput, Failure> {
    payload_write::emit_all(&of.bytes, &of.sizes, &of.lineage, &of.outputs)
}

pub(crate) fn append(to: &mut HostOutput, other: HostOutput) {
    to.append(other);
}

/// Elements that the host holds for the stage.
#[derive(Debug)]
pub(crate) struct HostLease(types::Lease);

impl HostLease {
    pub(crate) fn read(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        payload_read::read_held(&self.0, index, offset, len)
    }

    pub(crate) fn forward_all(&self, indices: &[u32], outputs: &[u32]) -> Result<HostOutput, Failure> {
        payload_lease::forward_all(&self.0, indices, outputs)
    }
}

pub(crate) fn join(leases: &[&HostLease], outputs: u32) -> Result<HostOutput, Failure> {
    let leases: Vec<_> = leases.iter().map(|held| &held.0).collect();
    payload_lease::join(&leases, outputs)
}

/// A payload that is written piece by piece.
#[derive(Debug)]
pub(crate) struct HostBuffer(payload_buffer::Buffer);

impl HostBuffer {
    pub(crate) fn allocate(capacity: u64) -> Result<HostBuffer, Failure> {
        payload_buffer::Buffer::allocate(capacity).map(HostBuffer)
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.append(bytes)
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_at(offset, bytes)
    }

    pub(crate) fn freeze(self, lineage: u32, outputs: u32, _: Option<Lent<'_>>) -> Result<HostOutput, Failure> {
        payload_buffer::Buffer::freeze(self.0, lineage, outputs)
    }
}
