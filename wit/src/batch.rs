//! [`Element`] and [`Batch`]: what a stage is lent for one call.

use std::marker::PhantomData;

use crate::bindings::lifecycle::types::{Columns, Failure};
use crate::host::Lent;
use crate::lease::{Lease, Mode, Scope};
use crate::world::{CanHold, CanRead, ProcessorWorld};

/// What the host passed to a call.
pub(crate) struct Frame<'a> {
    pub(crate) lent: Lent<'a>,
    pub(crate) count: u32,
    pub(crate) columns: Columns,
    pub(crate) metadata: &'a [u64],
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn sizes(&self) -> &'a [u64] {
        &self.metadata[..self.count as usize]
    }

    /// The value of element `index` in the `nth` column of the call; column 0 is the sizes.
    #[inline(always)]
    fn value(&self, nth: u32, index: u32) -> u64 {
        self.metadata[(nth * self.count + index) as usize]
    }
}

/// The elements of one call, which are lent to the stage until the call returns.
pub struct Batch<'a, W> {
    pub(crate) frame: &'a Frame<'a>,
    world: PhantomData<W>,
}

impl<W> Clone for Batch<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Batch<'_, W> {}

impl<'a, W> Batch<'a, W> {
    pub(crate) fn new(frame: &'a Frame<'a>) -> Self {
        Batch { frame, world: PhantomData }
    }

    /// The number of elements; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    #[inline(always)]
    pub fn len(self) -> u32 {
        self.frame.count
    }

    /// The payload size of each element, in bytes.
    pub fn sizes(self) -> &'a [u64] {
        self.frame.sizes()
    }

    /// The elements, in order.
    #[inline(always)]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Element<'a, W>> {
        (0..self.frame.count).map(move |index| Element { frame: self.frame, index, world: PhantomData })
    }
}

impl<W: CanRead> Batch<'_, W> {
    /// Reads the payloads of all elements, concatenated: one copy of each payload, in one crossing.
    ///
    /// # Errors
    ///
    /// The failure of the host function: a copy budget or a limit.
    #[inline(always)]
    pub fn read_all(self) -> Result<Vec<u8>, Failure> {
        self.frame.lent.read_all()
    }
}

impl<W: CanHold> Batch<'_, W> {
    /// Holds the elements in `indices` beyond this call, in one crossing. Each index may occur once.
    ///
    /// An element that is held exclusively leaves the batch: it can no longer be read or forwarded there, and
    /// [`read_all`](Batch::read_all) skips it.
    ///
    /// ```
    /// use torvyn_guest::{
    ///     Batch, BatchFailure, BatchProcessor, Config, Failure, Holder, Lease, Mode, Output, Scope, Stage, Writer, testing,
    /// };
    ///
    /// /// Joins each batch into one element, and at the end all batches into one.
    /// struct Join(Vec<Lease<Holder>>);
    ///
    /// impl Stage for Join {
    ///     fn new(_: &Config) -> Result<Self, Failure> {
    ///         Ok(Join(Vec::new()))
    ///     }
    /// }
    ///
    /// impl BatchProcessor<Holder> for Join {
    ///     fn process(&mut self, batch: Batch<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), BatchFailure> {
    ///         let lease = batch.lease(0..batch.len(), Mode::Shared, Scope::Stage)?;
    ///         out.join([&lease])?;
    ///         self.0.push(lease);
    ///         Ok(())
    ///     }
    ///
    ///     fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
    ///         out.join(&self.0)
    ///     }
    /// }
    ///
    /// let mut stage = Join(Vec::new());
    /// let joined = testing::process_batch(&mut stage, &[b"one, ", b"two, "])?;
    /// assert_eq!(joined[0].payload, b"one, two, ");
    /// testing::process_batch(&mut stage, &[b"three"])?;
    /// let (_, last) = testing::collect(|out| stage.flush(out))?;
    /// assert_eq!(last[0].payload, b"one, two, three");
    /// assert!(last[0].by_handle);
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if an element is not in the batch, [`Failure::InvalidInput`] if `indices` is empty or
    /// has a duplicate, [`Failure::Unavailable`] if `mode` is exclusive and an element is already held or something was
    /// already made of it, [`Failure::BudgetExceeded`] or [`Failure::LimitExceeded`] if the stage would hold too much,
    /// and [`Failure::DeadlineExceeded`] if the deadline of `scope` has passed. On an error nothing is held.
    pub fn lease(self, indices: impl IntoIterator<Item = u32>, mode: Mode, scope: Scope) -> Result<Lease<W>, Failure> {
        let indices: Vec<u32> = indices.into_iter().collect();
        let size = |index: &u32| self.sizes().get(*index as usize).copied().ok_or(Failure::OutOfBounds);
        let sizes = indices.iter().map(size).collect::<Result<_, _>>()?;
        Ok(Lease::new(self.frame.lent.take(&indices, mode, scope)?, sizes))
    }
}

/// The trace that an element is part of, as in the W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace ID.
    pub id: u128,
    /// The ID of the span in which the element entered the flow: the parent of whatever is done with the element.
    pub span: u64,
}

/// One element of a batch: its metadata, and its index, which stands for the payload that the host holds.
///
/// An `Element` is two scalars, passed by value through functions that are always inlined. This lets the analysis
/// follow the index through the code of the component to the host, and prove how often an element is read.
pub struct Element<'a, W> {
    frame: &'a Frame<'a>,
    index: u32,
    world: PhantomData<W>,
}

impl<W> Clone for Element<'_, W> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Element<'_, W> {}

impl<W> Element<'_, W> {
    /// The index of the element in the batch, from 0.
    #[inline(always)]
    pub fn index(self) -> u32 {
        self.index
    }

    /// The size of the payload in bytes.
    #[inline(always)]
    pub fn size(self) -> u64 {
        self.frame.value(0, self.index)
    }

    /// The number of the element at its source, from 0; `None` unless [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks
    /// for it.
    #[inline(always)]
    pub fn sequence(self) -> Option<u64> {
        self.frame.columns.contains(Columns::SEQUENCE).then(|| self.frame.value(1, self.index))
    }

    /// When the element entered the flow, in nanoseconds since the Unix epoch; `None` unless
    /// [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
    #[inline(always)]
    pub fn timestamp(self) -> Option<u64> {
        self.frame.columns.contains(Columns::TIMESTAMP).then(|| self.column(Columns::SEQUENCE, 0))
    }

    /// When the element should have reached the end of the flow, in nanoseconds since the Unix epoch. `None` if it has
    /// no deadline, and unless [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
    #[inline(always)]
    pub fn deadline(self) -> Option<u64> {
        let asked = self.frame.columns.contains(Columns::DEADLINE);
        let deadline = asked.then(|| self.column(Columns::SEQUENCE | Columns::TIMESTAMP, 0));
        deadline.filter(|deadline| *deadline != u64::MAX)
    }

    /// The trace that the element is part of. `None` if it is part of none, and unless
    /// [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
    #[inline(always)]
    pub fn trace(self) -> Option<Trace> {
        let before = Columns::SEQUENCE | Columns::TIMESTAMP | Columns::DEADLINE;
        let part = |nth| self.column(before, nth);
        let asked = self.frame.columns.contains(Columns::TRACE);
        let trace = asked.then(|| Trace { id: u128::from(part(0)) << 64 | u128::from(part(1)), span: part(2) });
        trace.filter(|trace| trace.id != 0)
    }

    /// The value in the `nth` column after the sizes and the requested columns among `before`.
    #[inline(always)]
    fn column(self, before: Columns, nth: u32) -> u64 {
        let asked = self.frame.columns.intersection(before).bits().count_ones();
        self.frame.value(1 + asked + nth, self.index)
    }
}

impl<W> Element<'_, W> {
    /// The value of attribute `name`, or `None` if the element has no such attribute. One crossing.
    ///
    /// See [`testing::Elements`](crate::testing::Elements) for an example.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] or [`Failure::LimitExceeded`] if no element can have an attribute of this name, and
    /// [`Failure::OutOfBounds`] if the element was held exclusively in this call.
    pub fn attribute(self, name: &str) -> Result<Option<String>, Failure> {
        self.frame.lent.attribute(self.index, name)
    }

    /// All attributes, sorted by name. One crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if the element was held exclusively in this call.
    pub fn attributes(self) -> Result<Vec<(String, String)>, Failure> {
        self.frame.lent.attributes(self.index)
    }
}

impl<W: ProcessorWorld> Element<'_, W> {
    /// Sets attribute `name` to `value`. One crossing.
    ///
    /// Everything that is made of the element in this call, before or after, gets the attribute.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] if the name is empty, or the name or the value contains a control character,
    /// [`Failure::LimitExceeded`] if the element would have more or longer attributes than the contract allows, and
    /// [`Failure::OutOfBounds`] if the element was held exclusively in this call. On an error nothing is changed.
    pub fn set_attribute(self, name: &str, value: &str) -> Result<(), Failure> {
        self.frame.lent.set_attribute(self.index, name, Some(value))
    }

    /// Removes attribute `name` if the element has it. One crossing.
    ///
    /// # Errors
    ///
    /// As [`attribute`](Element::attribute).
    pub fn remove_attribute(self, name: &str) -> Result<(), Failure> {
        self.frame.lent.set_attribute(self.index, name, None)
    }
}

impl<W: CanRead> Element<'_, W> {
    /// Reads the whole payload: one copy, one crossing.
    ///
    /// # Errors
    ///
    /// The failure of the host function, for example of a declared copy budget.
    #[inline(always)]
    pub fn read(self) -> Result<Vec<u8>, Failure> {
        self.read_range(0, self.size())
    }

    /// Reads `len` bytes of the payload from `offset`: one copy of those bytes, one crossing.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] if the range is not in the payload; otherwise as [`read`](Element::read).
    #[inline(always)]
    pub fn read_range(self, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        self.frame.lent.read(self.index, offset, len)
    }
}

impl<W: CanHold> Element<'_, W> {
    /// Holds the element beyond this call. One crossing.
    ///
    /// # Errors
    ///
    /// As [`Batch::lease`].
    pub fn lease(self, mode: Mode, scope: Scope) -> Result<Lease<W>, Failure> {
        Ok(Lease::new(self.frame.lent.take(&[self.index], mode, scope)?, vec![self.size()]))
    }
}
