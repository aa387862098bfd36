//! [`Output`]: where a processor forwards the elements of a batch and makes new ones.

use std::marker::PhantomData;

use crate::batch::Element;
use crate::bindings::lifecycle::types::Failure;
use crate::buffer::Buffer;
use crate::columns::{OUTPUT_0, bit};
use crate::failure::BatchFailure;
use crate::host::{self, HostOutput, Lent};
use crate::lease::Lease;
use crate::output_builder::{self, EntryKind, OutputBuilder};
use crate::world::{CanBuffer, CanHold, CanSlice, CanWrite, Makes, ProcessorWorld};

/// A call that failed.
pub(crate) struct FailedCall {
    pub(crate) failure: Failure,
    /// The element that the call failed on, and what happens to the elements before.
    pub(crate) reached: Option<(u32, Outcome)>,
}

/// What happens to the elements of a batch.
pub enum Outcome {
    /// For each element, the set of outputs that it is forwarded to.
    Routes(Vec<u32>),
    /// The elements that the stage made, together with those that it forwarded.
    Output(HostOutput),
}

/// Takes the elements that a processor forwards or makes of a batch.
///
/// An element is dropped if it is not forwarded and nothing is made of it. Elements come out in the order of the calls
/// of these methods; only those that are forwarded before the first element of the batch is made come in the order of
/// the batch.
pub struct Output<'a, W> {
    current: u32,
    routes: Vec<u32>,
    /// Whether the builder lists all elements. Until the first element is made, `routes` is enough.
    listed: bool,
    lent: Lent<'a>,
    metadata: &'a [u64],
    builder: &'a mut OutputBuilder,
    world: PhantomData<W>,
}

impl<'a, W: ProcessorWorld> Output<'a, W> {
    /// Takes the contents of the frame and not a reference to it: for a function that is not inlined, the frame would
    /// have to be in memory, and the analysis could no longer see that a read is of a whole payload.
    pub(crate) fn new(lent: Lent<'a>, metadata: &'a [u64], count: u32, builder: &'a mut OutputBuilder) -> Self {
        builder.clear();
        Output {
            current: 0,
            routes: vec![0; count as usize],
            listed: false,
            lent,
            metadata,
            builder,
            world: PhantomData,
        }
    }

    /// Makes `element` the current element: the following calls forward it or make elements of it. In a per-element
    /// stage this is already done.
    #[inline(always)]
    pub fn at(&mut self, element: Element<'_, W>) -> &mut Self {
        let before = std::mem::replace(&mut self.current, element.index());
        match W::MAKES {
            Makes::Written if before != self.current => self.builder.begin_element(),
            Makes::Several if before != self.current => self.builder.begin_element_of_several(),
            Makes::Nothing | Makes::Written | Makes::Several => {}
        }
        self
    }

    /// Forwards the current element to output 0, by handle.
    #[inline(always)]
    pub fn forward(&mut self) {
        self.forward_to(0);
    }

    /// Forwards the current element to output `port`, by handle. It can go to several outputs, and to each once.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    #[inline(always)]
    pub fn forward_to(&mut self, port: u32) {
        W::begin_forwarded(self.builder);
        if W::MAKES != Makes::Nothing && self.listed {
            self.list_forward(port);
        } else {
            self.routes[self.current as usize] |= bit(port);
        }
    }

    fn list_forward(&mut self, port: u32) {
        let (index, outputs) = (self.current, bit(port));
        if W::MAKES == Makes::Written {
            return self.builder.columns.forward(index, outputs);
        }
        // Parts can go to one output any number of times; a forwarded element cannot.
        let known = &mut self.routes[index as usize];
        if *known & outputs == 0 {
            *known |= outputs;
            self.list_whole(index, outputs);
        }
    }

    /// Lists a forwarded element among those that are made: by handle among written ones, elsewhere as a part that is
    /// the whole payload, which needs no import of `payload-write`. A `Holder` forwards it from a lease.
    fn list_whole(&mut self, index: u32, outputs: u32) {
        if self.builder.kind == Some(EntryKind::Written) {
            self.builder.columns.forward(index, outputs);
        } else {
            self.builder.set_kind(EntryKind::Parts, Some(self.lent));
            self.builder.columns.forward_entire(index, self.metadata[index as usize], outputs);
        }
    }

    /// Starts listing, before the first element is made: lists the elements that were forwarded so far.
    fn list_forwarded(&mut self) {
        if !std::mem::replace(&mut self.listed, true) {
            // Not at the end of the call: it would then divide the memory that a large payload has left.
            self.builder.columns.lineage.reserve(self.routes.len());
            for index in 0..self.routes.len() as u32 {
                match self.routes[index as usize] {
                    0 => {}
                    outputs if W::MAKES == Makes::Written => self.builder.columns.forward(index, outputs),
                    outputs => self.list_whole(index, outputs),
                }
            }
        }
    }

    /// What happens to the batch, up to the element that the stage failed on.
    #[inline(always)]
    pub(crate) fn end(mut self, done: Result<(), BatchFailure>) -> Result<Outcome, FailedCall> {
        let failed = match done {
            Ok(()) => None,
            Err(BatchFailure { failure, index: None }) => return Err(FailedCall { failure, reached: None }),
            Err(BatchFailure { failure, index: Some(index) }) => {
                self.truncate(index);
                Some((failure, index))
            }
        };
        let outcome = W::finish(self);
        match failed {
            None => outcome.map_err(|failure| FailedCall { failure, reached: None }),
            Some((failure, index)) => {
                Err(FailedCall { failure, reached: outcome.ok().map(|outcome| (index, outcome)) })
            }
        }
    }

    /// Skips element `index`, which the stage failed on, if the pipeline says so. Returns whether the call can
    /// continue.
    ///
    /// Inlined, so that no reference to the output escapes: the compiler could no longer see that a stage which never
    /// writes has listed nothing, and its component would import `payload-write`.
    #[inline(always)]
    pub(crate) fn skip(&mut self, index: u32, failure: &Failure) -> bool {
        let skips = ask_to_skip(self.lent, index, failure);
        if skips {
            self.routes[index as usize] = 0;
            self.discard(index);
        }
        skips
    }

    /// Discards everything from element `index` on: the stage failed on it, and the call ends.
    fn truncate(&mut self, index: u32) {
        self.routes.truncate(index as usize);
        self.discard(index);
    }

    /// Discards the elements that were made of element `index`. Its route is not changed.
    fn discard(&mut self, index: u32) {
        if W::MAKES != Makes::Nothing && self.listed && self.current == index {
            // If nothing was made of earlier elements, their routes are still in `routes`.
            self.listed = self.builder.discard_current();
        }
    }

    /// In a world that makes nothing.
    pub(crate) fn into_routes(self) -> Vec<u32> {
        self.routes
    }

    /// In a world with several ways to make elements.
    pub(crate) fn finish(self) -> Result<Outcome, Failure> {
        if !self.listed {
            return Ok(Outcome::Routes(self.routes));
        }
        let output = self.builder.finish(Some(self.lent))?;
        Ok(output.map_or_else(|| Outcome::Routes(vec![0; self.routes.len()]), Outcome::Output))
    }
}

#[cold]
#[inline(never)]
fn ask_to_skip(lent: Lent<'_>, index: u32, failure: &Failure) -> bool {
    lent.skip(index, failure)
}

impl<W: ProcessorWorld + CanWrite> Output<'_, W> {
    /// Writes an element to output 0. It inherits the metadata of the current element.
    #[inline(always)]
    pub fn write(&mut self, payload: &[u8]) {
        self.write_to(0, payload);
    }

    /// Writes an element to output `port`. It inherits the metadata of the current element.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        self.begin_written();
        self.builder.columns.bytes.extend_from_slice(payload);
        self.list_written(payload.len(), bit(port));
    }

    /// Writes an element to output 0 whose bytes are those of `payload`, each as `map` makes it. This is the quickest way to make
    /// one byte of another. `map` may be called for a byte more than once.
    ///
    /// ```
    /// # use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform, testing};
    /// # struct Upper;
    /// # impl Stage for Upper {
    /// #     fn new(_: &Config) -> Result<Self, Failure> {
    /// #         Ok(Upper)
    /// #     }
    /// # }
    /// # type Out<'a> = Output<'a, Transform>;
    /// # impl PayloadProcessor<Transform> for Upper {
    /// #     fn process(&mut self, _: Element<'_, Transform>, payload: &[u8], out: &mut Out<'_>) -> Result<(), Failure> {
    /// out.write_mapped(payload, |byte| byte.to_ascii_uppercase());
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let made = testing::process_with_payloads(&mut Upper, &[b"one"])?;
    /// # assert_eq!(made[0].payload, b"ONE");
    /// # Ok::<(), Failure>(())
    /// ```
    // Not inlined: a stage that does only this is then small enough to be inlined where it is called, so the compiler sees that
    // it cannot fail, and its component does not import `skip`.
    #[inline(never)]
    pub fn write_mapped(&mut self, payload: &[u8], map: impl Fn(u8) -> u8) {
        self.begin_written();
        self.builder.columns.append_mapped(payload, map);
        self.list_written(payload.len(), OUTPUT_0);
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets a zeroed slice of that length.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.begin_written();
        self.builder.columns.fill(len, fill);
        self.list_written(len, OUTPUT_0);
    }

    #[inline]
    fn begin_written(&mut self) {
        W::begin_written(self.builder, Some(self.lent));
        self.list_forwarded();
    }

    #[inline(always)]
    fn list_written(&mut self, len: usize, outputs: u32) {
        if W::MAKES == Makes::Written {
            self.builder.columns.entry_of(len as u64, self.current, outputs);
        } else {
            self.builder.columns.entry(len as u64, self.current, outputs);
        }
    }

    /// In a world that makes elements by writing only.
    pub(crate) fn emit(self) -> Result<Outcome, Failure> {
        if self.listed {
            self.builder.columns.list_lineage();
            host::emit_all(&self.builder.columns, Some(self.lent)).map(Outcome::Output)
        } else {
            Ok(Outcome::Routes(self.routes))
        }
    }
}

impl<W: CanSlice> Output<'_, W> {
    /// Sends a part of the current element to output 0: `len` bytes from `offset`, as an element with the same
    /// metadata.
    ///
    /// The part is a view: no payload byte moves. An element can have any number of parts, overlapping or not. A part
    /// that is not in the payload fails the stage with [`Failure::OutOfBounds`] at the end of the call.
    ///
    /// ```
    /// use torvyn_guest::{Config, Element, Failure, Output, Processor, Slicer, Stage, testing};
    ///
    /// /// The first half of each element to output 0, the rest to output 1.
    /// struct Halves;
    ///
    /// impl Stage for Halves {
    ///     fn new(_: &Config) -> Result<Self, Failure> {
    ///         Ok(Halves)
    ///     }
    /// }
    ///
    /// impl Processor<Slicer> for Halves {
    ///     fn process(&mut self, element: Element<'_, Slicer>, out: &mut Output<'_, Slicer>) -> Result<(), Failure> {
    ///         let half = element.size() / 2;
    ///         out.slice(0, half);
    ///         out.slice_to(1, half, element.size() - half);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let halves = testing::process(&mut Halves, &[b"before"])?;
    /// assert_eq!((&*halves[0].payload, &*halves[1].payload), (&b"bef"[..], &b"ore"[..]));
    /// assert!(halves[0].by_handle);
    /// # Ok::<(), Failure>(())
    /// ```
    #[inline]
    pub fn slice(&mut self, offset: u64, len: u64) {
        self.slice_to(0, offset, len);
    }

    /// As [`slice`](Output::slice), to output `port`.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    pub fn slice_to(&mut self, port: u32, offset: u64, len: u64) {
        self.builder.emit_fns.parts = Some(output_builder::emit_parts);
        self.builder.set_kind(EntryKind::Parts, Some(self.lent));
        self.list_forwarded();
        self.builder.columns.part(self.current, offset, len, bit(port));
    }
}

impl<W: CanBuffer + ProcessorWorld> Output<'_, W> {
    /// Sends `buffer` to output 0, as an element with the metadata of the current element.
    ///
    /// # Errors
    ///
    /// The failure of the host function. The buffer is then discarded.
    pub fn freeze(&mut self, buffer: Buffer<W>) -> Result<(), Failure> {
        self.freeze_to(0, buffer)
    }

    /// As [`freeze`](Output::freeze), to output `port`.
    ///
    /// # Errors
    ///
    /// As `freeze`.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    pub fn freeze_to(&mut self, port: u32, buffer: Buffer<W>) -> Result<(), Failure> {
        self.list_forwarded();
        let len = buffer.len();
        self.builder.freeze(Some(self.lent), self.current, port, buffer.host, len)
    }
}

impl<W: CanHold> Output<'_, W> {
    /// As [`Writer::join`].
    ///
    /// # Errors
    ///
    /// As for `Writer`.
    pub fn join<'l>(&mut self, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        self.join_to(0, leases)
    }

    /// As [`Writer::join_to`].
    ///
    /// # Errors
    ///
    /// As for `Writer`.
    ///
    /// # Panics
    ///
    /// If `port` is above 31.
    pub fn join_to<'l>(&mut self, port: u32, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        self.list_forwarded();
        let leases: Vec<_> = leases.into_iter().map(|lease| &lease.host).collect();
        self.builder.join(Some(self.lent), port, &leases)
    }

    /// As [`Writer::forward_lease`].
    ///
    /// # Errors
    ///
    /// As for `Writer`.
    pub fn forward_lease(&mut self, lease: &Lease<W>) -> Result<(), Failure> {
        self.forward_from(lease, 0..lease.len(), 0)
    }

    /// As [`Writer::forward_from`].
    ///
    /// # Errors
    ///
    /// As for `Writer`.
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
        self.list_forwarded();
        let indices: Vec<u32> = indices.into_iter().collect();
        self.builder.forward(Some(self.lent), &lease.host, &indices, port)
    }
}
