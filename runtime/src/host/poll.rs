//! Interface `wasi:io/poll`: a stage waits no longer than a call may take. The clock that stops stages does not stop a
//! function of the host, and waiting is the only one that lasts.

use wasmtime::Trap;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::bindings::sync::io::poll::{self, Host as _, HostPollable};

use super::Host;

/// Takes the place of what is there.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl poll::Host for Host {
    fn poll(&mut self, mut pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        wasmtime::ensure!(!pollables.is_empty(), "nothing to poll");
        let polled = pollables.len() as u32;
        let limit = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        let end = self.clocks().subscribe_duration(limit)?;
        pollables.push(Resource::new_borrow(end.rep()));
        let ready = self.table.poll(pollables);
        HostPollable::drop(&mut self.table, end)?;
        let ready: Vec<u32> = ready?.into_iter().filter(|&index| index < polled).collect();
        if ready.is_empty() { Err(Trap::Interrupt.into()) } else { Ok(ready) }
    }
}

impl HostPollable for Host {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.table.ready(pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.poll(vec![pollable]).map(drop)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        HostPollable::drop(&mut self.table, pollable)
    }
}
