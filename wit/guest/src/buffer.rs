//! Payloads that are written piece by piece.

use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::host::Piece;
use crate::world::{CanBuffer, Windowed};

/// A payload in the making, in host memory: for one that is larger than the memory of the stage, or is made over several
/// calls. Dropping it gives it up.
///
/// `freeze` of [`Output`](crate::Output) or [`Writer`](crate::Writer) makes an element of it, and takes it: what went on
/// cannot be written any more.
///
/// ```
/// use torvyn_guest::{Buffer, BulkSource, Config, Failure, Next, Source, Stage, Writer, testing};
///
/// /// Makes one element of `hello, ` and the time of day.
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
/// let (_, written) = testing::written(|out| Greeting.pull(out))?;
/// assert_eq!(written[0].payload, b"Hello, morning");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct Buffer<W = Windowed> {
    pub(crate) piece: Piece,
    len: u64,
    world: PhantomData<fn() -> W>,
}

impl<W: CanBuffer> Buffer<W> {
    /// With room for `capacity` bytes.
    ///
    /// # Errors
    ///
    /// [`Failure::LimitExceeded`] where that is more than the host takes, and [`Failure::BudgetExceeded`] where the stage
    /// may not write once more.
    pub fn allocate(capacity: u64) -> Result<Self, Failure> {
        Ok(Buffer { piece: Piece::allocate(capacity)?, len: 0, world: PhantomData })
    }

    /// Writes `bytes` to the end of what is there: one copy, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::LimitExceeded`] where there is no room for all of them, and [`Failure::BudgetExceeded`] where the stage
    /// may not write once more. Nothing is written then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.piece.append(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Writes `bytes` over what is there from `offset`: one copy, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where less is there, and [`Failure::BudgetExceeded`] where the stage may not write once
    /// more. Nothing is written then.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.piece.write_at(offset, bytes)
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
