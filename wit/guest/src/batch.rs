//! Elements, and the batch they are lent in.

use std::marker::PhantomData;

use crate::bindings::lifecycle::types::{Columns, Failure};
use crate::host::Lent;
use crate::lease::{Lease, Mode, Scope};
use crate::world::{CanHold, CanRead, ProcessorWorld};

/// What the host sent with a call.
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

    /// The value of `index` in column `nth` of those sent; column 0 is the sizes.
    #[inline(always)]
    fn value(&self, nth: u32, index: u32) -> u64 {
        self.metadata[(nth * self.count + index) as usize]
    }
}

/// The elements of one call, lent to the stage until the call returns.
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

    /// How many elements there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    #[inline(always)]
    pub fn len(self) -> u32 {
        self.frame.count
    }

    /// The sizes of the payloads in bytes, one for each element.
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
    /// The payloads of all elements, end to end: one copy of each, in one crossing.
    ///
    /// # Errors
    ///
    /// What the host refuses with; for a batch of the current call, a limit.
    #[inline(always)]
    pub fn read_all(self) -> Result<Vec<u8>, Failure> {
        self.frame.lent.read_all()
    }
}

impl<W: CanHold> Batch<'_, W> {
    /// Holds the elements that `indices` names beyond this call, in one crossing: a range, or any others, each once.
    ///
    /// What is held exclusively is not in the batch any more: it can neither be read nor passed on there, and
    /// [`read_all`](Batch::read_all) leaves it out.
    ///
    /// ```
    /// use torvyn_guest::{
    ///     Batch, BatchFailure, BatchProcessor, Config, Failure, Holder, Lease, Mode, Output, Scope, Stage, Writer, testing,
    /// };
    ///
    /// /// One element of each batch, and at the end one of all.
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
    /// let (_, last) = testing::written(|out| stage.flush(out))?;
    /// assert_eq!(last[0].payload, b"one, two, three");
    /// assert!(last[0].by_handle);
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where an element is not in the batch, [`Failure::InvalidInput`] where one is named twice or
    /// none is, [`Failure::Unavailable`] where one is asked for exclusively that is held or was made something of already,
    /// and [`Failure::BudgetExceeded`] where it is more than the stage may hold. Nothing is held then.
    pub fn lease(self, indices: impl IntoIterator<Item = u32>, mode: Mode, scope: Scope) -> Result<Lease<W>, Failure> {
        let indices: Vec<u32> = indices.into_iter().collect();
        let size = |index: &u32| self.sizes().get(*index as usize).copied().ok_or(Failure::OutOfBounds);
        let sizes = indices.iter().map(size).collect::<Result<_, _>>()?;
        Ok(Lease::new(self.frame.lent.take(&indices, mode, scope)?, sizes))
    }
}

/// The trace that an element is part of, as the W3C Trace Context has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: u128,
    /// The span that the element was brought into the flow in: the parent of what is done with it.
    pub span: u64,
}

/// One element: its metadata, and by its index the payload that the host holds.
///
/// It is two scalars, passed by value through functions that are always inlined: so the index that reaches the host
/// can be followed through the machine code of the component, and the number of reads of an element be proven.
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
    /// Its place in the batch, from 0.
    #[inline(always)]
    pub fn index(self) -> u32 {
        self.index
    }

    /// Bytes in the payload.
    #[inline(always)]
    pub fn size(self) -> u64 {
        self.frame.value(0, self.index)
    }

    /// The element's number at its source, from 0; `None` unless [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
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

    /// When the element should have reached the end of the flow, in nanoseconds since the Unix epoch; `None` where it
    /// has no deadline, or unless [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
    #[inline(always)]
    pub fn deadline(self) -> Option<u64> {
        let asked = self.frame.columns.contains(Columns::DEADLINE);
        let deadline = asked.then(|| self.column(Columns::SEQUENCE | Columns::TIMESTAMP, 0));
        deadline.filter(|deadline| *deadline != u64::MAX)
    }

    /// The trace that the element is part of; `None` where it is part of none, or unless
    /// [`Stage::COLUMNS`](crate::Stage::COLUMNS) asks for it.
    #[inline(always)]
    pub fn trace(self) -> Option<Trace> {
        let before = Columns::SEQUENCE | Columns::TIMESTAMP | Columns::DEADLINE;
        let part = |nth| self.column(before, nth);
        let asked = self.frame.columns.contains(Columns::TRACE);
        let trace = asked.then(|| Trace { id: u128::from(part(0)) << 64 | u128::from(part(1)), span: part(2) });
        trace.filter(|trace| trace.id != 0)
    }

    /// The value of the column `nth` after the sizes and those `before` it that were asked for.
    #[inline(always)]
    fn column(self, before: Columns, nth: u32) -> u64 {
        let asked = self.frame.columns.intersection(before).bits().count_ones();
        self.frame.value(1 + asked + nth, self.index)
    }
}

impl<W> Element<'_, W> {
    /// The value of its attribute `name`, in a crossing of its own; `None` where it has none of this name.
    ///
    /// [`testing::Elements`](crate::testing::Elements) shows it.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] and [`Failure::LimitExceeded`] where no element can have an attribute of this name, and
    /// [`Failure::OutOfBounds`] where the element was held exclusively in this call.
    pub fn attribute(self, name: &str) -> Result<Option<String>, Failure> {
        self.frame.lent.attribute(self.index, name)
    }

    /// All its attributes, in the order of their names, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where the element was held exclusively in this call.
    pub fn attributes(self) -> Result<Vec<(String, String)>, Failure> {
        self.frame.lent.attributes(self.index)
    }
}

impl<W: ProcessorWorld> Element<'_, W> {
    /// Gives it the attribute `name`, or another value of it, in a crossing of its own. Whatever comes of the element in
    /// this call, before or after, has it then.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`] where the name is empty, or a control character is in it or in the value,
    /// [`Failure::LimitExceeded`] where the element would have more attributes than it can, and [`Failure::OutOfBounds`]
    /// where it was held exclusively in this call. Nothing is changed then.
    pub fn set_attribute(self, name: &str, value: &str) -> Result<(), Failure> {
        self.frame.lent.set_attribute(self.index, name, Some(value))
    }

    /// Takes the attribute `name` away from it, if it has it, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// As [`attribute`](Element::attribute).
    pub fn remove_attribute(self, name: &str) -> Result<(), Failure> {
        self.frame.lent.set_attribute(self.index, name, None)
    }
}

impl<W: CanRead> Element<'_, W> {
    /// The whole payload: one copy, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// What the host refuses with; a declared copy budget, for one.
    #[inline(always)]
    pub fn read(self) -> Result<Vec<u8>, Failure> {
        self.read_range(0, self.size())
    }

    /// `len` bytes of the payload from `offset`: one copy of those, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where the payload does not have them.
    #[inline(always)]
    pub fn read_range(self, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        self.frame.lent.read(self.index, offset, len)
    }
}

impl<W: CanHold> Element<'_, W> {
    /// Holds the element beyond this call, in a crossing of its own.
    ///
    /// # Errors
    ///
    /// As [`Batch::lease`].
    pub fn lease(self, mode: Mode, scope: Scope) -> Result<Lease<W>, Failure> {
        Ok(Lease::new(self.frame.lent.take(&[self.index], mode, scope)?, vec![self.size()]))
    }
}
