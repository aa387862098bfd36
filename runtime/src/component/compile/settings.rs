//! The settings of the engine: which WebAssembly features it accepts, and how it compiles.

use wasmparser::WasmFeatures;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

/// The WebAssembly features that components may use: the analysis validates with exactly these, and the engine has no
/// others.
///
/// Garbage collection is excluded, and exceptions with it. Wasmtime is built without garbage collection but still
/// accepts some of its types, and a call through a table of a function whose type has a supertype would then abort this
/// process. Asynchronous calls and threads are excluded too: calls are synchronous, one at a time in a store.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// Creates an engine. All engines have the same settings, so that each can load what another has compiled.
pub(crate) fn new_engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // Calls are synchronous, one at a time in a store. Without support for concurrency a call costs a third.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.wasm_features(FEATURES, true).wasm_features(!FEATURES, false);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    Engine::new(&config)
}
