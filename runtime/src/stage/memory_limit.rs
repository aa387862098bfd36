//! The limits of one stage for its memories, tables and instances, enforced through Wasmtime's `ResourceLimiter`.

use wasmtime::{ResourceLimiter, Trap};

use crate::error::StartLimit;

/// Elements in all tables of a stage. These are mostly function tables that come with the component.
const TABLE_ELEMENTS: u64 = 100_000;
/// Core instances, tables and memories of a stage. A component has a handful of each; each costs address space.
const PARTS: usize = 64;
/// How the engine begins an error about one of these counts.
const TOO_MANY: &str = "resource limit exceeded: ";

/// Counts the memory of one stage, and remembers whether any was refused.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    table_elements: u64,
    pub(crate) refused: bool,
    /// Whether all growth is refused, whatever the limit.
    pub(crate) closed: bool,
    /// The first limit that was exceeded.
    exceeded: Option<StartLimit>,
}

impl MemoryLimit {
    pub(crate) fn new(limit: u64) -> Self {
        MemoryLimit { limit, used: 0, table_elements: 0, refused: false, closed: false, exceeded: None }
    }

    /// Bytes of all memories.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The limit that the component exceeds, if that is why instantiating it ended with `error`, and not its code.
    pub(crate) fn exceeded_at_start(&self, error: &wasmtime::Error) -> Option<StartLimit> {
        if error.downcast_ref::<Trap>().is_some() {
            return None;
        }
        let too_many = |text: String| {
            let found = text.strip_prefix(TOO_MANY)?.to_string();
            Some(StartLimit::Parts { found, limit: PARTS })
        };
        self.exceeded.clone().or_else(|| too_many(error.root_cause().to_string()))
    }
}

/// What is in use after something grew from `current` to `desired`.
fn grown(used: u64, current: usize, desired: usize) -> u64 {
    used.saturating_sub(current as u64).saturating_add(desired as u64)
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = grown(self.used, current, desired);
        if used <= self.limit && !self.closed {
            self.used = used;
            Ok(true)
        } else {
            self.refused = true;
            self.exceeded.get_or_insert(StartLimit::Memory { needed: used, limit: self.limit });
            Ok(false)
        }
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = grown(self.table_elements, current, desired);
        if elements <= TABLE_ELEMENTS {
            self.table_elements = elements;
            Ok(true)
        } else {
            self.exceeded.get_or_insert(StartLimit::TableElements { needed: elements, limit: TABLE_ELEMENTS });
            Ok(false)
        }
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
