//! The engine: Wasmtime as this runtime configures it, and the thread that stops stages.

use std::thread;

use wasmtime::component::Linker;

use crate::component::compile;
use crate::error::Error;
use crate::stage::host::Host;
use crate::stage::ticks;

/// The version of Wasmtime that this runtime is built on.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// Compiles and runs components. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
}

impl Engine {
    /// Creates the engine and starts its tick thread, which ends with the engine.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if the machine cannot run it.
    pub fn new() -> Result<Engine, Error> {
        let engine = compile::new_engine().map_err(engine_error)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(engine_error)?;
        crate::stage::host::link(&mut linker).map_err(engine_error)?;
        let clock = engine.weak();
        ticks::forget_pause();
        thread::Builder::new()
            .name("torvyn-clock".to_string())
            .spawn(move || ticks::tick(&clock))
            .map_err(|error| Error::Engine(error.into()))?;
        Ok(Engine { engine, linker })
    }
}

fn engine_error(error: wasmtime::Error) -> Error {
    Error::Engine(error.into())
}
