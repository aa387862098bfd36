//! What a stage may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What a stage may use. It is stopped, or refused, when it wants more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its memory, all linear memories together.
    pub memory: u64,
    /// How long one call may take, by the time of the system. A stage that is slow is offered fewer elements in a call.
    pub time: Duration,
    /// Handles of resources that it holds, lent ones included.
    pub handles: u32,
    /// Bytes of the component.
    pub component_size: u64,
    /// Bytes of memory that compiling the component may take, in the process that compiles it.
    pub compile_memory: u64,
    /// Processor time that compiling the component may take, in the process that compiles it.
    pub compile_time: Duration,
    /// Bytes of host memory for what it holds and makes besides payloads: its elements, leases and outputs, the lists of
    /// pieces of joined payloads, attributes. It is refused what would be more. A call is charged what it makes until it
    /// returns; what waits on edges is charged to their capacity.
    pub host_memory: u64,
    /// Payload bytes that it makes in one call. The payloads that it makes piece by piece have room for as many together.
    pub output_bytes: u64,
    /// Bytes of host memory that what it holds keeps besides its own bytes, before it is moved to memory of its own.
    pub pinned_bytes: u64,
    /// Elements that it holds at once beyond the calls that lent them.
    pub held_elements: u64,
    /// Payload bytes of the elements that it holds at once, and of a payload that it joins of them. Their attributes may
    /// have as many bytes besides.
    pub held_bytes: u64,
    /// Bytes of lines that it prints in a minute. What it prints beyond them is dropped, and counted.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 64 << 20,
            time: Duration::from_secs(1),
            handles: 1024,
            component_size: 32 << 20,
            compile_memory: 2 << 30,
            compile_time: Duration::from_secs(300),
            host_memory: 64 << 20,
            output_bytes: 64 << 20,
            pinned_bytes: 64 << 20,
            held_elements: 65_536,
            held_bytes: 64 << 20,
            log_bytes: 16 << 20,
        }
    }
}

/// Elements that tables of a stage may have: function tables mostly, which a component brings with it.
const TABLE_ELEMENTS: usize = 100_000;
/// Instances, tables and memories of a stage. A component has a handful of each; every one costs address space.
const PARTS: usize = 64;

/// Counts the memory of one stage, and remembers that it was refused some.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    pub(crate) refused: bool,
    /// It may have no more, whatever its limit.
    pub(crate) closed: bool,
}

impl MemoryLimit {
    pub(crate) fn new(limit: u64) -> Self {
        MemoryLimit { limit, used: 0, refused: false, closed: false }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used - (current as u64).min(self.used) + desired as u64;
        if used <= self.limit && !self.closed {
            self.used = used;
            Ok(true)
        } else {
            self.refused = true;
            Ok(false)
        }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}
