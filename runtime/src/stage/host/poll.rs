//! Interface `wasi:io/poll`: a stage waits no longer than the rest of its call's time limit. The epoch does not interrupt host
//! functions, and waiting is the only one that takes time. Virtual time is not waited for: it is fast-forwarded to the moment
//! at which the stage can continue.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::bindings::sync::io::poll::{self, Host as _, HostPollable};

use super::Host;

type Pollables = Vec<Resource<DynPollable>>;

/// Replaces the implementation that is already linked.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl Host {
    /// The pollables that are ready within this much system time.
    fn ready_within(&mut self, time: Duration, pollables: &Pollables) -> wasmtime::Result<Vec<u32>> {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let end = self.clocks().subscribe_duration(time)?;
        let mut polled: Pollables = pollables.iter().map(|pollable| Resource::new_borrow(pollable.rep())).collect();
        polled.push(Resource::new_borrow(end.rep()));
        let ready = self.table.poll(polled);
        HostPollable::drop(&mut self.table, end)?;
        Ok(ready?.into_iter().filter(|&index| (index as usize) < pollables.len()).collect())
    }

    /// Fast-forwards virtual time to the first moment at which a pollable is ready, and returns those that are ready then. Empty
    /// if no pollable waits for a moment.
    fn ready_next(&mut self, pollables: &Pollables) -> wasmtime::Result<Vec<u32>> {
        self.next.clear();
        let ready = self.ready_within(Duration::ZERO, pollables)?;
        let Some((at, elapsed)) = self.next.get().zip(self.clock.elapsed_ns()).filter(|_| ready.is_empty()) else {
            return Ok(ready);
        };
        self.clock.wait(Duration::from_nanos(at.saturating_sub(elapsed)));
        self.ready_within(Duration::ZERO, pollables)
    }
}

impl poll::Host for Host {
    fn poll(&mut self, pollables: Pollables) -> wasmtime::Result<Vec<u32>> {
        wasmtime::ensure!(!pollables.is_empty(), "nothing to poll");
        let mut ready = Vec::new();
        if self.clock.is_virtual() {
            ready = self.ready_next(&pollables)?;
        }
        while ready.is_empty() {
            let time = self.may_wait()?;
            ready = self.ready_within(time, &pollables)?;
        }
        Ok(ready)
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
