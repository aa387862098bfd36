//! Interface `payload-read`: payload bytes from the host to the stage.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Batch, Failure, Host};

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("read", read)?;
    interface.func_wrap("read-all", read_all)
}

type Read = wasmtime::Result<(Result<Bytes, Failure>,)>;

fn read(mut store: StoreContextMut<'_, Host>, (of, index, offset, len): (Resource<Batch>, u32, u64, u64)) -> Read {
    let host = store.data_mut();
    let payload = host.lent(&of)?.get(index as usize).map(|element| &element.payload);
    let Some(part) = payload.and_then(|payload| part(payload, offset, len)) else {
        host.meter.refused = true;
        return Ok((Err(Failure::OutOfBounds),));
    };
    if !host.meter.read(&host.batch, index as usize, len) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    host.copies.payload_read.record(1, len);
    host.boundary.read(&host.batch[index as usize], len);
    Ok((Ok(part),))
}

fn part(payload: &Bytes, offset: u64, len: u64) -> Option<Bytes> {
    let end = usize::try_from(offset.checked_add(len)?).ok()?;
    (end <= payload.len()).then(|| payload.slice(offset as usize..end))
}

fn read_all(mut store: StoreContextMut<'_, Host>, (of,): (Resource<Batch>,)) -> Read {
    let host = store.data_mut();
    host.lent(&of)?;
    if !host.meter.read_all(&host.batch) {
        return Ok((Err(Failure::BudgetExceeded),));
    }
    let elements = &host.batch;
    let total: usize = elements.iter().map(|element| element.payload.len()).sum();
    let payloads = if let [element] = &elements[..] {
        element.payload.clone()
    } else {
        // The engine lowers a list from one piece of memory.
        let mut joined = host.pool.take(total);
        elements.iter().for_each(|element| joined.append(&element.payload));
        joined.freeze()
    };
    let ops = elements.len() as u64;
    host.copies.payload_read.record(ops, total as u64);
    host.boundary.read_all(elements);
    if ops > 1 {
        host.copies.host_serialize.record(ops, total as u64);
        host.boundary.joined_all(elements);
    }
    Ok((Ok(payloads),))
}
