//! Interface `payload-read`: payload bytes from the host to the stage.

use std::io;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Batch, Failure, Host, Lease};
use crate::base::text::format_bytes;
use crate::ledger::Boundary;
use crate::payload::{self, Gathered, MAX_ELEMENT_BYTES};

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("read", read)?;
    interface.func_wrap("read-all", read_all)?;
    interface.func_wrap("read-held", read_held)
}

/// The most bytes in one read. A payload in a file can have more.
const MAX_READ_BYTES: u64 = MAX_ELEMENT_BYTES as u64;

type Read = wasmtime::Result<(Result<Bytes, Failure>,)>;

fn read(mut store: StoreContextMut<'_, Host>, (batch, index, offset, len): (Resource<Batch>, u32, u64, u64)) -> Read {
    let host = store.data_mut();
    host.lent(&batch)?;
    if let Err(refused) =
        host.in_batch(index).ok_or(Failure::OutOfBounds).and_then(|element| may_read(element.len(), offset, len))
    {
        return host.refuse_read(refused);
    }
    if !host.meter.read(&host.batch, index as usize, len) {
        return host.refuse_read(Failure::BudgetExceeded);
    }
    let element = host.in_batch(index).expect("it was there before");
    let (sequence, buffer) = (element.sequence(), element.buffer());
    let part = element.gather(offset as usize, len as usize, &host.pool);
    host.hand_over(part, |boundary, _, len| {
        boundary.read(sequence, buffer, len);
        1
    })
}

fn read_all(mut store: StoreContextMut<'_, Host>, (batch,): (Resource<Batch>,)) -> Read {
    let host = store.data_mut();
    let total = host.lent(&batch)?.bytes();
    if total > MAX_READ_BYTES {
        return host.refuse_read(too_much(total));
    }
    if !host.meter.read_all(&host.batch) {
        return host.refuse_read(Failure::BudgetExceeded);
    }
    // The engine lowers a list from one piece of memory. The payloads of elements that left the batch are empty.
    let payloads = host.batch.gather_all(&host.pool);
    let gone = host.leases.exclusive();
    host.hand_over(payloads, |boundary, batch, _| {
        let there = batch.iter().enumerate().filter(|(index, _)| !gone.contains(*index));
        boundary.read_all(there.map(|(_, element)| (element.sequence(), element.buffer(), element.len() as u64)));
        batch.len() as u64 - gone.len()
    })
}

fn read_held(
    mut store: StoreContextMut<'_, Host>,
    (lease, index, offset, len): (Resource<Lease>, u32, u64, u64),
) -> Read {
    let host = store.data_mut();
    let held = host.leases.get_mut(lease.rep(), index).map_err(Failure::from);
    let may = held.and_then(|held| may_read(held.element.payload.len(), offset, len).map(|()| held));
    let held = match may {
        Ok(held) => held,
        Err(refused) => return host.refuse_read(refused),
    };
    // A read in the call that lent the element is counted as a read of the batch.
    let allowed = match host.batch.get(held.index as usize) {
        Some(_) => host.meter.read(&host.batch, held.index as usize, len),
        None => host.meter.read_held((&held.element).into(), &mut held.read, held.before, len),
    };
    if !allowed {
        return host.refuse_read(Failure::BudgetExceeded);
    }
    let (sequence, buffer) = (held.element.sequence, held.element.payload.buffer());
    let part = held.element.payload.gather(offset as usize, len as usize, &host.pool);
    host.hand_over(part, |boundary, _, len| {
        boundary.read(sequence, buffer, len);
        1
    })
}

/// Checks that `len` bytes from `offset` are in a payload of `size` bytes, and that one read may have as many.
fn may_read(size: usize, offset: u64, len: u64) -> Result<(), Failure> {
    if offset.checked_add(len).is_none_or(|end| end > size as u64) {
        return Err(Failure::OutOfBounds);
    }
    if len > MAX_READ_BYTES { Err(too_much(len)) } else { Ok(()) }
}

fn too_much(len: u64) -> Failure {
    Failure::LimitExceeded(format!("one read can have at most {}, not {len} bytes", format_bytes(MAX_READ_BYTES)))
}

impl Host {
    /// Refuses a read.
    fn refuse_read(&mut self, refused: Failure) -> Read {
        self.meter.refused = true;
        Ok((Err(refused),))
    }

    /// Returns what was read. `record` writes the records and returns the number of elements read.
    fn hand_over(
        &mut self,
        read: io::Result<Gathered>,
        record: impl FnOnce(&Boundary, &payload::Batch, u64) -> u64,
    ) -> Read {
        let Gathered { bytes, copied } = read.map_err(|error| self.unreadable(error))?;
        let ops = record(&self.boundary, &self.batch, bytes.len() as u64);
        self.copies.payload_read.record(ops, bytes.len() as u64);
        if copied > 0 {
            self.copies.host_serialize.record(1, copied);
            self.boundary.joined(copied);
        }
        Ok((Ok(bytes),))
    }
}
