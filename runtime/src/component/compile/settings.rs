//! What the engine of this runtime accepts, and how it compiles.

use wasmparser::WasmFeatures;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

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

/// An engine of Wasmtime. All of them have the same settings, so that what one compiles any other loads.
pub(crate) fn new_engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // Calls are synchronous, one at a time in a store. Without support for concurrent ones a call costs a third.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.wasm_features(FEATURES, true).wasm_features(!FEATURES, false);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    Engine::new(&config)
}
