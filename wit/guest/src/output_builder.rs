//! Elements in the making, from one end of a call to the other. In worlds with several ways to make elements it keeps
//! their order: what can be made in one crossing is collected, and handed over before something is made in another way.
//!
//! It is not generic, so that a stage is compiled together with little else: the smaller that is, the more is inlined, and
//! the more can be proven of it.

use crate::bindings::lifecycle::types::Failure;
use crate::columns::{Columns, bit};
use crate::host::{self, Held, Lent, Made, Piece};
use crate::lease::{Mode, Scope};

/// Elements in the making.
#[derive(Default)]
pub struct OutputBuilder {
    pub(crate) columns: Columns,
    /// What the entries of `columns` are, in a world where they can be different things.
    pub(crate) kind: Option<Kind>,
    pub(crate) ways: Ways,
    /// How many entries of `columns` are of elements before the current one.
    mark: usize,
    /// Of elements before the current one.
    made: Option<Made>,
    /// Of the current one: it goes after `made` when that is done.
    current: Option<Made>,
    made_elements: usize,
    made_bytes: u64,
    failure: Option<Failure>,
}

/// What entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Written, or passed on by handle: `payload-write.emit-all`.
    Written,
    /// Parts of payloads: `payload-view.slice-all`. In a world that cannot cut they are all whole, and go on from a lease.
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

/// As [`written`], where all that is made is written: there is nothing to append it to.
pub(crate) fn all_written(columns: &Columns, lent: Option<Lent<'_>>, made: &mut Option<Made>) -> Result<(), Failure> {
    *made = Some(host::emit_all(columns, lent)?);
    Ok(())
}

pub(crate) fn parts(columns: &Columns, lent: Option<Lent<'_>>, made: &mut Option<Made>) -> Result<(), Failure> {
    // Only what there is can have parts.
    put(made, lent.ok_or(Failure::OutOfBounds)?.slice_all(columns)?);
    Ok(())
}

/// The same where every part is the whole: it is held for this, and passed on from its lease.
pub(crate) fn wholes(columns: &Columns, lent: Option<Lent<'_>>, made: &mut Option<Made>) -> Result<(), Failure> {
    let mut indices = Vec::new();
    let mut places = Vec::new();
    for index in &columns.lineage {
        let known = indices.iter().position(|known| known == index);
        places.push(known.unwrap_or(indices.len()) as u32);
        if known.is_none() {
            indices.push(*index);
        }
    }
    let held = lent.ok_or(Failure::OutOfBounds)?.take(&indices, Mode::Shared, Scope::Stage)?;
    put(made, held.forward_all(&places, &columns.outputs)?);
    Ok(())
}

fn put(made: &mut Option<Made>, more: Made) {
    match made {
        Some(made) => host::append(made, more),
        None => *made = Some(more),
    }
}

impl OutputBuilder {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.made_elements + self.columns.sizes.len()
    }

    /// Bytes of the payloads that were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.made_bytes + self.columns.bytes.len() as u64
    }

    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        (self.kind, self.made, self.current, self.failure) = (None, None, None, None);
        self.mark = 0;
        (self.made_elements, self.made_bytes) = (0, 0);
    }

    /// What is made from here on is of another element than what was made before.
    #[inline(always)]
    pub(crate) fn begin_element(&mut self) {
        self.mark = self.columns.sizes.len();
    }

    /// As [`begin_element`](OutputBuilder::begin_element), in a world with several ways to make elements.
    #[inline]
    pub(crate) fn begin_element_of_several(&mut self) {
        self.begin_element();
        if let Some(current) = self.current.take() {
            put(&mut self.made, current);
        }
    }

    /// Gives up what was made of the current element. Tells whether anything was made before it.
    pub(crate) fn cut(&mut self) -> bool {
        self.columns.truncate(self.mark);
        self.current = None;
        if self.mark == 0 {
            self.kind = None;
        }
        self.mark > 0 || self.made.is_some()
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
            self.made_elements += self.columns.sizes.len();
            self.made_bytes += self.columns.bytes.len() as u64;
            let refused = self.make(way, lent).err();
            self.failure = self.failure.take().or(refused);
            self.columns.clear();
            self.mark = 0;
        }
    }

    /// Makes what was collected: what is of the current element apart, as it can be given up. Without a batch there is none.
    fn make(&mut self, way: Way, lent: Option<Lent<'_>>) -> Result<(), Failure> {
        if lent.is_none() {
            return way(&self.columns, lent, &mut self.made);
        }
        if self.mark == 0 {
            return way(&self.columns, lent, &mut self.current);
        }
        let current = (self.mark < self.columns.sizes.len()).then(|| self.columns.split_off(self.mark));
        way(&self.columns, lent, &mut self.made)?;
        current.map_or(Ok(()), |columns| way(&columns, lent, &mut self.current))
    }

    /// Puts elements that the host made after all those before.
    pub(crate) fn put(&mut self, lent: Option<Lent<'_>>, elements: u32, bytes: u64, more: Made) {
        self.close(lent);
        put(if lent.is_some() { &mut self.current } else { &mut self.made }, more);
        self.made_elements += elements as usize;
        self.made_bytes += bytes;
    }

    /// All that was made in this call, in a world with several ways to make it.
    pub(crate) fn settle(&mut self, lent: Option<Lent<'_>>) -> Result<Option<Made>, Failure> {
        if lent.is_some() {
            self.begin_element_of_several();
        }
        self.close(lent);
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(self.made.take()),
        }
    }

    pub(crate) fn freeze(
        &mut self,
        lent: Option<Lent<'_>>,
        lineage: u32,
        port: u32,
        piece: Piece,
        len: u64,
    ) -> Result<(), Failure> {
        let made = piece.freeze(lineage, bit(port), lent)?;
        self.put(lent, 1, len, made);
        Ok(())
    }

    pub(crate) fn join(&mut self, lent: Option<Lent<'_>>, port: u32, held: &[&Held]) -> Result<(), Failure> {
        let made = host::join(held, bit(port))?;
        self.put(lent, 1, 0, made);
        Ok(())
    }

    pub(crate) fn forward(
        &mut self,
        lent: Option<Lent<'_>>,
        held: &Held,
        indices: &[u32],
        port: u32,
    ) -> Result<(), Failure> {
        let outputs = if port == 0 { Vec::new() } else { vec![bit(port); indices.len()] };
        let made = held.forward_all(indices, &outputs)?;
        self.put(lent, indices.len() as u32, 0, made);
        Ok(())
    }
}
