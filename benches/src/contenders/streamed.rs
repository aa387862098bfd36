//! The same two components, which hand payloads over as a `stream<u8>`: one write and one read for each payload.

use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, OptLevel, Result, Store};

use super::composed::{Take, Wasi, compose, take};
use crate::payload::Tally;

pub(crate) struct Streams {
    runtime: Runtime,
    store: Store<Wasi>,
    take: Take,
    len: u32,
}

impl Streams {
    pub(crate) fn new(len: usize) -> Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model_async(true).cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config)?;
        let component = compose("stream_source", "stream_sink", "composed:streaming/streams@0.1.0")?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let mut store = Store::new(&engine, Wasi::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let instance = runtime.block_on(linker.instantiate_async(&mut store, &component))?;
        let take = take(&instance, &mut store, "composed:streaming/awaited-payload-sum@0.1.0")?;
        Ok(Self { runtime, store, take, len: len.try_into()? })
    }

    pub(crate) fn run(&mut self, elements: u64) -> Result<Tally> {
        let Self { runtime, store, take, len } = self;
        let arguments = (*len, elements);
        let (seen,) = runtime
            .block_on(store.run_concurrent(async |accessor| take.call_concurrent(accessor, arguments).await))??;
        Ok(seen.into())
    }
}
