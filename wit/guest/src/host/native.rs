//! The host of a stage that runs natively: payloads are in memory, and refusals are those of the contract. There are no
//! budgets, no limits and no clock.

use std::cell::RefCell;

use crate::bindings::lifecycle::types::Failure;
use crate::columns::{BY_HANDLE, Columns, NO_LINEAGE, OUTPUT_0};
use crate::lease::{Mode, Scope};
use crate::testing::Emitted;

/// Elements that were made.
pub(crate) type Made = Vec<Emitted>;

/// The payloads of a batch.
pub(crate) struct Payloads<'a> {
    payloads: &'a [&'a [u8]],
    states: RefCell<Vec<State>>,
}

/// What became of an element in the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Lent,
    /// It is held, or something was made of it: nobody can have it alone.
    Used,
    /// It is held exclusively, and so is not in the batch any more.
    Gone,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(payloads: &'a [&'a [u8]]) -> Self {
        Payloads { payloads, states: RefCell::new(vec![State::Lent; payloads.len()]) }
    }
}

/// What a call was lent.
#[derive(Clone, Copy)]
pub struct Lent<'a>(pub(crate) &'a Payloads<'a>);

impl<'a> Lent<'a> {
    pub(crate) fn read(self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        part(self.payload(index)?, offset, len).map(<[u8]>::to_vec)
    }

    pub(crate) fn read_all(self) -> Result<Vec<u8>, Failure> {
        Ok((0..self.0.payloads.len() as u32).filter_map(|index| self.payload(index).ok()).collect::<Vec<_>>().concat())
    }

    pub(crate) fn slice_all(self, of: &Columns) -> Result<Made, Failure> {
        let sliced = |entry: usize| {
            let payload = part(self.payload(of.lineage[entry])?, of.offsets[entry], of.sizes[entry])?;
            Ok(emitted(payload, of.outputs.get(entry), true))
        };
        let made = (0..of.sizes.len()).map(sliced).collect::<Result<_, Failure>>()?;
        of.lineage.iter().for_each(|index| self.now(*index, State::Used));
        Ok(made)
    }

    pub(crate) fn take(self, indices: &[u32], mode: Mode, _: Scope) -> Result<Held, Failure> {
        let twice = |(nth, index): (usize, &u32)| indices[..nth].contains(index);
        if indices.is_empty() || indices.iter().enumerate().any(twice) {
            return Err(Failure::InvalidInput("a lease holds at least one element, and each once".to_string()));
        }
        let payloads = indices.iter().map(|index| self.payload(*index)).collect::<Result<Vec<_>, _>>()?;
        let state = if mode == Mode::Exclusive { State::Gone } else { State::Used };
        if mode == Mode::Exclusive && indices.iter().any(|index| self.state(*index) != State::Lent) {
            return Err(Failure::Unavailable("something was made of an element already, or it is held".to_string()));
        }
        indices.iter().for_each(|index| self.now(*index, state));
        let elements = payloads.into_iter().map(|payload| HeldElement { payload: payload.to_vec(), gone_to: 0 });
        Ok(Held { mode, elements: RefCell::new(elements.map(Some).collect()) })
    }

    /// The elements that `routes` passes on.
    pub(crate) fn routed(self, routes: &[u32]) -> Result<Made, Failure> {
        let routed = (0..).zip(routes).filter(|(_, outputs)| **outputs != 0);
        routed.map(|(index, outputs)| Ok(emitted(self.payload(index)?, Some(outputs), true))).collect()
    }

    fn payload(self, index: u32) -> Result<&'a [u8], Failure> {
        let payload = self.0.payloads.get(index as usize).copied().ok_or(Failure::OutOfBounds)?;
        if self.state(index) == State::Gone { Err(Failure::OutOfBounds) } else { Ok(payload) }
    }

    fn state(self, index: u32) -> State {
        self.0.states.borrow()[index as usize]
    }

    fn now(self, index: u32, state: State) {
        self.0.states.borrow_mut()[index as usize] = state;
    }
}

pub(crate) fn emit_all(of: &Columns, lent: Option<Lent<'_>>) -> Result<Made, Failure> {
    let mut rest = of.bytes.as_slice();
    let mut made = Made::new();
    for (entry, &size) in of.sizes.iter().enumerate() {
        let from = of.lineage.get(entry).filter(|index| **index != NO_LINEAGE);
        let element = match from {
            Some(&index) => Some(lent.ok_or(Failure::OutOfBounds)?.payload(index)?),
            None => None,
        };
        let payload = if size == BY_HANDLE {
            element.ok_or(Failure::OutOfBounds)?
        } else {
            let written;
            (written, rest) = rest.split_at(size as usize);
            written
        };
        if let (Some(lent), Some(&index)) = (lent, from) {
            lent.now(index, State::Used);
        }
        made.push(emitted(payload, of.outputs.get(entry), size == BY_HANDLE));
    }
    Ok(made)
}

pub(crate) fn append(to: &mut Made, other: Made) {
    to.extend(other);
}

/// Elements that are held.
#[derive(Debug)]
pub(crate) struct Held {
    mode: Mode,
    elements: RefCell<Vec<Option<HeldElement>>>,
}

#[derive(Debug, Clone)]
struct HeldElement {
    payload: Vec<u8>,
    /// The outputs that it was passed on to.
    gone_to: u32,
}

impl Held {
    pub(crate) fn read(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let elements = self.elements.borrow();
        let element = elements.get(index as usize).and_then(Option::as_ref).ok_or(Failure::OutOfBounds)?;
        part(&element.payload, offset, len).map(<[u8]>::to_vec)
    }

    pub(crate) fn forward_all(&self, indices: &[u32], outputs: &[u32]) -> Result<Made, Failure> {
        let mut elements = self.elements.borrow().clone();
        let mut made = Made::new();
        for (nth, index) in indices.iter().enumerate() {
            let slot = elements.get_mut(*index as usize).ok_or(Failure::OutOfBounds)?;
            let element = slot.as_mut().ok_or(Failure::OutOfBounds)?;
            let to = outputs.get(nth).copied().unwrap_or(OUTPUT_0);
            if element.gone_to & to != 0 {
                return Err(Failure::InvalidInput("an element goes to each output at most once".to_string()));
            }
            element.gone_to |= to;
            made.push(emitted(&element.payload, Some(&to), true));
            if self.mode == Mode::Exclusive {
                *slot = None;
            }
        }
        *self.elements.borrow_mut() = elements;
        Ok(made)
    }
}

pub(crate) fn join(leases: &[&Held], outputs: u32) -> Result<Made, Failure> {
    let mut held = leases.iter().flat_map(|held| held.elements.borrow().clone()).flatten().peekable();
    if held.peek().is_none() {
        return Err(Failure::InvalidInput("nothing to join".to_string()));
    }
    let payload: Vec<u8> = held.flat_map(|element| element.payload).collect();
    Ok(vec![emitted(&payload, Some(&outputs), true)])
}

/// A payload in the making.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    capacity: u64,
}

impl Piece {
    pub(crate) fn allocate(capacity: u64) -> Result<Piece, Failure> {
        Ok(Piece { bytes: Vec::new(), capacity })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if (self.bytes.len() + bytes.len()) as u64 > self.capacity {
            return Err(Failure::LimitExceeded(format!("the buffer has room for {} bytes", self.capacity)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let range = range(offset, bytes.len() as u64);
        let to = range.and_then(|range| self.bytes.get_mut(range)).ok_or(Failure::OutOfBounds)?;
        to.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn freeze(self, lineage: u32, outputs: u32, lent: Option<Lent<'_>>) -> Result<Made, Failure> {
        if lineage != NO_LINEAGE {
            let lent = lent.ok_or(Failure::OutOfBounds)?;
            lent.payload(lineage)?;
            lent.now(lineage, State::Used);
        }
        Ok(vec![emitted(&self.bytes, Some(&outputs), false)])
    }
}

fn range(offset: u64, len: u64) -> Option<std::ops::Range<usize>> {
    Some(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(len)?).ok()?)
}

fn part(payload: &[u8], offset: u64, len: u64) -> Result<&[u8], Failure> {
    range(offset, len).and_then(|range| payload.get(range)).ok_or(Failure::OutOfBounds)
}

fn emitted(payload: &[u8], outputs: Option<&u32>, by_handle: bool) -> Emitted {
    let outputs = outputs.copied().unwrap_or(OUTPUT_0);
    let outputs = (0..u32::BITS).filter(|port| outputs & (1 << port) != 0).collect();
    Emitted { payload: payload.to_vec(), outputs, by_handle }
}
