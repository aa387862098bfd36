//! The elements that a stage holds beyond the calls that lent them: in which leases, and until when.
//!
//! A lease is a list of elements that were lent in one call. An element in several leases is kept here once, with how often
//! it was read so far and whether it was consumed.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use wasmtime::component::{ComponentType, Lift};

use super::host_memory;
use super::meter::{ElementReads, Meter};
use super::slab::Slab;
use crate::ledger::ownership;
use crate::payload::element::{Context, Element};
use crate::payload::{Batch, ElementSet, Pinned};

/// In place of an index: there is none.
const NONE: u32 = u32::MAX;

/// Who else may access a held element.
#[derive(Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Mode {
    #[component(name = "shared")]
    #[cfg_attr(not(test), expect(dead_code, reason = "it comes from a stage"))]
    Shared,
    #[component(name = "exclusive")]
    Exclusive,
}

impl From<Mode> for ownership::Mode {
    fn from(mode: Mode) -> ownership::Mode {
        match mode {
            Mode::Shared => ownership::Mode::Shared,
            Mode::Exclusive => ownership::Mode::Exclusive,
        }
    }
}

/// What a stage held beyond the calls that lent it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeaseUse {
    /// Leases it took.
    pub taken: u64,
    /// The most elements held at once. An element in two leases counts twice.
    pub elements_max: u64,
    /// The most payload bytes of these elements.
    pub bytes_max: u64,
    /// The most host memory that held elements kept beyond their own bytes: a payload keeps the whole buffer it is a part of.
    pub pinned_max: u64,
    /// Leases that ended at their deadline.
    pub expired: u64,
    /// Leases that ended with the stage.
    pub at_end: u64,
}

/// The leases of a stage and the elements in them.
pub(crate) struct Leases {
    leases: Slab<Lease>,
    held: Slab<Held>,
    /// For each element of the batch, its place in `held`; empty until one is held.
    here: Vec<u32>,
    /// The elements that left the batch.
    exclusive: ElementSet,
    /// Elements of `held` that are in no lease any more. They stay until it is known whether the call consumed them.
    released: Vec<u32>,
    /// The earliest deadline.
    deadline: Option<Instant>,
    /// Elements held now, counted once per lease.
    elements: u64,
    /// Their payload bytes.
    bytes: u64,
    /// Bytes of the attributes of held elements, each element counted once.
    attributes: u64,
    /// Bytes of host memory charged for held elements, besides payloads.
    structures: u64,
    /// The buffers of held elements.
    pinned: Pinned,
    /// Whether released payloads stay until the call has ended, so that the call can be undone.
    keeps_released: bool,
    /// How many elements the stage was lent before this batch.
    lent_before: u64,
    /// The held element that was lent first: its place and its `lent_before`, as when they were last looked for.
    oldest: Option<(u32, u64)>,
    pub(crate) used: LeaseUse,
}

/// A lease, for as long as the stage has its handle.
enum Lease {
    Held {
        mode: Mode,
        deadline: Option<Instant>,
        entries: Vec<Entry>,
    },
    /// The host took the elements back. There were `taken` of them.
    Over {
        taken: u32,
    },
}

impl Lease {
    /// How many elements the lease had at first.
    fn taken(&self) -> u32 {
        match self {
            Lease::Held { entries, .. } => entries.len() as u32,
            Lease::Over { taken } => *taken,
        }
    }
}

/// An element in a lease.
#[derive(Clone, Copy)]
struct Entry {
    place: u32,
    /// The outputs that it was sent to by handle, as bits.
    sent: u32,
    /// Whether it was passed on and is no longer held.
    gone: bool,
}

/// A held element.
pub(super) struct Held {
    pub(super) element: Element,
    /// What was read of it before this call, and in this call if it is not in the batch.
    pub(super) read: ElementReads,
    /// How often it was read before the call that lent it: in failed calls, or while it was held by a stage that restarted.
    pub(super) before: u32,
    /// Its index in the batch, or `NONE`.
    pub(super) index: u32,
    /// The number of leases that contain it.
    leases: u32,
    /// How many elements the stage was lent before the batch that it came in.
    lent_before: u64,
    /// Bytes of its attributes, as counted.
    attributes: u64,
    /// Its charge while it is held; see [`host_memory`].
    structures: u64,
    /// Whether an element made of it was sent on.
    consumed: bool,
}

/// Why an operation on a lease is refused.
pub(super) enum Refused {
    /// The lease is over.
    Over,
    /// The lease has no such element any more.
    Gone,
    /// The element would go to this output a second time.
    Twice(u32),
}

impl Leases {
    pub(super) fn new(pinned: Pinned) -> Leases {
        Leases {
            leases: Slab::new(),
            held: Slab::new(),
            here: Vec::new(),
            exclusive: ElementSet::EMPTY,
            released: Vec::new(),
            deadline: None,
            elements: 0,
            bytes: 0,
            attributes: 0,
            structures: 0,
            pinned,
            keeps_released: false,
            lent_before: 0,
            oldest: None,
            used: LeaseUse::default(),
        }
    }

    /// Keeps released payloads until the call has ended from now on, so that a failed call can be undone.
    pub(crate) fn keep_released(&mut self) {
        self.keeps_released = true;
    }

    /// Notes how many elements the stage was lent before the batch that is lent next.
    #[inline]
    pub(crate) fn begin_batch(&mut self, lent_before: u64) {
        self.lent_before = lent_before;
    }

    /// Of the elements that the stage was lent, none of the first ones up to this number is held.
    pub(crate) fn released_up_to(&mut self) -> u64 {
        if self.elements == 0 {
            return u64::MAX;
        }
        let is_held = |held: &Held| held.leases > 0;
        if let Some((place, before)) = self.oldest
            && self.held.get(place).is_some_and(|held| is_held(held) && held.lent_before == before)
        {
            return before;
        }
        let held = self.held.iter().filter(|(_, held)| is_held(held)).map(|(place, held)| (place, held.lent_before));
        self.oldest = held.min_by_key(|(_, before)| *before);
        self.oldest.map_or(u64::MAX, |(_, before)| before)
    }

    /// The elements that left the batch.
    #[inline]
    pub(crate) fn exclusive(&self) -> ElementSet {
        self.exclusive
    }

    /// Whether an element of the batch is in a lease.
    pub(super) fn holds(&self, index: usize) -> bool {
        let held = self.here.get(index).and_then(|place| self.held.get(*place));
        held.is_some_and(|held| held.leases > 0)
    }

    /// The index in the batch of an element that was held in this call.
    pub(super) fn index_of(&self, place: u32) -> Option<u32> {
        self.here.iter().position(|here| *here == place).map(|index| index as u32)
    }

    /// The elements and payload bytes held after adding this many.
    pub(super) fn totals_with(&self, elements: u64, bytes: u64) -> (u64, u64) {
        (self.elements.saturating_add(elements), self.bytes.saturating_add(bytes))
    }

    /// Takes a lease on elements of the batch, by their indices. With an exclusive lease they leave the batch; `own` has the
    /// payloads that were copied to their own buffers for that. The caller has checked that the lease is allowed.
    pub(super) fn take(
        &mut self,
        batch: &mut Batch,
        indices: &[usize],
        mode: Mode,
        own: Vec<Option<crate::payload::Payload>>,
        deadline: Option<Instant>,
        meter: &mut Meter,
    ) -> u32 {
        self.here.resize(batch.len(), NONE);
        let mut own = own.into_iter();
        let mut entries = Vec::with_capacity(indices.len());
        for &index in indices {
            let Some(element) = batch.get_mut(index) else { continue };
            let place = self.place(element, index, meter.read_before(index));
            let Some(held) = self.held.get_mut(place) else { continue };
            held.leases += 1;
            if mode == Mode::Exclusive {
                self.exclusive.insert(index);
                element.payload = Default::default();
                if let Some(payload) = own.next().flatten() {
                    held.element.payload = payload;
                }
                held.read = meter.leave(index, held.element.payload.len() as u64);
                held.index = NONE;
            }
            if held.leases == 1 {
                held.attributes = held.element.attributes().bytes() as u64;
                self.attributes += held.attributes;
                held.structures = host_memory::held((&held.element).into());
                self.structures += held.structures;
                self.pinned.add(&held.element.payload, mode.into());
            }
            self.elements += 1;
            self.bytes += held.element.payload.len() as u64;
            entries.push(Entry { place, sent: 0, gone: false });
        }
        self.deadline = self.deadline.into_iter().chain(deadline).min();
        self.used.pinned_max = self.used.pinned_max.max(self.pinned.bytes());
        self.used.taken += 1;
        self.used.elements_max = self.used.elements_max.max(self.elements);
        self.used.bytes_max = self.used.bytes_max.max(self.bytes);
        self.leases.insert(Lease::Held { mode, deadline, entries })
    }

    /// Bytes of the attributes of held elements.
    pub(super) fn attributes(&self) -> u64 {
        self.attributes
    }

    /// Bytes of host memory charged for held elements, besides payloads.
    pub(super) fn structures(&self) -> u64 {
        self.structures
    }

    /// An element that is held, or was held in this call.
    pub(super) fn element(&self, place: u32) -> Option<&Element> {
        Some(&self.held.get(place)?.element)
    }

    /// Sets the context of a batch element on its held copy too, if it is held in this call.
    pub(super) fn set_context(&mut self, index: usize, context: &Option<Arc<Context>>) {
        let Some(held) = self.here.get(index).and_then(|place| self.held.get_mut(*place)) else { return };
        held.element.context.clone_from(context);
        if held.leases > 0 {
            let bytes = held.element.attributes().bytes() as u64;
            self.attributes = self.attributes - held.attributes + bytes;
            held.attributes = bytes;
            let structures = host_memory::held((&held.element).into());
            self.structures = self.structures - held.structures + structures;
            held.structures = structures;
        }
    }

    /// Bytes of host memory that held elements keep beyond their own bytes.
    pub(super) fn pinned_bytes(&self) -> u64 {
        self.pinned.bytes()
    }

    /// Copies held elements that keep more than their own bytes to memory of their own. Returns the bytes copied.
    pub(super) fn compact(&mut self) -> io::Result<u64> {
        let held = self.held.iter_mut().filter(|held| held.leases > 0);
        self.pinned.compact(held.map(|held| &mut held.element.payload))
    }

    /// Lets others use the payload of a held element as well.
    pub(super) fn share(&mut self, place: u32) {
        if let Some(held) = self.held.get(place) {
            self.pinned.share(&held.element.payload);
        }
    }

    /// The place of an element of the batch in `held`.
    fn place(&mut self, element: &Element, index: usize, before: u32) -> u32 {
        let here = self.here[index];
        match self.held.get_mut(here) {
            Some(held) => {
                // It was held and released in this call.
                held.element.payload = element.payload.clone();
                here
            }
            None => {
                let index_here = index as u32;
                let element = element.clone();
                let held = Held {
                    element,
                    read: ElementReads::default(),
                    before,
                    index: index_here,
                    leases: 0,
                    lent_before: self.lent_before,
                    attributes: 0,
                    structures: 0,
                    consumed: false,
                };
                let place = self.held.insert(held);
                self.here[index] = place;
                place
            }
        }
    }

    /// The entries of a lease that is not over.
    fn entries(&self, lease: u32) -> Result<&[Entry], Refused> {
        match self.leases.get(lease) {
            Some(Lease::Held { entries, .. }) => Ok(entries),
            Some(Lease::Over { .. }) | None => Err(Refused::Over),
        }
    }

    /// How many elements a lease had when it was taken, even if it is over.
    pub(super) fn taken(&self, lease: u32) -> u32 {
        self.leases.get(lease).map_or(0, Lease::taken)
    }

    /// How many elements a lease had when it was taken; refused if it is over.
    pub(super) fn len(&self, lease: u32) -> Result<usize, Refused> {
        Ok(self.entries(lease)?.len())
    }

    /// An element of a lease.
    pub(super) fn get_mut(&mut self, lease: u32, index: u32) -> Result<&mut Held, Refused> {
        let entry = self.entries(lease)?.get(index as usize).filter(|entry| !entry.gone).ok_or(Refused::Gone)?;
        let place = entry.place;
        self.held.get_mut(place).ok_or(Refused::Gone)
    }

    /// The elements that a lease still holds, with their places.
    pub(super) fn elements(&self, lease: u32) -> Result<impl Iterator<Item = (u32, &Element)>, Refused> {
        let entries = self.entries(lease)?.iter().filter(|entry| !entry.gone);
        Ok(entries.filter_map(|entry| Some((entry.place, &self.held.get(entry.place)?.element))))
    }

    /// Passes elements of a lease on, each to the outputs in its mask. Elements of an exclusive lease are no longer held. Either
    /// all are passed on, or none.
    pub(super) fn forward(
        &mut self,
        lease: u32,
        sends: impl Iterator<Item = (u32, u32)> + Clone,
    ) -> Result<Vec<(u32, Element)>, Refused> {
        let Some(Lease::Held { mode, entries, .. }) = self.leases.get_mut(lease) else { return Err(Refused::Over) };
        let mode = *mode;
        for (done, (index, outputs)) in sends.clone().enumerate() {
            let refused = match entries.get_mut(index as usize).filter(|entry| !entry.gone) {
                None => Refused::Gone,
                Some(entry) if entry.sent & outputs != 0 => Refused::Twice((entry.sent & outputs).trailing_zeros()),
                Some(entry) => {
                    entry.sent |= outputs;
                    entry.gone = mode == Mode::Exclusive;
                    continue;
                }
            };
            for (index, outputs) in sends.take(done) {
                let entry = &mut entries[index as usize];
                entry.sent &= !outputs;
                entry.gone = false;
            }
            return Err(refused);
        }
        let places: Vec<u32> = sends.map(|(index, _)| entries[index as usize].place).collect();
        let forwarded = places.into_iter().filter_map(|place| {
            let element = self.held.get(place)?.element.clone();
            if mode == Mode::Exclusive {
                self.release(place);
            }
            Some((place, element))
        });
        Ok(forwarded.collect())
    }

    /// Marks an element as consumed: an element made of it was sent on.
    pub(crate) fn mark_consumed(&mut self, place: u32) {
        if let Some(held) = self.held.get_mut(place) {
            held.consumed = true;
        }
    }

    /// Ends a lease whose handle the stage dropped.
    pub(super) fn drop_lease(&mut self, lease: u32) {
        if let Some(lease) = self.leases.remove(lease) {
            self.end(lease);
        }
    }

    /// The earliest deadline of a lease.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends the leases whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.deadline = None;
        for (rep, lease) in self.leases.iter() {
            match lease {
                Lease::Held { deadline: Some(deadline), .. } if *deadline <= now => due.push(rep),
                Lease::Held { deadline, .. } => self.deadline = self.deadline.into_iter().chain(*deadline).min(),
                Lease::Over { .. } => {}
            }
        }
        self.used.expired += due.len() as u64;
        for rep in due {
            if let Some(lease) = self.leases.get_mut(rep) {
                let over = Lease::Over { taken: lease.taken() };
                let over = std::mem::replace(lease, over);
                self.end(over);
            }
        }
    }

    /// Ends all leases, because the stage is gone.
    pub(super) fn end_all(&mut self) {
        let leases: Vec<Lease> = self.leases.drain().collect();
        for lease in leases {
            self.used.at_end += u64::from(matches!(lease, Lease::Held { .. }));
            self.end(lease);
        }
        self.deadline = None;
    }

    /// Releases the elements of an ended lease.
    fn end(&mut self, lease: Lease) {
        let Lease::Held { entries, .. } = lease else { return };
        entries.iter().filter(|entry| !entry.gone).for_each(|entry| self.release(entry.place));
    }

    /// Removes an element from one lease. Its payload is released with the last lease.
    fn release(&mut self, place: u32) {
        let Some(held) = self.held.get_mut(place) else { return };
        self.elements -= 1;
        self.bytes -= held.element.payload.len() as u64;
        held.leases -= 1;
        if held.leases == 0 {
            self.attributes -= held.attributes;
            self.structures -= held.structures;
            self.pinned.remove(&held.element.payload);
            if !self.keeps_released {
                held.element.payload = Default::default();
            }
            self.released.push(place);
        }
    }

    /// Undoes what the call did to these elements of the batch: they are in the batch as they were lent, and in
    /// no lease. `meter` gets back what was read of them. Requires that released payloads are kept.
    pub(super) fn undo(&mut self, batch: &mut Batch, which: ElementSet, meter: &mut Meter) {
        let mut places = Vec::new();
        let of_them = |(index, _): &(usize, &mut u32)| which.contains(*index);
        for (index, place) in self.here.iter_mut().enumerate().filter(of_them) {
            let place = std::mem::replace(place, NONE);
            let Some(held) = self.held.get(place) else { continue };
            if self.exclusive.contains(index) {
                if let Some(element) = batch.get_mut(index) {
                    element.payload = held.element.payload.clone();
                }
                meter.put_back(batch.len(), index, held.read);
            }
            places.push(place);
        }
        if places.is_empty() {
            return;
        }
        self.exclusive = self.exclusive & !which;
        places.sort_unstable();
        let mut ended = Vec::new();
        for lease in self.leases.iter_mut() {
            let Lease::Held { entries, .. } = lease else { continue };
            for entry in entries.iter_mut().filter(|entry| places.binary_search(&entry.place).is_ok()) {
                ended.extend((!std::mem::replace(&mut entry.gone, true)).then_some(entry.place));
            }
        }
        ended.into_iter().for_each(|place| self.release(place));
        self.released.retain(|place| places.binary_search(place).is_err());
        places.into_iter().for_each(|place| drop(self.held.remove(place)));
    }

    /// The elements held when the call began that were not consumed, by sequence number, and how often each was read. What the
    /// call did to its batch has been undone already.
    pub(super) fn rescue(&self) -> Vec<(Element, u32)> {
        let held = self.held.iter().filter(|(_, held)| !held.consumed);
        let mut elements: Vec<_> =
            held.map(|(_, held)| (held.element.clone(), held.before.saturating_add(held.read.reads()))).collect();
        elements.sort_by_key(|(element, _)| element.sequence);
        elements
    }

    /// The elements of the batch that were held in this call. Whether they are consumed is known when they are
    /// released.
    #[inline]
    pub(crate) fn held_here(&self) -> ElementSet {
        self.here.iter().enumerate().filter(|(_, place)| **place != NONE).map(|(index, _)| index).collect()
    }

    /// Ends the lending of a batch. `named` are its elements that were sent on or from which something was made and
    /// sent. Returns how many elements held in this call or before were released without being consumed.
    #[inline]
    pub(super) fn settle(&mut self, named: ElementSet, meter: &Meter) -> u64 {
        if self.here.is_empty() && self.released.is_empty() { 0 } else { self.settle_held(named, meter) }
    }

    fn settle_held(&mut self, named: ElementSet, meter: &Meter) -> u64 {
        for (index, place) in self.here.drain(..).enumerate() {
            let Some(held) = self.held.get_mut(place) else { continue };
            held.consumed |= named.contains(index);
            if held.index != NONE {
                held.index = NONE;
                held.read = meter.read_here(index, held.element.payload.len() as u64);
            }
        }
        self.exclusive = ElementSet::EMPTY;
        let mut dropped = 0;
        for place in self.released.drain(..) {
            if self.held.get(place).is_some_and(|held| held.leases == 0) {
                dropped += self.held.remove(place).map_or(0, |held| u64::from(!held.consumed));
            }
        }
        dropped
    }
}
