//! [`Limits`]: the resources that a stage may use.

use std::time::Duration;

/// The resources that a stage may use. A stage that exceeds a limit is stopped, or its request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories of the stage together.
    pub memory: u64,
    /// How long one call may take, measured with the system clock. A slow stage is lent fewer elements per call.
    pub time: Duration,
    /// Resource handles that the stage holds, borrowed ones included.
    pub handles: u32,
    /// Bytes of the component file.
    pub component_size: u64,
    /// Bytes of memory that compiling the component may take, in the compiler process.
    pub compile_memory: u64,
    /// Processor time that compiling the component may take, in the compiler process.
    pub compile_time: Duration,
    /// Bytes of host memory, besides payloads, for whatever the stage holds and makes: elements, leases, outputs,
    /// attributes, and the lists of pieces of joined payloads. Requests beyond the limit are refused. A call is charged
    /// for the elements that it makes until it returns; elements that wait on edges are charged to the capacity of the
    /// edges.
    pub host_memory: u64,
    /// Payload bytes that the stage makes in one call. All payloads that it builds piece by piece together have the
    /// same limit for their capacity.
    pub output_bytes: u64,
    /// Bytes of host memory that held elements keep alive beyond their own bytes. Beyond the limit, they are moved to
    /// memory of their own.
    pub pinned_bytes: u64,
    /// Elements that the stage holds at the same time beyond the calls that lent them.
    pub held_elements: u64,
    /// Payload bytes of the elements that the stage holds at the same time, and of a payload that it joins from them.
    /// The attributes of held elements may have as many bytes again.
    pub held_bytes: u64,
    /// Bytes that the stage prints in a minute, line breaks included. Lines beyond the limit are dropped, and counted.
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
