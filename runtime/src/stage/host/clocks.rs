//! Interfaces `wasi:clocks/wall-clock` and `wasi:clocks/monotonic-clock` for a flow with a virtual clock: the stage sees and
//! waits for virtual time. `poll.rs` fast-forwards it.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtxBuilder, async_trait};

use super::Host;
use crate::base::clock::Clock;

/// The first future moment that a poll found, in nanoseconds of elapsed virtual time.
#[derive(Clone, Default)]
pub(super) struct Next(Arc<AtomicU64>);

/// A moment of virtual time that a stage waits for; `None` if it never comes.
struct Moment {
    clock: Clock,
    at: Option<u64>,
    next: Next,
}

/// Replaces the implementation that is already linked.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Shows a stage this clock, if it is virtual. The system's clock is the default.
pub(super) fn show(clock: &Clock, wasi: &mut WasiCtxBuilder) {
    if clock.is_virtual() {
        wasi.wall_clock(clock.clone()).monotonic_clock(clock.clone());
    }
}

impl Next {
    /// Forgets the moment found before.
    pub(super) fn clear(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// The moment, if one was found.
    pub(super) fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != u64::MAX)
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.unix_ns())
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.elapsed_ns().unwrap_or_default()
    }
}

impl monotonic_clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.clocks().now()
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.clocks().resolution()
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        if self.clock.is_virtual() { self.moment(Some(when)) } else { self.clocks().subscribe_instant(when) }
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.clock.elapsed_ns() {
            Some(elapsed) => self.moment(elapsed.checked_add(duration)),
            None => self.clocks().subscribe_duration(duration),
        }
    }
}

impl Host {
    fn moment(&mut self, at: Option<u64>) -> wasmtime::Result<Resource<DynPollable>> {
        let at = at.filter(|at| *at <= Clock::END);
        let moment = self.table.push(Moment { clock: self.clock.clone(), at, next: self.next.clone() })?;
        subscribe(&mut self.table, moment)
    }
}

#[async_trait]
impl Pollable for Moment {
    async fn ready(&mut self) {
        let ready = |at: u64| self.clock.elapsed_ns().is_some_and(|elapsed| at <= elapsed);
        future::poll_fn(|_| match self.at {
            Some(at) if ready(at) => Poll::Ready(()),
            at => {
                self.next.0.fetch_min(at.unwrap_or(u64::MAX), Ordering::Relaxed);
                Poll::Pending
            }
        })
        .await;
    }
}
