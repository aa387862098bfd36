//! The memory limit of one stage, enforced through Wasmtime's `ResourceLimiter`.

use wasmtime::ResourceLimiter;

/// Elements in the tables of a stage. These are mostly function tables that come with the component.
const TABLE_ELEMENTS: usize = 100_000;
/// Instances, tables and memories of a stage. A component has a handful of each; each costs address space.
const PARTS: usize = 64;

/// Counts the memory of one stage, and remembers whether any was refused.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    pub(crate) refused: bool,
    /// Whether all growth is refused, whatever the limit.
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
