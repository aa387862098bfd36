//! What a component needs to start. The engine instantiates its outline, which has no code to run.

use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::error::StartLimit;
use crate::stage::engine::Engine;
use crate::stage::memory_limit::MemoryLimit;

/// Bytes of memory with which nothing can start: more than `limits.memory` can allow.
const MOST_MEMORY: u64 = 64 << 30;

/// Why the outline of a component cannot be instantiated.
pub(super) enum Refused {
    Limit(StartLimit),
    Engine(wasmtime::Error),
}

/// Instantiates an outline, and returns how many bytes of memory it has then.
pub(super) fn measure_memory(engine: &Engine, outline: &Component) -> Result<u64, Refused> {
    let mut linker = Linker::new(&engine.engine);
    linker.define_unknown_imports_as_traps(outline).map_err(Refused::Engine)?;
    let mut store = Store::new(&engine.engine, MemoryLimit::new(MOST_MEMORY));
    store.limiter(|limit| limit);
    match linker.instantiate(&mut store, outline) {
        Ok(_) => Ok(store.data().used()),
        Err(error) => Err(match store.data().exceeded_at_start(&error) {
            Some(exceeded) => Refused::Limit(exceeded),
            None => Refused::Engine(error),
        }),
    }
}
