//! The host of a component: each function here is one crossing.

use crate::bindings::lifecycle::types::{self, Failure, FailurePolicy};
use crate::bindings::processor::{
    attributes, payload_buffer, payload_lease, payload_read, payload_view, payload_write,
};
use crate::columns::Columns;
use crate::lease::{Mode, Scope};

/// Elements that were made.
pub(crate) use crate::bindings::lifecycle::types::Output as Made;

/// What a call was lent.
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

    pub(crate) fn slice_all(self, of: &Columns) -> Result<Made, Failure> {
        payload_view::slice_all(self.0, &of.lineage, &of.offsets, &of.sizes, &of.outputs)
    }

    pub(crate) fn take(self, indices: &[u32], mode: Mode, scope: Scope) -> Result<Held, Failure> {
        payload_lease::take(self.0, indices, mode, scope).map(Held)
    }
}

pub(crate) fn failure_policy() -> FailurePolicy {
    types::on_failure()
}

/// The batch is looked up when the output is returned.
pub(crate) fn emit_all(of: &Columns, _: Option<Lent<'_>>) -> Result<Made, Failure> {
    payload_write::emit_all(&of.bytes, &of.sizes, &of.lineage, &of.outputs)
}

pub(crate) fn append(to: &mut Made, other: Made) {
    to.append(other);
}

/// Elements that are held.
#[derive(Debug)]
pub(crate) struct Held(types::Lease);

impl Held {
    pub(crate) fn read(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        payload_read::read_held(&self.0, index, offset, len)
    }

    pub(crate) fn forward_all(&self, indices: &[u32], outputs: &[u32]) -> Result<Made, Failure> {
        payload_lease::forward_all(&self.0, indices, outputs)
    }
}

pub(crate) fn join(leases: &[&Held], outputs: u32) -> Result<Made, Failure> {
    let leases: Vec<_> = leases.iter().map(|held| &held.0).collect();
    payload_lease::join(&leases, outputs)
}

/// A payload in the making.
#[derive(Debug)]
pub(crate) struct Piece(payload_buffer::Buffer);

impl Piece {
    pub(crate) fn allocate(capacity: u64) -> Result<Piece, Failure> {
        payload_buffer::Buffer::allocate(capacity).map(Piece)
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.append(bytes)
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_at(offset, bytes)
    }

    pub(crate) fn freeze(self, lineage: u32, outputs: u32, _: Option<Lent<'_>>) -> Result<Made, Failure> {
        payload_buffer::Buffer::freeze(self.0, lineage, outputs)
    }
}
