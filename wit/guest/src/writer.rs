//! Elements that are made without regard to a batch: in `pull`, and in `flush`.

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::buffer::Buffer;
use crate::columns::{NO_LINEAGE, OUTPUT_0, bit};
use crate::lease::Lease;
use crate::making::OutputBuilder;
use crate::world::{CanBuffer, CanHold, CanWrite, DataSource};

/// Elements being made, in order.
pub struct Writer<W = DataSource> {
    pub(crate) making: OutputBuilder,
    world: PhantomData<fn() -> W>,
}

impl<W> Default for Writer<W> {
    fn default() -> Self {
        Writer { making: OutputBuilder::default(), world: PhantomData }
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<W> Writer<W> {
    /// How many elements were made in this call.
    pub fn len(&self) -> usize {
        self.making.len()
    }

    /// Whether nothing was made in this call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<W: CanWrite> Writer<W> {
    /// Writes an element to output 0.
    pub fn write(&mut self, payload: &[u8]) {
        self.write_to(0, payload);
    }

    /// Writes an element to output `port`.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        W::begin_written(&mut self.making, None);
        self.making.columns.bytes.extend_from_slice(payload);
        self.making.columns.entry(payload.len() as u64, NO_LINEAGE, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets them zeroed.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        W::begin_written(&mut self.making, None);
        self.making.columns.fill(len, fill);
        self.making.columns.entry(len as u64, NO_LINEAGE, OUTPUT_0);
    }
}

impl<W: CanBuffer> Writer<W> {
    /// Makes an element of what was written to `buffer`, to output 0.
    ///
    /// # Errors
    ///
    /// What the host refuses with. The buffer is given up then.
    pub fn freeze(&mut self, buffer: Buffer<W>) -> Result<(), Failure> {
        self.freeze_to(0, buffer)
    }

    /// As [`freeze`](Writer::freeze), to output `port`.
    ///
    /// # Errors
    ///
    /// As `freeze`.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn freeze_to(&mut self, port: u32, buffer: Buffer<W>) -> Result<(), Failure> {
        let len = buffer.len();
        self.making.freeze(None, NO_LINEAGE, port, buffer.piece, len)
    }
}

impl<W: CanHold> Writer<W> {
    /// Makes one element of all that these leases hold, end to end, to output 0. It takes over the metadata of the
    /// first. No payload byte moves, and what is held stays held.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] where nothing is held, [`Failure::DeadlineExceeded`] where the scope of a lease has ended,
    /// and what else the host refuses with.
    pub fn join<'l>(&mut self, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        self.join_to(0, leases)
    }

    /// As [`join`](Writer::join), to output `port`.
    ///
    /// # Errors
    ///
    /// As `join`.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn join_to<'l>(&mut self, port: u32, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        let held: Vec<_> = leases.into_iter().map(|lease| &lease.held).collect();
        self.making.join(None, port, &held)
    }

    /// Passes all elements of `lease` on to output 0, with their metadata. From a shared one they go to each output once;
    /// from an exclusive one they go on once, and are not held any more.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where an element is not held any more, [`Failure::DeadlineExceeded`] where the scope has
    /// ended, and what else the host refuses with. Nothing is passed on then.
    pub fn forward_lease(&mut self, lease: &Lease<W>) -> Result<(), Failure> {
        self.forward_from(lease, 0..lease.len(), 0)
    }

    /// As [`forward_lease`](Writer::forward_lease), for the elements that `indices` names, to output `port`.
    ///
    /// # Errors
    ///
    /// As `forward_lease`.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn forward_from(
        &mut self,
        lease: &Lease<W>,
        indices: impl IntoIterator<Item = u32>,
        port: u32,
    ) -> Result<(), Failure> {
        let indices: Vec<u32> = indices.into_iter().collect();
        self.making.forward(None, &lease.held, &indices, port)
    }
}
