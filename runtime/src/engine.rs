//! The engine: Wasmtime as this runtime sets it up, and the clock that stops stages.

use std::thread;
use std::time::Duration;

use wasmparser::WasmFeatures;
use wasmtime::component::Linker;
use wasmtime::{Config, EngineWeak, WasmBacktraceDetails};

use crate::error::Error;
use crate::host::Host;

/// The version of Wasmtime that this runtime is built on.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// How often the clock that stops stages ticks: what a deadline is rounded up to.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What components may be made of: the analysis validates with just these features, and the engine has no others.
///
/// Not among them is what belongs to the garbage collector, exceptions included: Wasmtime is built without it, and accepts
/// some of that all the same; a call through a table, of a function whose type has a supertype, ends this whole process then.
/// Nor is anything asynchronous, or with threads: calls are synchronous, one at a time in a store.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// Compiles and runs components. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
}

impl Engine {
    /// Sets the engine up, and starts the thread of its clock, which ends with it.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] where the machine cannot do it.
    pub fn new() -> Result<Engine, Error> {
        let mut config = Config::new();
        // Calls are synchronous, one at a time in a store. Without support for concurrent ones a call costs a third.
        config.concurrency_support(false);
        config.epoch_interruption(true);
        config.wasm_features(FEATURES, true).wasm_features(!FEATURES, false);
        config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
        let engine = wasmtime::Engine::new(&config).map_err(engine_error)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(engine_error)?;
        crate::host::link(&mut linker).map_err(engine_error)?;
        let clock = engine.weak();
        thread::Builder::new()
            .name("torvyn-clock".to_string())
            .spawn(move || tick(&clock))
            .map_err(|error| Error::Engine(error.into()))?;
        Ok(Engine { engine, linker })
    }
}

fn engine_error(error: wasmtime::Error) -> Error {
    Error::Engine(error.into())
}

/// Advances the epoch until the engine is gone. A thread of the operating system and no timer of a scheduler: a stage
/// that never returns must not be able to hold it up.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_named_is_the_version_built_on() {
        let pinned = format!("\nwasmtime = {{ version = \"={WASMTIME_VERSION}\"");
        assert!(include_str!("../../Cargo.toml").contains(&pinned));
    }
}
