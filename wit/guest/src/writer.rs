//! Elements that are made without regard to a batch, and what `output` makes of one. In worlds with several ways to make elements it keeps their order:
//! what can be made in one crossing is collected, and handed over before something is made in another way.

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::lifecycle::types::Failure;
use crate::buffer::Buffer;
use crate::columns::{Columns, NO_LINEAGE, OUTPUT_0, bit};
use crate::host::{self, Lent, Made};
use crate::lease::Lease;
use crate::world::{CanBuffer, CanHold, CanWrite, DataSource};

/// Elements being made, in order.
pub struct Writer<W = DataSource> {
    pub(crate) columns: Columns,
    /// What the entries of `columns` are, in a world where they can be different things.
    pub(crate) kind: Option<Kind>,
    pub(crate) ways: Ways,
    made: Option<Made>,
    made_elements: usize,
    made_bytes: u64,
    failure: Option<Failure>,
    world: PhantomData<fn() -> W>,
}

/// What entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Written, or passed on by handle: `payload-write.emit-all`.
    Written,
    /// Parts of payloads: `payload-view.slice-all`.
    Parts,
}

/// Makes elements of all entries, and puts them after those that were made before.
pub(crate) type Way = fn(&Columns, Option<Lent<'_>>, &mut Option<Made>) -> Result<(), Failure>;

/// How entries are made, where there were any. A way is known from the first call on that needs it: so a stage that
/// makes no such call has no code for it, however it is compiled, and its component does not import it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways {
    pub(crate) written: Option<Way>,
    pub(crate) parts: Option<Way>,
}

pub(crate) fn written(columns: &Columns, lent: Option<Lent<'_>>, made: &mut Option<Made>) -> Result<(), Failure> {
    put(made, host::emit_all(columns, lent)?);
    Ok(())
}

pub(crate) fn parts(columns: &Columns, lent: Option<Lent<'_>>, made: &mut Option<Made>) -> Result<(), Failure> {
    // Only what there is can have parts.
    put(made, lent.ok_or(Failure::OutOfBounds)?.slice_all(columns)?);
    Ok(())
}

fn put(made: &mut Option<Made>, more: Made) {
    match made {
        Some(made) => host::append(made, more),
        None => *made = Some(more),
    }
}

impl<W> Default for Writer<W> {
    fn default() -> Self {
        Writer {
            columns: Columns::default(),
            kind: None,
            ways: Ways::default(),
            made: None,
            made_elements: 0,
            made_bytes: 0,
            failure: None,
            world: PhantomData,
        }
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
        self.made_elements + self.columns.sizes.len()
    }

    /// Whether nothing was made in this call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the payloads that were written in this call.
    pub(crate) fn bytes(&self) -> u64 {
        self.made_bytes + self.columns.bytes.len() as u64
    }

    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        (self.kind, self.made, self.failure) = (None, None, None);
        (self.made_elements, self.made_bytes) = (0, 0);
    }

    /// From here on entries are of that kind.
    pub(crate) fn turn_to(&mut self, kind: Kind, lent: Option<Lent<'_>>) {
        if self.kind != Some(kind) {
            self.close(lent);
            self.kind = Some(kind);
        }
    }

    /// Makes what was collected. Where the host refuses it, the end of the call tells.
    fn close(&mut self, lent: Option<Lent<'_>>) {
        let way = match self.kind.take() {
            Some(Kind::Written) => self.ways.written,
            Some(Kind::Parts) => self.ways.parts,
            None => None,
        };
        if let Some(way) = way {
            let refused = way(&self.columns, lent, &mut self.made).err();
            self.failure = self.failure.take().or(refused);
            self.made_elements += self.columns.sizes.len();
            self.made_bytes += self.columns.bytes.len() as u64;
            self.columns.clear();
        }
    }

    /// Puts elements that the host made after all those before.
    fn put(&mut self, lent: Option<Lent<'_>>, elements: u32, more: Made) {
        self.close(lent);
        put(&mut self.made, more);
        self.made_elements += elements as usize;
    }

    /// All that was made in this call, in a world with several ways to make it.
    pub(crate) fn settle(&mut self, lent: Option<Lent<'_>>) -> Result<Option<Made>, Failure> {
        self.close(lent);
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(self.made.take()),
        }
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
        W::begin_written(self, None);
        self.columns.bytes.extend_from_slice(payload);
        self.columns.entry(payload.len() as u64, NO_LINEAGE, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets them zeroed.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        W::begin_written(self, None);
        self.columns.fill(len, fill);
        self.columns.entry(len as u64, NO_LINEAGE, OUTPUT_0);
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
        self.put_frozen(None, NO_LINEAGE, port, buffer)
    }

    pub(crate) fn put_frozen(
        &mut self,
        lent: Option<Lent<'_>>,
        lineage: u32,
        port: u32,
        buffer: Buffer<W>,
    ) -> Result<(), Failure> {
        let len = buffer.len();
        let made = buffer.piece.freeze(lineage, bit(port), lent)?;
        self.put(lent, 1, made);
        self.made_bytes += len;
        Ok(())
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
    pub fn join<'l>(&mut self, leases: impl IntoIterator<Item = &'l Lease>) -> Result<(), Failure> {
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
    pub fn join_to<'l>(&mut self, port: u32, leases: impl IntoIterator<Item = &'l Lease>) -> Result<(), Failure> {
        self.put_joined(None, port, leases)
    }

    /// Passes all elements of `lease` on to output 0, with their metadata. From a shared one they go to each output once;
    /// from an exclusive one they go on once, and are not held any more.
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfBounds`] where an element is not held any more, [`Failure::DeadlineExceeded`] where the scope has
    /// ended, and what else the host refuses with. Nothing is passed on then.
    pub fn forward_lease(&mut self, lease: &Lease) -> Result<(), Failure> {
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
        lease: &Lease,
        indices: impl IntoIterator<Item = u32>,
        port: u32,
    ) -> Result<(), Failure> {
        self.put_forwarded(None, lease, indices, port)
    }

    pub(crate) fn put_joined<'l>(
        &mut self,
        lent: Option<Lent<'_>>,
        port: u32,
        leases: impl IntoIterator<Item = &'l Lease>,
    ) -> Result<(), Failure> {
        let held: Vec<_> = leases.into_iter().map(|lease| &lease.held).collect();
        let made = host::join(&held, bit(port))?;
        self.put(lent, 1, made);
        Ok(())
    }

    pub(crate) fn put_forwarded(
        &mut self,
        lent: Option<Lent<'_>>,
        lease: &Lease,
        indices: impl IntoIterator<Item = u32>,
        port: u32,
    ) -> Result<(), Failure> {
        let indices: Vec<u32> = indices.into_iter().collect();
        let outputs = if port == 0 { Vec::new() } else { vec![bit(port); indices.len()] };
        let made = lease.held.forward_all(&indices, &outputs)?;
        self.put(lent, indices.len() as u32, made);
        Ok(())
    }
}
