//! Elements that a stage holds beyond the call that lent them.

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::host::Held;
use crate::world::{CanRead, Windowed};

pub use crate::bindings::processor::payload_lease::{Mode, Scope};

/// Elements that are held, numbered from 0 in the order in which they were named. They stay with the host: holding
/// copies nothing. Dropping it releases them.
///
/// [`Batch::lease`](crate::Batch::lease) and [`Element::lease`](crate::Element::lease) take one; `join` and
/// `forward_lease` of [`Output`](crate::Output) and [`Writer`](crate::Writer) make elements of it.
///
/// `W` is the world of the stage. What a [`Holder`](crate::Holder) holds it cannot read:
///
/// ```compile_fail,E0599
/// fn peek(lease: &torvyn_guest::Lease<torvyn_guest::Holder>) {
///     let _ = lease.read(0);
/// }
/// ```
pub struct Lease<W = Windowed> {
    pub(crate) held: Held,
    sizes: Vec<u64>,
    world: PhantomData<fn() -> W>,
}

impl<W> fmt::Debug for Lease<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl<W> Lease<W> {
    pub(crate) fn new(held: Held, sizes: Vec<u64>) -> Self {
        Lease { held, sizes, world: PhantomData }
    }

    /// How many elements were taken; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a lease holds at least one element")]
    pub fn len(&self) -> u32 {
        self.sizes.len() as u32
    }

    /// The sizes of their payloads in bytes, one for each element.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }
}

impl<W: CanRead> Lease<W> {
    /// The whole payload of element `index`: one copy, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// As [`read_range`](Lease::read_range).
    pub fn read(&self, index: u32) -> Result<Vec<u8>, Failure> {
        let size = self.sizes.get(index as usize).ok_or(Failure::OutOfBounds)?;
        self.read_range(index, 0, *size)
    }

    /// `len` bytes of the payload of element `index` from `offset`: one copy of those, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where the element is not held any more or the payload does not have them,
    /// [`Failure::DeadlineExceeded`] where the scope has ended, and what else the host refuses with.
    pub fn read_range(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        self.held.read(index, offset, len)
    }
}
