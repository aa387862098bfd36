//! Interface `payload-read`: payload bytes from the host to the stage.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Batch, Failure, Host};
use crate::endpoint::MAX_ELEMENT_BYTES;
use crate::payload::Payload;

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("read", read)?;
    interface.func_wrap("read-all", read_all)
}

/// Bytes of one read. A payload that is in a file can have more.
const MAX_READ_BYTES: u64 = MAX_ELEMENT_BYTES as u64;

type Read = wasmtime::Result<(Result<Bytes, Failure>,)>;

fn read(mut store: StoreContextMut<'_, Host>, (of, index, offset, len): (Resource<Batch>, u32, u64, u64)) -> Read {
    let host = store.data_mut();
    let size = host.lent(&of)?.get(index as usize).map(|element| element.payload.len() as u64);
    if size.is_none_or(|size| offset.checked_add(len).is_none_or(|end| end > size)) {
        host.meter.refused = true;
        return Ok((Err(Failure::OutOfBounds),));
    }
    if len > MAX_READ_BYTES {
        host.meter.refused = true;
        return Ok((Err(too_much(len)),));
    }
    if !host.meter.read(&host.batch, index as usize, len) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    let part = host.batch[index as usize].payload.gather(offset as usize, len as usize, &host.pool);
    let part = part.map_err(|error| host.unreadable(error))?;
    host.copies.payload_read.record(1, len);
    if part.copied > 0 {
        host.copies.host_serialize.record(1, part.copied);
    }
    Ok((Ok(part.bytes),))
}

fn read_all(mut store: StoreContextMut<'_, Host>, (of,): (Resource<Batch>,)) -> Read {
    let host = store.data_mut();
    let total: u64 = host.lent(&of)?.iter().map(|element| element.payload.len() as u64).sum();
    if total > MAX_READ_BYTES {
        host.meter.refused = true;
        return Ok((Err(too_much(total)),));
    }
    if !host.meter.read_all(&host.batch) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    let elements = &host.batch;
    // The engine lowers a list from one piece of memory.
    let payloads = Payload::gather_all(elements.iter().map(|element| &element.payload), &host.pool);
    let ops = elements.len() as u64;
    let payloads = payloads.map_err(|error| host.unreadable(error))?;
    host.copies.payload_read.record(ops, total);
    if payloads.copied > 0 {
        host.copies.host_serialize.record(ops, payloads.copied);
    }
    Ok((Ok(payloads.bytes),))
}

fn too_much(len: u64) -> Failure {
    Failure::LimitExceeded(format!("one read is of at most {MAX_READ_BYTES} bytes, and not of {len}"))
}
