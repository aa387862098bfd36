//! [`Writer`]: takes the elements that a stage makes without a batch, in `pull` and `flush`.

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::buffer::Buffer;
use crate::columns::{NO_LINEAGE, OUTPUT_0, bit};
use crate::lease::Lease;
use crate::output_builder::OutputBuilder;
use crate::world::{CanBuffer, CanHold, CanWrite, DataSource};

/// Takes the elements that a source makes in `pull`, or a processor in `flush`.
pub struct Writer<W = DataSource> {
    pub(crate) builder: OutputBuilder,
    world: PhantomData<fn() -> W>,
}

impl<W> Default for Writer<W> {
    fn default() -> Self {
        Writer { builder: OutputBuilder::default(), world: PhantomData }
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<W> Writer<W> {
    /// The number of elements made in this call.
    pub fn len(&self) -> usize {
        self.builder.len()
    }

    /// Whether no element was made in this call.
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
    /// If `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        W::begin_written(&mut self.builder, None);
        self.builder.columns.bytes.extend_from_slice(payload);
        self.builder.columns.entry(payload.len() as u64, NO_LINEAGE, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets a zeroed slice of that length.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        W::begin_written(&mut self.builder, None);
        self.builder.columns.fill(len, fill);
        self.builder.columns.entry(len as u64, NO_LINEAGE, OUTPUT_0);
    }
}

impl<W: CanBuffer> Writer<W> {
    /// Sends `buffer` to output 0, as an element.
    ///
    /// # Errors
    ///
    /// The failure of the host function. The buffer is then discarded.
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
    /// If `port` is above 31.
    pub fn freeze_to(&mut self, port: u32, buffer: Buffer<W>) -> Result<(), Failure> {
        let len = buffer.len();
        self.builder.freeze(None, NO_LINEAGE, port, buffer.host, len)
    }
}

impl<W: CanHold> Writer<W> {
    /// Sends one element to output 0 whose payload is the concatenation of all payloads of `leases`. It inherits the
    /// metadata of the first held element. No payload byte moves, and the elements stay held.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] if nothing is held, [`Failure::DeadlineExceeded`] if a lease has ended, and
    /// [`Failure::LimitExceeded`] if it is more than the host joins.
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
    /// If `port` is above 31.
    pub fn join_to<'l>(&mut self, port: u32, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        let leases: Vec<_> = leases.into_iter().map(|lease| &lease.host).collect();
        self.builder.join(None, port, &leases)
    }

    /// Forwards all elements of `lease` to output 0, with their metadata. Elements of a shared lease go to each output
    /// at most once. Elements of an exclusive lease can be forwarded once, and are no longer held then.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if an element is no longer held, [`Failure::InvalidInput`] if an element was already
    /// forwarded to the output, [`Failure::DeadlineExceeded`] if the lease has ended, and [`Failure::LimitExceeded`] if
    /// it is more than the host takes. On an error nothing is forwarded.
    pub fn forward_lease(&mut self, lease: &Lease<W>) -> Result<(), Failure> {
        self.forward_from(lease, 0..lease.len(), 0)
    }

    /// As [`forward_lease`](Writer::forward_lease), for the elements in `indices`, to output `port`.
    ///
    /// # Errors
    ///
    /// As `forward_lease`.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    pub fn forward_from(
        &mut self,
        lease: &Lease<W>,
        indices: impl IntoIterator<Item = u32>,
        port: u32,
    ) -> Result<(), Failure> {
        let indices: Vec<u32> = indices.into_iter().collect();
        self.builder.forward(None, &lease.host, &indices, port)
    }
}
