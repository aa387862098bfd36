//! Interface `payload-buffer`: payloads that a stage builds piece by piece.

use wasmtime::component::{LinkerInstance, Resource, ResourceType, WasmList};
use wasmtime::{AsContext, StoreContextMut};

use super::host_memory::{self, limit};
use super::part::{Part, Written};
use super::slab::Slab;
use super::{Failure, Host, Output};
use crate::base::plural::counted;
use crate::base::text::format_bytes;
use crate::ledger::Count;
use crate::payload::Block;

/// The resource `buffer`. Its rep is its place among the buffers of the stage.
enum Buffer {}

/// The unfinished payloads of a stage.
pub(super) struct Buffers {
    buffers: Slab<Growing>,
    /// Their total capacity.
    capacity: u64,
    /// The limit of the total capacity.
    most_capacity: u64,
    /// What was written beyond the final payloads: every write after the first one of a payload, and bytes that were
    /// overwritten.
    pub(super) rewritten: Count,
    /// What was written to discarded buffers.
    pub(super) given_up: Count,
}

/// An unfinished payload.
struct Growing {
    block: Block,
    capacity: u64,
    writes: u64,
    /// Bytes that were overwritten.
    overwritten: u64,
}

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.resource("buffer", ResourceType::host::<Buffer>(), |mut store, rep| {
        store.data_mut().buffers.drop_buffer(rep);
        Ok(())
    })?;
    interface.func_wrap("[static]buffer.allocate", allocate)?;
    interface.func_wrap("[method]buffer.append", append)?;
    interface.func_wrap("[method]buffer.write-at", write_at)?;
    interface.func_wrap("[static]buffer.freeze", freeze)
}

fn allocate(
    mut store: StoreContextMut<'_, Host>,
    (capacity,): (u64,),
) -> wasmtime::Result<(Result<Resource<Buffer>, Failure>,)> {
    let host = store.data_mut();
    let allocated = host.allocate(capacity);
    host.meter.refused |= allocated.is_err();
    Ok((allocated,))
}

type Wrote = wasmtime::Result<(Result<(), Failure>,)>;

fn append(mut store: StoreContextMut<'_, Host>, (buffer, bytes): (Resource<Buffer>, WasmList<u8>)) -> Wrote {
    let len = bytes.as_le_slice(store.as_context()).len() as u64;
    let fits = |buffer: &Growing| match buffer.capacity - buffer.len() {
        room if len > room => Err(limit(format!("write at most {} to this buffer", counted(buffer.capacity, "byte")))),
        _ => Ok(()),
    };
    write(&mut store, buffer.rep(), &bytes, fits, |buffer, bytes| {
        buffer.block.append(bytes).expect("the block has room for the bytes");
    })
}

fn write_at(
    mut store: StoreContextMut<'_, Host>,
    (buffer, offset, bytes): (Resource<Buffer>, u64, WasmList<u8>),
) -> Wrote {
    let len = bytes.as_le_slice(store.as_context()).len() as u64;
    let fits = |buffer: &Growing| match offset.checked_add(len) {
        Some(end) if end <= buffer.len() => Ok(()),
        _ => Err(Failure::OutOfBounds),
    };
    write(&mut store, buffer.rep(), &bytes, fits, |buffer, bytes| {
        buffer.block.write_at(offset as usize, bytes).expect("the range is written");
        buffer.overwritten += bytes.len() as u64;
    })
}

/// Writes to a buffer once, if the bytes fit and the budget allows it.
fn write(
    store: &mut StoreContextMut<'_, Host>,
    rep: u32,
    bytes: &WasmList<u8>,
    fits: impl FnOnce(&Growing) -> Result<(), Failure>,
    copy: impl FnOnce(&mut Growing, &[u8]),
) -> Wrote {
    let host = store.data_mut();
    let buffer = host.buffers.buffers.get_mut(rep).ok_or_else(|| wasmtime::format_err!("no such buffer"))?;
    let may =
        fits(buffer).and_then(|()| host.meter.write_piece(buffer.writes).then_some(()).ok_or(Failure::BudgetExceeded));
    if let Err(refused) = may {
        host.meter.refused = true;
        return Ok((Err(refused),));
    }
    buffer.writes += 1;
    // The buffer is taken out of the store for the copy, because the bytes are borrowed from the store as well.
    let Some(mut buffer) = host.buffers.buffers.take_out(rep) else { wasmtime::bail!("no such buffer") };
    let bytes = bytes.as_le_slice(store.as_context());
    copy(&mut buffer, bytes);
    let len = bytes.len() as u64;
    let host = store.data_mut();
    host.copies.payload_write.record(1, len);
    host.boundary.wrote_piece(buffer.block.id(), len);
    host.buffers.buffers.put_back(rep, buffer);
    Ok((Ok(()),))
}

fn freeze(
    mut store: StoreContextMut<'_, Host>,
    (this, lineage, outputs): (Resource<Buffer>, u32, u32),
) -> wasmtime::Result<(Result<Resource<Output>, Failure>,)> {
    let host = store.data_mut();
    let buffer = host.buffers.remove(this.rep()).ok_or_else(|| wasmtime::format_err!("no such buffer"))?;
    let frozen = host.freeze(buffer, lineage, outputs);
    host.meter.refused |= frozen.is_err();
    Ok((frozen,))
}

impl Host {
    fn allocate(&mut self, capacity: u64) -> Result<Resource<Buffer>, Failure> {
        let buffers = &self.buffers;
        if buffers.capacity.saturating_add(capacity) > buffers.most_capacity {
            let most = format_bytes(buffers.most_capacity);
            return Err(limit(format!("have at most {most} in buffers at once")));
        }
        if !self.meter.may_write(0) {
            return Err(Failure::BudgetExceeded);
        }
        self.may_allocate()?;
        let block = self.block(capacity as usize);
        self.buffers.capacity += capacity;
        let rep = self.buffers.buffers.insert(Growing { block, capacity, writes: 0, overwritten: 0 });
        Ok(Resource::new_own(rep))
    }

    fn freeze(&mut self, mut buffer: Growing, lineage: u32, outputs: u32) -> Result<Resource<Output>, Failure> {
        let len = buffer.len();
        let may = self.outputs.room(len as usize, 1).and_then(|()| self.may_use(host_memory::written(1, 16, false)));
        let made = may.and_then(|()| {
            let empty = buffer.writes == 0;
            if (empty && !self.meter.write_piece(0))
                || !self.meter.writes_of(&self.batch, lineage, buffer.writes.max(1))
            {
                return Err(Failure::BudgetExceeded);
            }
            if empty {
                self.copies.payload_write.record(1, 0);
                self.boundary.wrote_piece(buffer.block.id(), 0);
                buffer.writes = 1;
            }
            Ok(())
        });
        if let Err(refused) = made {
            self.buffers.discard(&buffer);
            return Err(refused);
        }
        self.buffers.rewritten.record(buffer.writes - 1, buffer.overwritten);
        let made = Written {
            bytes: buffer.block.freeze(),
            end: 0,
            sizes: vec![len],
            lineage: vec![lineage],
            outputs: vec![outputs],
            written: 1,
        };
        Ok(self.outputs.push(Part::Written(made)))
    }
}

impl Buffers {
    pub(super) fn new(most_capacity: u64) -> Buffers {
        Buffers {
            buffers: Slab::new(),
            capacity: 0,
            most_capacity,
            rewritten: Count::default(),
            given_up: Count::default(),
        }
    }

    /// The buffers of a stage that restarts. All buffers in `before` were discarded.
    pub(super) fn restarted(before: &Buffers) -> Buffers {
        let Buffers { rewritten, given_up, .. } = *before;
        Buffers { rewritten, given_up, ..Buffers::new(before.most_capacity) }
    }

    /// Removes a buffer, to freeze or to discard it.
    fn remove(&mut self, rep: u32) -> Option<Growing> {
        let buffer = self.buffers.remove(rep)?;
        self.capacity -= buffer.capacity;
        Some(buffer)
    }

    /// Discards a buffer whose handle the stage dropped.
    fn drop_buffer(&mut self, rep: u32) {
        if let Some(buffer) = self.remove(rep) {
            self.discard(&buffer);
        }
    }

    /// Discards all buffers, because the stage is gone.
    pub(super) fn discard_all(&mut self) {
        let buffers: Vec<Growing> = self.buffers.drain().collect();
        buffers.iter().for_each(|buffer| self.discard(buffer));
        self.capacity = 0;
    }

    fn discard(&mut self, buffer: &Growing) {
        self.given_up.record(buffer.writes, buffer.len() + buffer.overwritten);
    }
}

impl Growing {
    /// Bytes written so far.
    fn len(&self) -> u64 {
        self.block.written().len() as u64
    }
}
