//! What a stage may use.

use std::time::Duration;

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
    /// Bytes of lines that it prints in a minute, with their ends. What it prints beyond them is dropped, and counted.
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
