//! Interface `payload-read`: payload bytes from the host to the stage.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Batch, Failure, Host};
use crate::payload::Payload;

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("read", read)?;
    interface.func_wrap("read-all", read_all)
}

type Read = wasmtime::Result<(Result<Bytes, Failure>,)>;

fn read(mut store: StoreContextMut<'_, Host>, (of, index, offset, len): (Resource<Batch>, u32, u64, u64)) -> Read {
    let host = store.data_mut();
    let size = host.lent(&of)?.get(index as usize).map(|element| element.payload.len() as u64);
    if size.is_none_or(|size| offset.checked_add(len).is_none_or(|end| end > size)) {
        host.meter.refused = true;
        return Ok((Err(Failure::OutOfBounds),));
    }
    if !host.meter.read(&host.batch, index as usize, len) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    let part = host.batch[index as usize].payload.gather(offset as usize, len as usize, &host.pool)?;
    host.copies.payload_read.record(1, len);
    host.boundary.read(&host.batch[index as usize], len);
    if part.copied {
        host.copies.host_serialize.record(1, len);
        host.boundary.joined(len);
    }
    Ok((Ok(part.bytes),))
}

fn read_all(mut store: StoreContextMut<'_, Host>, (of,): (Resource<Batch>,)) -> Read {
    let host = store.data_mut();
    host.lent(&of)?;
    if !host.meter.read_all(&host.batch) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    let elements = &host.batch;
    let total: usize = elements.iter().map(|element| element.payload.len()).sum();
    // The engine lowers a list from one piece of memory.
    let payloads = Payload::gather_all(elements.iter().map(|element| &element.payload), &host.pool)?;
    let ops = elements.len() as u64;
    host.copies.payload_read.record(ops, total as u64);
    host.boundary.read_all(elements);
    if payloads.copied {
        host.copies.host_serialize.record(ops, total as u64);
        host.boundary.joined_all(elements);
    }
    Ok((Ok(payloads.bytes),))
}
