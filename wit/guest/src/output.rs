//! What a stage makes of a batch: elements passed on by handle, and elements that it makes.

use std::marker::PhantomData;

use crate::batch::Element;
use crate::bindings::lifecycle::types::Failure;
use crate::buffer::Buffer;
use crate::columns::{OUTPUT_0, bit};
use crate::failure::BatchFailure;
use crate::host::{self, Lent, Made};
use crate::lease::Lease;
use crate::making::{self, Kind, OutputBuilder};
use crate::world::{CanBuffer, CanHold, CanSlice, CanWrite, Makes, ProcessorWorld};

/// A call that failed.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// The element that it failed at, and what became of those before it.
    pub(crate) reached: Option<(u32, Outcome)>,
}

/// What became of a batch.
pub enum Outcome {
    /// For each element the outputs it goes to.
    Routes(Vec<u32>),
    /// What the stage made, with what it passed on in between.
    Made(Made),
}

/// Where the elements of a batch go.
///
/// An element that is neither passed on nor made anything of is dropped. Elements come out in the order of the calls made
/// here; those forwarded before anything was made in the same batch come in the order of the batch.
pub struct Output<'a, W> {
    current: u32,
    routes: Vec<u32>,
    /// Whether the elements are listed in `making`; until something is made, `routes` says it all.
    listed: bool,
    lent: Lent<'a>,
    metadata: &'a [u64],
    making: &'a mut OutputBuilder,
    world: PhantomData<W>,
}

impl<'a, W: ProcessorWorld> Output<'a, W> {
    /// What is in the frame, and not the frame: in a function that is not inlined it would have to be in memory, and it
    /// could no longer be seen that a read is of a whole payload.
    pub(crate) fn new(lent: Lent<'a>, metadata: &'a [u64], count: u32, making: &'a mut OutputBuilder) -> Self {
        making.clear();
        Output {
            current: 0,
            routes: vec![0; count as usize],
            listed: false,
            lent,
            metadata,
            making,
            world: PhantomData,
        }
    }

    /// Makes `element` the one that the following calls are about. A per-element stage finds it done.
    #[inline(always)]
    pub fn at(&mut self, element: Element<'_, W>) -> &mut Self {
        let before = std::mem::replace(&mut self.current, element.index());
        match W::MAKES {
            Makes::Written if before != self.current => self.making.begin_element(),
            Makes::Several if before != self.current => self.making.begin_element_of_several(),
            Makes::Nothing | Makes::Written | Makes::Several => {}
        }
        self
    }

    /// Passes the element on to output 0, by handle.
    #[inline(always)]
    pub fn forward(&mut self) {
        self.forward_to(0);
    }

    /// Passes the element on to output `port`, by handle. It can go to several, and to each once.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    #[inline(always)]
    pub fn forward_to(&mut self, port: u32) {
        W::begin_forwarded(self.making);
        if W::MAKES != Makes::Nothing && self.listed {
            self.list_forward(port);
        } else {
            self.routes[self.current as usize] |= bit(port);
        }
    }

    fn list_forward(&mut self, port: u32) {
        let (index, outputs) = (self.current, bit(port));
        if W::MAKES == Makes::Written {
            return self.making.columns.forward(index, outputs);
        }
        // Parts can go to one output any number of times; what is passed on cannot.
        let known = &mut self.routes[index as usize];
        if *known & outputs == 0 {
            *known |= outputs;
            self.list_whole(index, outputs);
        }
    }

    /// Among what is written an element is passed on by handle; elsewhere it is a part that is the whole, and so needs no
    /// import of `payload-write`. What a `Holder` passes on among what it makes goes on from a lease.
    fn list_whole(&mut self, index: u32, outputs: u32) {
        if self.making.kind == Some(Kind::Written) {
            self.making.columns.forward(index, outputs);
        } else {
            self.making.turn_to(Kind::Parts, Some(self.lent));
            self.making.columns.forward_entire(index, self.metadata[index as usize], outputs);
        }
    }

    /// From the first element on that is made, what was forwarded before it is listed too.
    fn list(&mut self) {
        if !std::mem::replace(&mut self.listed, true) {
            for index in 0..self.routes.len() as u32 {
                match self.routes[index as usize] {
                    0 => {}
                    outputs if W::MAKES == Makes::Written => self.making.columns.forward(index, outputs),
                    outputs => self.list_whole(index, outputs),
                }
            }
        }
    }

    /// What became of the batch, as far as the stage came.
    #[inline(always)]
    pub(crate) fn end(mut self, done: Result<(), BatchFailure>) -> Result<Outcome, Failed> {
        let failed = match done {
            Ok(()) => None,
            Err(BatchFailure { failure, index: None }) => return Err(Failed { failure, reached: None }),
            Err(BatchFailure { failure, index: Some(index) }) => {
                self.cut(index);
                Some((failure, index))
            }
        };
        let outcome = W::finish(self);
        match failed {
            None => outcome.map_err(|failure| Failed { failure, reached: None }),
            Some((failure, index)) => Err(Failed { failure, reached: outcome.ok().map(|outcome| (index, outcome)) }),
        }
    }

    /// Leaves element `index` out, at which the stage failed, where the pipeline says so; then the call goes on.
    ///
    /// Inlined, so that no reference to the output is handed on: the compiler would no longer see that a stage which never
    /// writes has listed nothing, and its component would import `payload-write`.
    #[inline(always)]
    pub(crate) fn skip(&mut self, index: u32, failure: &Failure) -> bool {
        let skips = ask_to_skip(self.lent, index, failure);
        if skips {
            self.routes[index as usize] = 0;
            self.give_up(index);
        }
        skips
    }

    /// Gives up what became of element `index`, at which the stage failed, and with which the call ends.
    fn cut(&mut self, index: u32) {
        self.routes.truncate(index as usize);
        self.give_up(index);
    }

    /// Gives up what was made of element `index`, besides its route.
    fn give_up(&mut self, index: u32) {
        if W::MAKES != Makes::Nothing && self.listed && self.current == index {
            // What was forwarded before anything was made of those before is still in `routes`.
            self.listed = self.making.cut();
        }
    }

    /// In a world that makes nothing.
    pub(crate) fn into_routes(self) -> Vec<u32> {
        self.routes
    }

    /// In a world with several ways to make elements.
    pub(crate) fn settle(self) -> Result<Outcome, Failure> {
        if !self.listed {
            return Ok(Outcome::Routes(self.routes));
        }
        let made = self.making.settle(Some(self.lent))?;
        Ok(made.map_or_else(|| Outcome::Routes(vec![0; self.routes.len()]), Outcome::Made))
    }
}

#[cold]
#[inline(never)]
fn ask_to_skip(lent: Lent<'_>, index: u32, failure: &Failure) -> bool {
    lent.skip(index, failure)
}

impl<W: ProcessorWorld + CanWrite> Output<'_, W> {
    /// Writes an element to output 0. It takes over the metadata of the current one.
    #[inline(always)]
    pub fn write(&mut self, payload: &[u8]) {
        self.write_to(0, payload);
    }

    /// Writes an element to output `port`. It takes over the metadata of the current one.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        self.begin_written();
        self.making.columns.bytes.extend_from_slice(payload);
        self.making.columns.entry(payload.len() as u64, self.current, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets them zeroed.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.begin_written();
        self.making.columns.fill(len, fill);
        self.making.columns.entry(len as u64, self.current, OUTPUT_0);
    }

    #[inline]
    fn begin_written(&mut self) {
        W::begin_written(self.making, Some(self.lent));
        self.list();
    }

    /// In a world where all that is made is written.
    pub(crate) fn emit(self) -> Result<Outcome, Failure> {
        if self.listed {
            host::emit_all(&self.making.columns, Some(self.lent)).map(Outcome::Made)
        } else {
            Ok(Outcome::Routes(self.routes))
        }
    }
}

impl<W: CanSlice> Output<'_, W> {
    /// Makes an element of `len` bytes of the current one from `offset`, to output 0. It takes over the metadata. It is a
    /// view: no payload byte moves. There can be any number of them, overlapping or not.
    ///
    /// A part that is not in the payload fails the stage with [`Failure::OutOfBounds`] at the end of the call.
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
    /// Where `port` is above 31.
    pub fn slice_to(&mut self, port: u32, offset: u64, len: u64) {
        self.making.ways.parts = Some(making::parts);
        self.making.turn_to(Kind::Parts, Some(self.lent));
        self.list();
        self.making.columns.part(self.current, offset, len, bit(port));
    }
}

impl<W: CanBuffer + ProcessorWorld> Output<'_, W> {
    /// Makes an element of what was written to `buffer`, to output 0. It takes over the metadata of the current one.
    ///
    /// # Errors
    ///
    /// What the host refuses with. The buffer is given up then.
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
    /// Where `port` is above 31.
    pub fn freeze_to(&mut self, port: u32, buffer: Buffer<W>) -> Result<(), Failure> {
        self.list();
        let len = buffer.len();
        self.making.freeze(Some(self.lent), self.current, port, buffer.piece, len)
    }
}

impl<W: CanHold> Output<'_, W> {
    /// As [`Writer::join`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join<'l>(&mut self, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        self.join_to(0, leases)
    }

    /// As [`Writer::join_to`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn join_to<'l>(&mut self, port: u32, leases: impl IntoIterator<Item = &'l Lease<W>>) -> Result<(), Failure> {
        self.list();
        let held: Vec<_> = leases.into_iter().map(|lease| &lease.held).collect();
        self.making.join(Some(self.lent), port, &held)
    }

    /// As [`Writer::forward_lease`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forward_lease(&mut self, lease: &Lease<W>) -> Result<(), Failure> {
        self.forward_from(lease, 0..lease.len(), 0)
    }

    /// As [`Writer::forward_from`].
    ///
    /// # Errors
    ///
    /// As there.
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
        self.list();
        let indices: Vec<u32> = indices.into_iter().collect();
        self.making.forward(Some(self.lent), &lease.held, &indices, port)
    }
}
