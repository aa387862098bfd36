//! [`Buffer`]: a payload that is written piece by piece.

use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::host::HostBuffer;
use crate::world::{CanBuffer, Windowed};

/// A payload under construction, in host memory: for a payload that is larger than the memory of the stage, or that is
/// built over several calls. Dropping the buffer discards the payload.
///
/// `freeze` of [`Output`](crate::Output) or [`Writer`](crate::Writer) consumes the buffer and makes an element of it: a
/// payload that was sent cannot be written any more.
///
/// ```
/// use torvyn_guest::{Buffer, BulkSource, Config, Failure, Next, Source, Stage, Writer, testing};
///
/// /// Builds one element from `hello, ` and a time of day.
/// struct Greeting;
///
/// impl Stage for Greeting {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(Greeting)
///     }
/// }
///
/// impl Source<BulkSource> for Greeting {
///     fn pull(&mut self, out: &mut Writer<BulkSource>) -> Result<Next, Failure> {
///         let mut buffer = Buffer::allocate(64)?;
///         buffer.append(b"hello, ")?;
///         buffer.append(b"morning")?;
///         buffer.write_at(0, b"H")?;
///         out.freeze(buffer)?;
///         Ok(Next::End)
///     }
/// }
///
/// let (_, written) = testing::collect(|out| Greeting.pull(out))?;
/// assert_eq!(written[0].payload, b"Hello, morning");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct Buffer<W = Windowed> {
    pub(crate) host: HostBuffer,
    len: u64,
    world: PhantomData<fn() -> W>,
}

impl<W: CanBuffer> Buffer<W> {
    /// Allocates a buffer with a capacity of `capacity` bytes. One crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::LimitExceeded`] if the host does not grant the capacity, and [`Failure::BudgetExceeded`] if the stage
    /// has no write left.
    pub fn allocate(capacity: u64) -> Result<Self, Failure> {
        Ok(Buffer { host: HostBuffer::allocate(capacity)?, len: 0, world: PhantomData })
    }

    /// Appends `bytes`: one copy, one crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::LimitExceeded`] if not all bytes fit, and [`Failure::BudgetExceeded`] if the stage has no write left.
    /// On an error nothing is written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.host.append(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Overwrites existing bytes from `offset` with `bytes`: one copy, one crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if the range is not within the bytes written so far, and [`Failure::BudgetExceeded`] if
    /// the stage has no write left. On an error nothing is written.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.host.write_at(offset, bytes)
    }

    /// The length of the payload so far, in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the payload is empty so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
