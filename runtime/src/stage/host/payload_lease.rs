//! Interface `payload-lease`: elements that a stage keeps beyond the call that lent them.

use std::time::{Duration, Instant};

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Resource, WasmList};
use wasmtime::{AsContext, StoreContextMut};

use super::host_memory::{self, limit};
use super::leases::{Mode, Refused};
use super::outputs::check_outputs;
use super::part::{Origin, Part, View};
use super::{Batch, Failure, Host, Lease, Output};
use crate::base::plural::counted;
use crate::base::text::format_bytes;
use crate::payload::Payload;
use crate::payload::element::Element;

/// The most elements that can be joined, and the most pieces of the resulting payload.
const MAX_JOINED: usize = 65_536;

/// How long elements are held, unless they are released earlier.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(variant)]
enum Scope {
    #[component(name = "stage")]
    Stage,
    #[component(name = "deadline")]
    Deadline(u64),
}

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("take", take)?;
    interface.func_wrap("forward-all", forward_all)?;
    interface.func_wrap("join", join)
}

type Took = wasmtime::Result<(Result<Resource<Lease>, Failure>,)>;

fn take(
    mut store: StoreContextMut<'_, Host>,
    (batch, indices, mode, scope): (Resource<Batch>, WasmList<u32>, Mode, Scope),
) -> Took {
    store.data().lent(&batch)?;
    let indices = indices.as_le_slice(store.as_context());
    let named = once_each(store.data(), indices);
    let host = store.data_mut();
    let taken = match named.and_then(|indices| host.may_hold(&indices, mode, scope).map(|deadline| (indices, deadline)))
    {
        Ok((indices, deadline)) => Ok(host.hold(&indices, mode, deadline)?),
        Err(refused) => Err(refused),
    };
    host.meter.refused |= taken.is_err();
    Ok((taken.map(Resource::new_own),))
}

/// Checks that the indices are in the batch and distinct. A batch is small, however many indices a stage passes.
fn once_each(host: &Host, indices: &[u32]) -> Result<Vec<usize>, Failure> {
    let mut seen = vec![false; host.batch.len()];
    let mut named = Vec::with_capacity(indices.len().min(seen.len()));
    for &index in indices {
        host.in_batch(index).ok_or(Failure::OutOfBounds)?;
        if std::mem::replace(&mut seen[index as usize], true) {
            return Err(Failure::InvalidInput(format!("element {index} is listed twice")));
        }
        named.push(index as usize);
    }
    if named.is_empty() { Err(Failure::InvalidInput("no element is listed".to_string())) } else { Ok(named) }
}

impl Host {
    /// Checks whether these elements may be held, and returns until when.
    fn may_hold(&mut self, indices: &[usize], mode: Mode, scope: Scope) -> Result<Option<Instant>, Failure> {
        let deadline = match scope {
            Scope::Stage => None,
            Scope::Deadline(at) => {
                let left = at.checked_sub(self.clock.unix_ns()).filter(|left| *left > 0);
                let left = Duration::from_nanos(left.ok_or(Failure::DeadlineExceeded)?);
                // From here on only elapsed time counts, even if the clock is set.
                self.clock.now().checked_add(left)
            }
        };
        if mode == Mode::Exclusive {
            let named = self.outputs.named();
            if let Some(index) = indices.iter().find(|index| named.contains(**index) || self.leases.holds(**index)) {
                return Err(Failure::Unavailable(format!("element {index} is already in use")));
            }
        }
        let elements = || indices.iter().filter_map(|index| self.batch.get(*index));
        let bytes = elements().map(|element| element.len() as u64).sum();
        let (elements, bytes) = self.leases.totals_with(indices.len() as u64, bytes);
        if !self.meter.hold(elements, bytes) {
            return Err(Failure::BudgetExceeded);
        }
        if elements > self.held_elements {
            return Err(limit(format!("hold at most {} at once", counted(self.held_elements, "element"))));
        }
        if bytes > self.held_bytes {
            return Err(limit(format!("hold at most {} of payloads at once", format_bytes(self.held_bytes))));
        }
        let elements = || indices.iter().filter_map(|index| self.batch.get(*index));
        let attributes = elements().map(|element| element.attributes().bytes() as u64).sum::<u64>();
        if self.leases.attributes().saturating_add(attributes) > self.held_bytes {
            return Err(limit(format!("hold at most {} of attributes at once", format_bytes(self.held_bytes))));
        }
        self.may_use(elements().map(host_memory::held).sum())?;
        Ok(deadline)
    }

    /// Holds these elements, after `may_hold` has allowed it.
    pub(super) fn hold(&mut self, indices: &[usize], mode: Mode, deadline: Option<Instant>) -> wasmtime::Result<u32> {
        self.batch.separate();
        let mut own = Vec::new();
        if mode == Mode::Exclusive {
            // All copies are made before any element leaves the batch, because a copy can fail.
            let payloads = indices.iter().filter_map(|index| self.batch.payload(*index));
            let moved = payloads.map(|payload| payload.is_shared().then(|| payload.copied(&self.pool)).transpose());
            let moved = moved.collect::<Result<Vec<_>, _>>().map_err(|error| self.unreadable(error))?;
            own = moved
                .into_iter()
                .map(|moved| {
                    moved.map(|(payload, copied)| {
                        if copied > 0 {
                            self.copies.host_serialize.record(1, copied);
                            self.boundary.joined(copied);
                        }
                        payload
                    })
                })
                .collect();
        }
        let metadata = (indices.len() * size_of::<u32>()) as u64;
        self.copies.metadata_marshal.record(1, metadata);
        self.boundary.lifted(metadata);
        let lease = self.leases.take(&mut self.batch, indices, mode, own, deadline, &mut self.meter);
        if self.leases.pinned_bytes() > self.pinned_bytes {
            let moved = self.leases.compact().map_err(|error| self.unreadable(error))?;
            self.copies.host_serialize.record(1, moved);
            self.boundary.joined(moved);
        }
        Ok(lease)
    }

    fn forward(&mut self, lease: u32, indices: &[u32], outputs: &[u32]) -> Result<Vec<View>, Failure> {
        self.outputs.room(0, indices.len())?;
        check_outputs(outputs, indices.len(), "indices")?;
        self.may_use(host_memory::views(indices.len(), 0))?;
        let goes_to = |entry: usize| outputs.get(entry).copied().unwrap_or(1);
        let sends = indices.iter().enumerate().map(|(entry, index)| (*index, goes_to(entry)));
        // The pieces exist already: what is passed on shares them.
        let forwarded = self.leases.forward(lease, sends)?.into_iter().enumerate();
        let view = |(entry, (place, element))| View { element, outputs: goes_to(entry), origin: Origin::Held(place) };
        Ok(forwarded.map(view).collect())
    }

    fn join(&mut self, leases: &[Resource<Lease>], outputs: u32) -> Result<View, Failure> {
        self.outputs.room(0, 1)?;
        let mut joined = 0;
        for lease in leases {
            joined += self.leases.len(lease.rep())?;
            if joined > MAX_JOINED {
                return Err(limit(format!("join at most {MAX_JOINED} elements")));
            }
        }
        let mut elements = Vec::new();
        for lease in leases {
            elements.extend(self.leases.elements(lease.rep())?);
        }
        let Some((_, first)) = elements.first() else {
            return Err(Failure::InvalidInput("there is no element to join".to_string()));
        };
        let pieces = elements.iter().map(|(_, element)| element.payload.piece_count()).sum();
        if pieces > MAX_JOINED {
            return Err(limit(format!("join payloads of at most {MAX_JOINED} pieces")));
        }
        self.outputs.room_for_pieces(pieces)?;
        self.may_use(host_memory::joining(joined, pieces))?;
        let bytes = elements.iter().map(|(_, element)| element.payload.len() as u64).fold(0, u64::saturating_add);
        if bytes > self.held_bytes {
            return Err(limit(format!("join at most {} of payloads", format_bytes(self.held_bytes))));
        }
        let payload = Payload::join(elements.iter().map(|(_, element)| &element.payload));
        let element =
            Element { payload, context: first.context.clone(), sequence: first.sequence, timestamp: first.timestamp };
        let places: Box<[u32]> = elements.iter().map(|(place, _)| *place).collect();
        places.iter().for_each(|place| self.leases.share(*place));
        Ok(View { element, outputs, origin: Origin::Joined(places) })
    }
}

type Made = wasmtime::Result<(Result<Resource<Output>, Failure>,)>;

fn forward_all(
    mut store: StoreContextMut<'_, Host>,
    (lease, indices, outputs): (Resource<Lease>, WasmList<u32>, WasmList<u32>),
) -> Made {
    let elements = indices.as_le_slice(store.as_context()).len();
    let room = store.data().outputs.room(0, elements);
    if let Err(refused) = room.and_then(|()| store.data().may_use(host_memory::views(elements, 0))) {
        store.data_mut().meter.refused = true;
        return Ok((Err(refused),));
    }
    let indices = indices.as_le_slice(store.as_context()).to_vec();
    let outputs = outputs.as_le_slice(store.as_context()).to_vec();
    let metadata = size_of_val(&indices[..]) + size_of_val(&outputs[..]);
    let host = store.data_mut();
    let views = host.forward(lease.rep(), &indices, &outputs);
    host.meter.refused |= views.is_err();
    Ok((views.map(|views| {
        host.copies.metadata_marshal.record(1, metadata as u64);
        host.boundary.lifted(metadata as u64);
        host.outputs.push(Part::Views(views))
    }),))
}

fn join(mut store: StoreContextMut<'_, Host>, (leases, outputs): (Vec<Resource<Lease>>, u32)) -> Made {
    let host = store.data_mut();
    let view = host.join(&leases, outputs);
    host.meter.refused |= view.is_err();
    Ok((view.map(|view| host.outputs.push(Part::Views(vec![view]))),))
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::Over => Failure::DeadlineExceeded,
            Refused::Gone => Failure::OutOfBounds,
            Refused::Twice(output) => Failure::InvalidInput(format!("an element is sent to output {output} twice")),
        }
    }
}
