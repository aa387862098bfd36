//! The host's side of the contract: what a component of the baseline imports.

use bytes::Bytes;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::data_source::baseline::streaming::types::BufferError;
use super::bindings::data_source::baseline::streaming::{buffer_allocator, types};

/// A buffer of that contract: bytes that no longer change.
pub struct Buffer {
    bytes: Bytes,
    content_type: String,
}

/// A mutable buffer of that contract, until it is frozen.
pub struct MutableBuffer {
    bytes: Writing,
    capacity: u64,
    content_type: String,
}

enum Writing {
    /// The bytes of another buffer, which are copied before they change.
    Shared(Bytes),
    Own(Vec<u8>),
}

impl Writing {
    fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
        }
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if let Self::Shared(bytes) = self {
            *self = Self::Own(bytes.to_vec());
        }
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(_) => unreachable!("the shared bytes were copied"),
        }
    }
}

/// What all elements of a flow share.
#[derive(Default)]
pub struct FlowContext {
    trace_id: String,
    span_id: String,
    flow_id: String,
}

/// The content of the store of one component.
pub struct Host {
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
}

impl Default for Host {
    fn default() -> Self {
        Self { table: ResourceTable::new(), wasi: WasiCtx::builder().build() }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for Host {}

impl types::HostBuffer for Host {
    fn size(&mut self, buffer: Resource<Buffer>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&buffer)?.bytes.len() as u64)
    }

    fn content_type(&mut self, buffer: Resource<Buffer>) -> wasmtime::Result<String> {
        Ok(self.table.get(&buffer)?.content_type.clone())
    }

    fn read(&mut self, buffer: Resource<Buffer>, offset: u64, len: u64) -> wasmtime::Result<Vec<u8>> {
        let bytes = &self.table.get(&buffer)?.bytes;
        let within = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[within(offset)..within(offset.saturating_add(len))].to_vec())
    }

    fn read_all(&mut self, buffer: Resource<Buffer>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&buffer)?.bytes.to_vec())
    }

    fn drop(&mut self, buffer: Resource<Buffer>) -> wasmtime::Result<()> {
        self.table.delete(buffer)?;
        Ok(())
    }
}

impl types::HostMutableBuffer for Host {
    fn write(
        &mut self,
        buffer: Resource<MutableBuffer>,
        offset: u64,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), BufferError>> {
        let MutableBuffer { bytes: to, capacity, .. } = self.table.get_mut(&buffer)?;
        let Some(start) = usize::try_from(offset).ok().filter(|start| *start <= to.len()) else {
            return Ok(Err(BufferError::OutOfBounds));
        };
        let end = start + bytes.len();
        if end as u64 > *capacity {
            return Ok(Err(BufferError::CapacityExceeded));
        }
        let to = to.own();
        to.resize(end.max(to.len()), 0);
        to[start..end].copy_from_slice(&bytes);
        Ok(Ok(()))
    }

    fn append(&mut self, buffer: Resource<MutableBuffer>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), BufferError>> {
        let MutableBuffer { bytes: to, capacity, .. } = self.table.get_mut(&buffer)?;
        if (to.len() + bytes.len()) as u64 > *capacity {
            return Ok(Err(BufferError::CapacityExceeded));
        }
        match to.own() {
            to if to.is_empty() => *to = bytes,
            to => to.extend_from_slice(&bytes),
        }
        Ok(Ok(()))
    }

    fn size(&mut self, buffer: Resource<MutableBuffer>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&buffer)?.bytes.len() as u64)
    }

    fn capacity(&mut self, buffer: Resource<MutableBuffer>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&buffer)?.capacity)
    }

    fn set_content_type(&mut self, buffer: Resource<MutableBuffer>, content_type: String) -> wasmtime::Result<()> {
        self.table.get_mut(&buffer)?.content_type = content_type;
        Ok(())
    }

    fn freeze(&mut self, buffer: Resource<MutableBuffer>) -> wasmtime::Result<Resource<Buffer>> {
        let spent = self.table.get_mut(&buffer)?;
        spent.capacity = 0;
        let bytes = match std::mem::replace(&mut spent.bytes, Writing::Own(Vec::new())) {
            Writing::Shared(bytes) => bytes,
            Writing::Own(bytes) => Bytes::from(bytes),
        };
        let content_type = std::mem::take(&mut spent.content_type);
        Ok(self.table.push(Buffer { bytes, content_type })?)
    }

    fn drop(&mut self, buffer: Resource<MutableBuffer>) -> wasmtime::Result<()> {
        self.table.delete(buffer)?;
        Ok(())
    }
}

impl types::HostFlowContext for Host {
    fn trace_id(&mut self, flow: Resource<FlowContext>) -> wasmtime::Result<String> {
        Ok(self.table.get(&flow)?.trace_id.clone())
    }

    fn span_id(&mut self, flow: Resource<FlowContext>) -> wasmtime::Result<String> {
        Ok(self.table.get(&flow)?.span_id.clone())
    }

    fn deadline_ns(&mut self, _: Resource<FlowContext>) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn flow_id(&mut self, flow: Resource<FlowContext>) -> wasmtime::Result<String> {
        Ok(self.table.get(&flow)?.flow_id.clone())
    }

    fn drop(&mut self, flow: Resource<FlowContext>) -> wasmtime::Result<()> {
        self.table.delete(flow)?;
        Ok(())
    }
}

/// The maximum size of a mutable buffer.
const CAPACITY: u64 = 16 << 20;

impl buffer_allocator::Host for Host {
    fn allocate(&mut self, capacity_hint: u64) -> wasmtime::Result<Result<Resource<MutableBuffer>, BufferError>> {
        if capacity_hint > CAPACITY {
            return Ok(Err(BufferError::CapacityExceeded));
        }
        let bytes = Writing::Own(Vec::new());
        Ok(Ok(self.table.push(MutableBuffer { bytes, capacity: CAPACITY, content_type: String::new() })?))
    }

    fn clone_into_mutable(
        &mut self,
        source: Resource<Buffer>,
    ) -> wasmtime::Result<Result<Resource<MutableBuffer>, BufferError>> {
        let Buffer { bytes, content_type } = self.table.get(&source)?;
        let (bytes, content_type) = (Writing::Shared(bytes.clone()), content_type.clone());
        Ok(Ok(self.table.push(MutableBuffer { bytes, capacity: CAPACITY, content_type })?))
    }
}
