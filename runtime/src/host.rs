//! The host's side of the contract: what a stage's store holds, and the functions that the stage imports.

use std::time::Duration;

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::element::Element;
use crate::ledger::Copies;
use crate::limits::{Limits, MemoryLimit};
use crate::log::StageLog;
use crate::payload::{Payload, Pool};

pub(crate) use bindings::types::{BackpressureSignal, Columns, Failure, Outcome};

pub(crate) mod bindings;
mod meter;
mod payload_read;
mod payload_write;
mod poll;

pub(crate) use meter::Meter;
pub(crate) use payload_write::BY_HANDLE;

/// The resource `batch`. A store lends one at a time; its rep is the number of the call that lent it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Batch {}
/// The resource `output`. Its rep is the place of the output among all that the store ever made.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Output {}

/// Outputs that a stage can make in one call.
const MAX_OUTPUTS_A_CALL: usize = 1024;
/// Elements that a stage can make in one call, over all outputs. Each costs the host memory even without a payload.
const MAX_ELEMENTS_A_CALL: usize = 1 << 20;

/// What the store of a stage holds.
pub(crate) struct Host {
    /// The elements of the current call.
    pub(crate) batch: Vec<Element>,
    /// The number of the current call.
    call: u32,
    made: Vec<Option<Made>>,
    /// The rep of the first output of this call.
    first_output: u32,
    /// Payload bytes made in this call.
    made_bytes: u64,
    /// Elements made in this call.
    made_elements: usize,
    /// Payloads written in this call.
    written: u64,
    /// Why a payload that the stage wanted to read could not be had: no fault of the stage, which is ended by it.
    pub(crate) unreadable: Option<std::io::Error>,
    /// Whether this call may make elements.
    pub(crate) may_make: bool,
    output_bytes: u64,
    pub(crate) copies: Copies,
    pub(crate) meter: Meter,
    pool: Pool,
    pub(crate) memory: MemoryLimit,
    /// The time limit of a call.
    time: Duration,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// The elements of one output, as the stage described them.
pub(crate) struct Made {
    pub(crate) bytes: Payload,
    pub(crate) sizes: Vec<u64>,
    pub(crate) lineage: Vec<u32>,
    pub(crate) outputs: Vec<u32>,
    /// How many of them bring new bytes.
    pub(crate) written: u64,
}

impl Host {
    /// Grants nothing but the stage's log.
    pub(crate) fn new(limits: &Limits, meter: Meter, pool: Pool, log: &StageLog) -> Host {
        let wasi = WasiCtx::builder().stdout(log.clone()).stderr(log.clone()).build();
        Host {
            batch: Vec::new(),
            call: 0,
            made: Vec::new(),
            first_output: 0,
            made_bytes: 0,
            made_elements: 0,
            written: 0,
            unreadable: None,
            may_make: false,
            output_bytes: limits.output_bytes,
            copies: Copies::default(),
            meter,
            pool,
            memory: MemoryLimit::new(limits.memory),
            time: limits.time,
            wasi,
            table: ResourceTable::new(),
        }
    }

    /// Begins a call that is lent `batch`.
    pub(crate) fn lend(&mut self) -> Resource<Batch> {
        self.call = self.call.wrapping_add(1);
        self.meter.lend(self.batch.len());
        Resource::new_borrow(self.call)
    }

    /// Ends a call: outputs that were not returned are gone.
    pub(crate) fn end_call(&mut self) {
        self.first_output = self.first_output.wrapping_add(self.made.len() as u32);
        self.made.clear();
        self.made_bytes = 0;
        self.made_elements = 0;
        self.written = 0;
        self.may_make = false;
    }

    /// The elements that this handle of a batch stands for.
    fn lent(&self, batch: &Resource<Batch>) -> wasmtime::Result<&[Element]> {
        wasmtime::ensure!(batch.rep() == self.call, "the batch was lent to another call");
        Ok(&self.batch)
    }

    /// Ends the stage, which asked for a payload that cannot be read. Why is kept for the flow to tell.
    fn unreadable(&mut self, error: std::io::Error) -> wasmtime::Error {
        let ended = wasmtime::Error::msg(error.to_string());
        self.unreadable = Some(error);
        ended
    }

    /// How many payloads this call wrote that are not in `returned`.
    pub(crate) fn unreturned(&self, returned: Option<&Made>) -> u64 {
        self.written - returned.map_or(0, |made| made.written)
    }

    /// Takes the output that was returned, if it was made in this call.
    pub(crate) fn take_output(&mut self, output: &Resource<Output>) -> Option<Made> {
        let index = output.rep().wrapping_sub(self.first_output) as usize;
        self.made.get_mut(index)?.take()
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Defines every interface of the contract that stages import, and waiting; the rest of WASI is defined before.
pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    use wasmtime::component::ResourceType;
    let mut types = linker.instance("torvyn:streaming/types@0.2.0")?;
    types.resource("batch", ResourceType::host::<Batch>(), |_, _| Ok(()))?;
    types.resource("output", ResourceType::host::<Output>(), |mut store, rep| {
        store.data_mut().take_output(&Resource::new_own(rep));
        Ok(())
    })?;
    payload_read::link(&mut linker.instance("torvyn:streaming/payload-read@0.2.0")?)?;
    payload_write::link(&mut linker.instance("torvyn:streaming/payload-write@0.2.0")?)?;
    poll::link(linker)
}
