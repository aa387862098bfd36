//! [`Lease`]: elements that a stage holds beyond the call that lent them.

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::host::HostLease;
use crate::world::{CanRead, Windowed};

pub use crate::bindings::processor::payload_lease::{Mode, Scope};

/// Held elements, numbered from 0 in the order in which they were taken. Dropping the lease releases them.
///
/// The payloads stay with the host: holding copies nothing to or from the component.
/// [`Batch::lease`](crate::Batch::lease) and [`Element::lease`](crate::Element::lease) take a lease. `join`,
/// `forward_lease` and `forward_from` of [`Output`](crate::Output) and [`Writer`](crate::Writer) make elements of it.
///
/// `W` is the world of the stage. A [`Holder`](crate::Holder) cannot read the elements it holds:
///
/// ```compile_fail,E0599
/// fn peek(lease: &torvyn_guest::Lease<torvyn_guest::Holder>) {
///     let _ = lease.read(0);
/// }
/// ```
pub struct Lease<W = Windowed> {
    pub(crate) host: HostLease,
    sizes: Vec<u64>,
    world: PhantomData<fn() -> W>,
}

impl<W> fmt::Debug for Lease<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl<W> Lease<W> {
    pub(crate) fn new(host: HostLease, sizes: Vec<u64>) -> Self {
        Lease { host, sizes, world: PhantomData }
    }

    /// The number of elements that were taken; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a lease holds at least one element")]
    pub fn len(&self) -> u32 {
        self.sizes.len() as u32
    }

    /// The payload size of each element, in bytes.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }
}

impl<W: CanRead> Lease<W> {
    /// Reads the whole payload of element `index`: one copy, one crossing.
    ///
    /// # Errors
    ///
    /// As [`read_range`](Lease::read_range).
    pub fn read(&self, index: u32) -> Result<Vec<u8>, Failure> {
        let size = self.sizes.get(index as usize).ok_or(Failure::OutOfBounds)?;
        self.read_range(index, 0, *size)
    }

    /// Reads `len` bytes of the payload of element `index` from `offset`: one copy of those bytes, one crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if the element is no longer held or the range is not in the payload,
    /// [`Failure::DeadlineExceeded`] if the lease has ended, [`Failure::BudgetExceeded`] if the copy budget is used up,
    /// and [`Failure::LimitExceeded`] if it is more than the host copies in one call.
    pub fn read_range(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        self.host.read(index, offset, len)
    }
}
