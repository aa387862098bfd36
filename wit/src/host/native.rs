//! A stand-in for the host, for native tests. Payloads are in memory, and calls fail as the contract says; but there
//! are no copy budgets, no clock and no limits of the host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::bindings::lifecycle::types::{Failure, FailurePolicy};
use crate::columns::{BY_HANDLE, Columns, NO_LINEAGE, OUTPUT_0};
use crate::lease::{Mode, Scope};
use crate::testing::Emitted;

/// Elements that a host function made.
pub(crate) type HostOutput = Vec<NewElement>;

/// An element that a host function made.
#[derive(Debug)]
pub struct NewElement {
    emitted: Emitted,
    attributes: SharedAttributes,
}

/// The attributes of an element, shared with everything that is made of it: changes apply until the call returns.
type SharedAttributes = Rc<RefCell<BTreeMap<String, String>>>;

/// The limits of the contract for the attributes of one element.
const MAX_ATTRIBUTES: usize = 64;
const MAX_ATTRIBUTE_BYTES: usize = 8 << 10;

/// The payloads of a batch.
pub(crate) struct Payloads<'a> {
    payloads: &'a [&'a [u8]],
    attributes: Vec<SharedAttributes>,
    states: RefCell<Vec<State>>,
}

/// The state of an element of the batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Lent,
    /// The element is held, or something was made of it: it cannot be held exclusively any more.
    Used,
    /// The element is held exclusively, and therefore no longer in the batch.
    Gone,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(payloads: &'a [&'a [u8]], attributes: &[BTreeMap<String, String>]) -> Self {
        let attributes = attributes.iter().map(|of| Rc::new(RefCell::new(of.clone()))).collect();
        Payloads { payloads, attributes, states: RefCell::new(vec![State::Lent; payloads.len()]) }
    }
}

/// The batch that is lent to the current call.
#[derive(Clone, Copy)]
pub struct Lent<'a>(pub(crate) &'a Payloads<'a>);

impl<'a> Lent<'a> {
    pub(crate) fn read(self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        part(self.payload(index)?, offset, len).map(<[u8]>::to_vec)
    }

    pub(crate) fn read_all(self) -> Result<Vec<u8>, Failure> {
        Ok((0..self.0.payloads.len() as u32).filter_map(|index| self.payload(index).ok()).collect::<Vec<_>>().concat())
    }

    pub(crate) fn skip(self, _: u32, _: &Failure) -> bool {
        false
    }

    pub(crate) fn slice_all(self, of: &Columns) -> Result<HostOutput, Failure> {
        let sliced = |entry: usize| {
            let payload = part(self.payload(of.lineage[entry])?, of.offsets[entry], of.sizes[entry])?;
            Ok(new_element(payload, self.attributes_of(of.lineage[entry]), of.outputs.get(entry), true))
        };
        let made = (0..of.sizes.len()).map(sliced).collect::<Result<_, Failure>>()?;
        of.lineage.iter().for_each(|index| self.set_state(*index, State::Used));
        Ok(made)
    }

    pub(crate) fn attribute(self, index: u32, name: &str) -> Result<Option<String>, Failure> {
        self.payload(index)?;
        check_attribute(name, "")?;
        Ok(self.0.attributes[index as usize].borrow().get(name).cloned())
    }

    pub(crate) fn attributes(self, index: u32) -> Result<Vec<(String, String)>, Failure> {
        self.payload(index)?;
        let attributes = self.0.attributes[index as usize].borrow();
        Ok(attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(crate) fn set_attribute(self, index: u32, name: &str, value: Option<&str>) -> Result<(), Failure> {
        self.payload(index)?;
        check_attribute(name, value.unwrap_or_default())?;
        let mut attributes = self.0.attributes[index as usize].borrow_mut();
        let Some(value) = value else {
            attributes.remove(name);
            return Ok(());
        };
        let others = attributes.iter().filter(|(known, _)| *known != name);
        let (count, bytes) = others.fold((1, name.len() + value.len()), |(count, bytes), (name, value)| {
            (count + 1, bytes + name.len() + value.len())
        });
        if count > MAX_ATTRIBUTES {
            return Err(Failure::LimitExceeded(format!("an element can have at most {MAX_ATTRIBUTES} attributes")));
        }
        if bytes > MAX_ATTRIBUTE_BYTES {
            return Err(attributes_too_long());
        }
        attributes.insert(name.to_string(), value.to_string());
        Ok(())
    }

    fn attributes_of(self, index: u32) -> SharedAttributes {
        self.0.attributes[index as usize].clone()
    }

    pub(crate) fn take(self, indices: &[u32], mode: Mode, _: Scope) -> Result<HostLease, Failure> {
        let twice = |(nth, index): (usize, &u32)| indices[..nth].contains(index);
        if indices.is_empty() || indices.iter().enumerate().any(twice) {
            return Err(Failure::InvalidInput("a lease needs at least one element, and each only once".to_string()));
        }
        let payloads = indices.iter().map(|index| self.payload(*index)).collect::<Result<Vec<_>, _>>()?;
        let state = if mode == Mode::Exclusive { State::Gone } else { State::Used };
        if mode == Mode::Exclusive && indices.iter().any(|index| self.state(*index) != State::Lent) {
            let why = "an element is already held, or something was already made of it";
            return Err(Failure::Unavailable(why.to_string()));
        }
        indices.iter().for_each(|index| self.set_state(*index, state));
        let elements = payloads.into_iter().zip(indices).map(|(payload, index)| HeldElement {
            payload: payload.to_vec(),
            attributes: self.attributes_of(*index),
            forwarded_to: 0,
        });
        Ok(HostLease { mode, elements: RefCell::new(elements.map(Some).collect()) })
    }

    /// The elements that `routes` forwards.
    pub(crate) fn forward_routes(self, routes: &[u32]) -> Result<HostOutput, Failure> {
        let routed = (0..).zip(routes).filter(|(_, outputs)| **outputs != 0);
        let whole =
            |(index, outputs)| Ok(new_element(self.payload(index)?, self.attributes_of(index), Some(outputs), true));
        routed.map(whole).collect()
    }

    fn payload(self, index: u32) -> Result<&'a [u8], Failure> {
        let payload = self.0.payloads.get(index as usize).copied().ok_or(Failure::OutOfBounds)?;
        if self.state(index) == State::Gone { Err(Failure::OutOfBounds) } else { Ok(payload) }
    }

    fn state(self, index: u32) -> State {
        self.0.states.borrow()[index as usize]
    }

    fn set_state(self, index: u32, state: State) {
        self.0.states.borrow_mut()[index as usize] = state;
    }
}

/// A failure in a unit test stops the call, so that the test sees it.
pub(crate) fn failure_policy() -> FailurePolicy {
    FailurePolicy::Stop
}

pub(crate) fn emit_all(of: &Columns, lent: Option<Lent<'_>>) -> Result<HostOutput, Failure> {
    let mut rest = of.bytes.as_slice();
    let mut all = HostOutput::new();
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
        let mut attributes = SharedAttributes::default();
        if let (Some(lent), Some(&index)) = (lent, from) {
            lent.set_state(index, State::Used);
            attributes = lent.attributes_of(index);
        }
        all.push(new_element(payload, attributes, of.outputs.get(entry), size == BY_HANDLE));
    }
    Ok(all)
}

/// The elements that come out of a call that has returned.
pub(crate) fn into_emitted(output: HostOutput) -> Vec<Emitted> {
    let emit = |new: NewElement| Emitted { attributes: new.attributes.borrow().clone(), ..new.emitted };
    output.into_iter().map(emit).collect()
}

/// Fails with the texts of the host.
fn check_attribute(name: &str, value: &str) -> Result<(), Failure> {
    let invalid = |why: &str| Err(Failure::InvalidInput(why.to_string()));
    if name.is_empty() {
        invalid("an attribute name must not be empty")
    } else if name.contains(char::is_control) {
        invalid("an attribute name must not contain control characters")
    } else if name.len() + value.len() > MAX_ATTRIBUTE_BYTES {
        Err(attributes_too_long())
    } else if value.contains(char::is_control) {
        invalid("an attribute value must not contain control characters")
    } else {
        Ok(())
    }
}

fn attributes_too_long() -> Failure {
    let text = format!("the attributes of an element can have at most {MAX_ATTRIBUTE_BYTES} bytes in total");
    Failure::LimitExceeded(text)
}

pub(crate) fn append(to: &mut HostOutput, other: HostOutput) {
    to.extend(other);
}

/// Elements that the host holds for the stage.
#[derive(Debug)]
pub(crate) struct HostLease {
    mode: Mode,
    elements: RefCell<Vec<Option<HeldElement>>>,
}

#[derive(Debug, Clone)]
struct HeldElement {
    payload: Vec<u8>,
    attributes: SharedAttributes,
    /// The set of outputs that the element was forwarded to.
    forwarded_to: u32,
}

impl HostLease {
    pub(crate) fn read(&self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let elements = self.elements.borrow();
        let element = elements.get(index as usize).and_then(Option::as_ref).ok_or(Failure::OutOfBounds)?;
        part(&element.payload, offset, len).map(<[u8]>::to_vec)
    }

    pub(crate) fn forward_all(&self, indices: &[u32], outputs: &[u32]) -> Result<HostOutput, Failure> {
        let mut elements = self.elements.borrow().clone();
        let mut forwarded = HostOutput::new();
        for (nth, index) in indices.iter().enumerate() {
            let slot = elements.get_mut(*index as usize).ok_or(Failure::OutOfBounds)?;
            let element = slot.as_mut().ok_or(Failure::OutOfBounds)?;
            let to = outputs.get(nth).copied().unwrap_or(OUTPUT_0);
            if element.forwarded_to & to != 0 {
                let why = "an element can be forwarded to each output only once";
                return Err(Failure::InvalidInput(why.to_string()));
            }
            element.forwarded_to |= to;
            forwarded.push(new_element(&element.payload, element.attributes.clone(), Some(&to), true));
            if self.mode == Mode::Exclusive {
                *slot = None;
            }
        }
        *self.elements.borrow_mut() = elements;
        Ok(forwarded)
    }
}

pub(crate) fn join(leases: &[&HostLease], outputs: u32) -> Result<HostOutput, Failure> {
    let mut held = leases.iter().flat_map(|held| held.elements.borrow().clone()).flatten().peekable();
    let Some(first) = held.peek() else {
        return Err(Failure::InvalidInput("there is no element to join".to_string()));
    };
    let attributes = first.attributes.clone();
    let payload: Vec<u8> = held.flat_map(|element| element.payload).collect();
    Ok(vec![new_element(&payload, attributes, Some(&outputs), true)])
}

/// A payload that is written piece by piece.
#[derive(Debug)]
pub(crate) struct HostBuffer {
    bytes: Vec<u8>,
    capacity: u64,
}

impl HostBuffer {
    pub(crate) fn allocate(capacity: u64) -> Result<HostBuffer, Failure> {
        Ok(HostBuffer { bytes: Vec::new(), capacity })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if (self.bytes.len() + bytes.len()) as u64 > self.capacity {
            return Err(Failure::LimitExceeded(format!("the buffer has a capacity of {} bytes", self.capacity)));
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

    pub(crate) fn freeze(self, lineage: u32, outputs: u32, lent: Option<Lent<'_>>) -> Result<HostOutput, Failure> {
        let mut attributes = SharedAttributes::default();
        if lineage != NO_LINEAGE {
            let lent = lent.ok_or(Failure::OutOfBounds)?;
            lent.payload(lineage)?;
            lent.set_state(lineage, State::Used);
            attributes = lent.attributes_of(lineage);
        }
        Ok(vec![new_element(&self.bytes, attributes, Some(&outputs), false)])
    }
}

fn range(offset: u64, len: u64) -> Option<std::ops::Range<usize>> {
    Some(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(len)?).ok()?)
}

fn part(payload: &[u8], offset: u64, len: u64) -> Result<&[u8], Failure> {
    range(offset, len).and_then(|range| payload.get(range)).ok_or(Failure::OutOfBounds)
}

fn new_element(payload: &[u8], attributes: SharedAttributes, outputs: Option<&u32>, by_handle: bool) -> NewElement {
    let outputs = outputs.copied().unwrap_or(OUTPUT_0);
    let outputs = (0..u32::BITS).filter(|port| outputs & (1 << port) != 0).collect();
    let emitted = Emitted { payload: payload.to_vec(), outputs, by_handle, attributes: BTreeMap::new() };
    NewElement { emitted, attributes }
}
