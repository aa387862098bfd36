//! Two components composed into one, as one does without this runtime. The first hands payloads to the second, which adds
//! them up: here as a `list<u8>` for each payload, which the engine copies from one memory to the other.

use std::path::{Path, PathBuf};
use std::process::Command;

use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, ResourceTable, TypedFunc};
use wasmtime::error::Context as _;
use wasmtime::{AsContextMut, Config, Engine, OptLevel, Result, Store, ensure};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::guests::{beside_program, build_guests};
use crate::payload::Tally;

pub(crate) const LISTS: &str = "composed, list<u8>";
pub(crate) const STREAMS: &str = "composed, stream<u8>";

/// The function of the second component: takes this many payloads, of a length and number, from the first.
pub(super) type Take = TypedFunc<(u32, u64), (Seen,)>;

/// What the second component saw.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Seen {
    elements: u64,
    bytes: u64,
    sum: u64,
}

impl From<Seen> for Tally {
    fn from(Seen { elements, bytes, sum }: Seen) -> Self {
        Self { elements, bytes, sum }
    }
}

/// What the standard library of the guests imports for panics; nothing calls it.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    pub(super) fn new() -> Self {
        Self { context: WasiCtx::builder().inherit_stderr().build(), table: ResourceTable::new() }
    }
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }
}

/// Composes two guests, the second of which imports `interface` from the first.
pub(super) fn compose(source: &str, sink: &str, interface: &str) -> Result<PathBuf> {
    let manifest = "tests/rivals/Cargo.toml";
    let guests = build_guests(manifest);
    let composed = beside_program("guests").join(format!("{source}-{sink}.wasm"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--locked", "--quiet", "--package", "compose", "--manifest-path"]);
    cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(manifest));
    cargo.arg("--target-dir").arg(beside_program("compose"));
    cargo.arg("--").args([&guests[source], &guests[sink]]).arg(interface).arg(&composed);
    ensure!(cargo.status()?.success(), "{cargo:?} failed");
    Ok(composed)
}

/// Finds the function `take` of an exported interface.
pub(super) fn take(instance: &Instance, mut store: impl AsContextMut, interface: &str) -> Result<Take> {
    let exported = instance.get_export_index(&mut store, None, interface);
    let take = exported.and_then(|exported| instance.get_export_index(&mut store, Some(&exported), "take"));
    instance.get_typed_func(&mut store, take.context("the sink exports `take`")?)
}

/// Payloads by value, one for each call between the components.
pub(crate) struct Lists {
    store: Store<Wasi>,
    take: Take,
    len: u32,
}

impl Lists {
    pub(crate) fn new(len: usize) -> Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false).cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config)?;
        let component = compose("list_source", "list_sink", "composed:streaming/lists@0.1.0")?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let mut store = Store::new(&engine, Wasi::new());
        let instance = linker.instantiate(&mut store, &component)?;
        let take = take(&instance, &mut store, "composed:streaming/payload-sum@0.1.0")?;
        Ok(Self { store, take, len: len.try_into()? })
    }

    pub(crate) fn run(&mut self, elements: u64) -> Result<Tally> {
        let (seen,) = self.take.call(&mut self.store, (self.len, elements))?;
        Ok(seen.into())
    }
}
