//! Interface `payload-write`: payload bytes from the stage to the host.

use wasmtime::component::{LinkerInstance, Resource, WasmList};
use wasmtime::{AsContext, StoreContextMut};

use super::part::{Part, Written};
use super::{Failure, Host, Output, host_memory};
use crate::base::plural::counted;
use crate::payload::{self, Block, Refused};

/// A value in `sizes`: the element is passed on by handle.
pub(crate) const BY_HANDLE: u64 = u64::MAX;
/// Payloads of fewer bytes, on the average, are followed by what the outputs write after each element. Larger ones need it less,
/// and would be moved to a larger class of buffers by it.
const SMALL: usize = 1 << 10;
/// A value in `lineage`: the element comes from none of the batch.
pub(crate) const NO_LINEAGE: u32 = u32::MAX;

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("emit-all", emit_all)
}

type Columns = (WasmList<u8>, WasmList<u64>, WasmList<u32>, WasmList<u32>);

fn emit_all(
    mut store: StoreContextMut<'_, Host>,
    columns: Columns,
) -> wasmtime::Result<(Result<Resource<Output>, Failure>,)> {
    let made = make(&mut store, columns);
    store.data_mut().meter.refused |= made.is_err();
    Ok((made,))
}

fn make(
    store: &mut StoreContextMut<'_, Host>,
    (bytes, sizes, lineage, outputs): Columns,
) -> Result<Resource<Output>, Failure> {
    let len = bytes.as_le_slice(store.as_context()).len();
    let elements = sizes.as_le_slice(store.as_context()).len();
    store.data().outputs.room(len, elements)?;
    let columns = [elements * 8, lineage.len() * 4, outputs.len() * 4];
    let are_one_run = lineage.len() == 0 && outputs.len() == 0;
    store.data().may_use(host_memory::written(elements, columns.into_iter().sum(), are_one_run))?;
    store.data().may_allocate()?;
    let sizes = sizes.as_le_slice(store.as_context()).to_vec();
    let lineage = lineage.as_le_slice(store.as_context()).to_vec();
    let outputs = outputs.as_le_slice(store.as_context()).to_vec();
    let written = written(len, &sizes, &lineage, &outputs).map_err(Failure::InvalidInput)?;
    let host = store.data_mut();
    if !host.meter.write(&host.batch, &sizes, &lineage, written) {
        return Err(Failure::BudgetExceeded);
    }
    let is_small = len < written as usize * SMALL;
    let end = if is_small { host.end_of_element } else { &[] };
    let mut block = host.block(len + written as usize * end.len());
    append(&mut block, bytes.as_le_slice(store.as_context()), &sizes, end).expect("the block has room for the bytes");
    let host = store.data_mut();
    host.copies.payload_write.record(written, len as u64);
    let metadata = size_of_val(&sizes[..]) + size_of_val(&lineage[..]) + size_of_val(&outputs[..]);
    host.copies.metadata_marshal.record(1, metadata as u64);
    let bytes = block.freeze();
    let (before, buffer) = (host.outputs.elements, bytes.buffer());
    let new = sizes.iter().enumerate().filter(|(_, size)| **size != BY_HANDLE);
    let records = new.map(|(entry, size)| (before + entry, *size, origin(&host.batch, &lineage, entry)));
    host.boundary.wrote(records, buffer);
    host.boundary.lifted(metadata as u64);
    let made = Written { bytes, end: end.len(), sizes, lineage, outputs, written };
    Ok(host.outputs.push(Part::Written(made)))
}

/// Appends the payloads of these sizes, and `end` after each.
fn append(block: &mut Block, mut bytes: &[u8], sizes: &[u64], end: &[u8]) -> Result<(), Refused> {
    if end.is_empty() {
        return block.append(bytes);
    }
    let payloads = sizes.iter().filter(|size| **size != BY_HANDLE).map(|size| {
        let payload;
        (payload, bytes) = bytes.split_at(*size as usize);
        payload
    });
    block.append_all(payloads, end)
}

/// The sequence number of the element that this entry comes from. Without lineage, that is the last element of the batch.
fn origin(batch: &payload::Batch, lineage: &[u32], entry: usize) -> Option<u64> {
    let named = lineage.get(entry).filter(|index| **index != NO_LINEAGE);
    named.map_or(batch.last(), |index| batch.get(*index as usize)).map(|origin| origin.sequence())
}

/// The number of elements with new bytes. Fails if the columns contradict each other.
fn written(bytes: usize, sizes: &[u64], lineage: &[u32], outputs: &[u32]) -> Result<u64, String> {
    for (column, len) in [("lineage", lineage.len()), ("outputs", outputs.len())] {
        if len != 0 && len != sizes.len() {
            return Err(format!("`{column}` has {}, but `sizes` has {}", counted(len as u64, "entry"), sizes.len()));
        }
    }
    let mut total = 0u64;
    let mut written = 0;
    for &size in sizes.iter().filter(|size| **size != BY_HANDLE) {
        total = total.saturating_add(size);
        written += 1;
    }
    if total != bytes as u64 {
        return Err(format!("`sizes` add up to {}, but `bytes` has {bytes}", counted(total, "byte")));
    }
    if written < sizes.len() as u64 && lineage.is_empty() {
        return Err("elements passed on by handle need `lineage`".to_string());
    }
    Ok(written)
}
