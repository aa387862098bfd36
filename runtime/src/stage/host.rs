//! The host's side of the contract: what the store of a stage holds, and the functions that the stage imports.

use std::time::{Duration, Instant};

use attributes::Changed;
use outputs::Outputs;
use payload_buffer::Buffers;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime::{Trap, UpdateDeadline};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::base::clock::Clock;
use crate::base::cut::{Cut, CutOff, LOOK};
use crate::base::rng::Rng;
use crate::contract::full_name;
use crate::ledger::ownership::{Owner, StageId};
use crate::ledger::{Boundary, Copies, Count};
use crate::payload::element::Element;
use crate::payload::{self, Block, ElementRef, ElementSet, Pinned, Pool, Run};
use crate::pipeline::limits::Limits;
use crate::stage::log::StageLog;
use crate::stage::memory_limit::MemoryLimit;
use crate::stage::ticks::{self as clock_ticks, TICK};

pub(crate) use bindings::types::{
    BackpressureSignal, Columns, Failure, FailurePolicy, Outcome, ProcessFailure, PushFailure, Reached,
};
pub(crate) use failing::Skipped;
pub(crate) use leases::Leases;
pub(crate) use meter::Meter;
pub(crate) use outputs::{OutputElements, all_outputs};
pub(crate) use part::{Origin, Part, View, Written};
pub(crate) use payload_write::{BY_HANDLE, NO_LINEAGE};

mod attributes;
pub(crate) mod bindings;
mod clocks;
mod failing;
mod host_memory;
pub(crate) mod leases;
mod meter;
mod outputs;
mod part;
mod payload_buffer;
mod payload_lease;
mod payload_read;
mod payload_view;
mod payload_write;
mod poll;
mod slab;
mod types;

/// The resource `batch`. A store lends one at a time; its rep is the number of the call that lent it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Batch {}
/// The resource `lease`. Its rep is its place among the leases of the stage.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Lease {}
/// The resource `output`. Its rep is its place among all outputs that the store ever made.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Output {}

/// Random bytes that a stage gets in one call.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// What surrounds a stage besides the contract.
pub(crate) struct Environment {
    pub(crate) log: StageLog,
    pub(crate) clock: Clock,
    /// When calls are cut off, whatever their limit.
    pub(crate) cut: Cut,
    /// The source of its random numbers; `None` for the system's.
    pub(crate) rng: Option<Rng>,
    /// What happens to an element that the stage fails on.
    pub(crate) policy: FailurePolicy,
    /// What follows each small payload that it writes, for its outputs.
    pub(crate) end_of_element: &'static [u8],
}

/// The length of a call whose limit is beyond what the clock can represent.
const LONGEST_CALL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Ticks after which a long call is checked again.
const LOOK_TICKS: u64 = (LOOK.as_nanos() / TICK.as_nanos()) as u64;

/// An injected fault that happens when the stage next checks the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EpochFault {
    Deadline,
    Trap,
}

/// What the store of a stage holds.
pub(crate) struct Host {
    /// The elements of the current call.
    pub(crate) batch: payload::Batch,
    changed: Changed,
    policy: FailurePolicy,
    /// The elements of the batch that the current call skipped.
    skipped: Vec<Skipped>,
    /// The number of the current call.
    call: u32,
    pub(crate) outputs: Outputs,
    buffers: Buffers,
    pub(crate) leases: Leases,
    /// Limits of what it may hold at once.
    held_elements: u64,
    held_bytes: u64,
    /// Bytes of host memory that it may use besides payloads.
    host_memory: u64,
    /// Why a payload could not be read. This is not the fault of the stage, but it ends the stage.
    pub(crate) unreadable: Option<std::io::Error>,
    pub(crate) copies: Copies,
    pub(crate) boundary: Boundary,
    pub(crate) meter: Meter,
    pool: Pool,
    stage: StageId,
    /// What follows each payload that the stage writes.
    end_of_element: &'static [u8],
    /// Whether the current call borrows the buffers of its batch.
    is_borrowing: bool,
    /// How much host memory the held elements may keep besides their own bytes.
    pinned_bytes: u64,
    pub(crate) memory: MemoryLimit,
    /// The time limit of a call.
    time: Duration,
    /// When the limit of the current call ends, by the system's clock, unless the process is suspended during the call.
    ends: Instant,
    /// How long the process had been suspended when the current call began.
    stopped: Duration,
    cut: Cut,
    pub(crate) epoch_fault: Option<EpochFault>,
    clock: Clock,
    /// The source of random numbers after a restart.
    restart_rng: Option<Rng>,
    /// The next point in virtual time that the stage waits for.
    next: clocks::Next,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl Host {
    /// Grants nothing but the stage's log, clocks and random numbers.
    pub(crate) fn new(
        limits: &Limits,
        meter: Meter,
        pool: Pool,
        stage: StageId,
        boundary: Boundary,
        Environment { log, clock, cut, rng, policy, end_of_element }: Environment,
    ) -> Host {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(log.clone()).stderr(log).max_random_size(MAX_RANDOM_BYTES);
        clocks::show(&clock, &mut wasi);
        let mut restart_rng = None;
        if let Some(mut rng) = rng {
            restart_rng = Some(Rng::new(rng.next()));
            wasi.insecure_random_seed(u128::from(rng.next()) << 64 | u128::from(rng.next()));
            wasi.secure_random(rng.clone()).insecure_random(rng);
        }
        Host {
            batch: payload::Batch::default(),
            changed: Changed::default(),
            policy,
            skipped: Vec::new(),
            call: 0,
            outputs: Outputs::new(limits.output_bytes),
            buffers: Buffers::new(limits.output_bytes),
            leases: Leases::new(Pinned::new(pool.clone(), stage)),
            held_elements: limits.held_elements,
            held_bytes: limits.held_bytes,
            host_memory: limits.host_memory,
            unreadable: None,
            copies: Copies::default(),
            boundary,
            meter,
            pool,
            stage,
            end_of_element,
            is_borrowing: false,
            pinned_bytes: limits.pinned_bytes,
            memory: MemoryLimit::new(limits.memory),
            time: limits.time,
            ends: Instant::now(),
            stopped: Duration::ZERO,
            cut,
            epoch_fault: None,
            clock,
            restart_rng,
            next: clocks::Next::default(),
            wasi: wasi.build(),
            table: ResourceTable::new(),
        }
    }

    /// The host state of the same stage after a restart. Its counters continue. Everything else was reclaimed, except the
    /// batch.
    pub(crate) fn restarted(&self, limits: &Limits, log: &StageLog) -> Host {
        let (meter, pool, boundary) = (self.meter.clone(), self.pool.clone(), self.boundary.clone());
        let around = Environment {
            log: log.clone(),
            clock: self.clock.clone(),
            cut: self.cut.clone(),
            rng: self.restart_rng.clone(),
            policy: self.policy,
            end_of_element: self.end_of_element,
        };
        let mut host = Host::new(limits, meter, pool, self.stage, boundary, around);
        host.leases.keep_released();
        host.leases.used = self.leases.used;
        Host { copies: self.copies, buffers: Buffers::restarted(&self.buffers), ..host }
    }

    /// Begins a call at `now`, by the system's clock. Returns the number of ticks after which the engine calls [`Host::look`].
    pub(crate) fn begin_call(&mut self, now: Instant) -> u64 {
        self.ends = now.checked_add(self.time).unwrap_or(now + LONGEST_CALL);
        self.stopped = clock_ticks::stopped();
        if self.time >= LOOK { LOOK_TICKS } else { ticks(self.time) }
    }

    /// Decides whether the current call may continue, and when to check again. The clock decides, not the number of ticks, so
    /// a late tick stops nobody early.
    ///
    /// # Errors
    ///
    /// [`CutOff`], and the trap that a test injects.
    pub(crate) fn look(&mut self) -> wasmtime::Result<UpdateDeadline> {
        match self.epoch_fault {
            Some(EpochFault::Deadline) => return Ok(UpdateDeadline::Interrupt),
            Some(EpochFault::Trap) => return Err(wasmtime::Error::msg("a trap injected by a test")),
            None => {}
        }
        let now = Instant::now();
        if self.cut.was_due(now) {
            return Err(CutOff.into());
        }
        let left = self.left(now);
        Ok(if left.is_zero() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(ticks(left.min(LOOK))) })
    }

    /// How long the current call may wait at a time: not beyond its limit, and not so long that a cut-off goes unnoticed.
    ///
    /// # Errors
    ///
    /// [`CutOff`], and the trap of a call that is over its limit.
    fn may_wait(&self) -> wasmtime::Result<Duration> {
        let now = Instant::now();
        if self.cut.was_due(now) {
            return Err(CutOff.into());
        }
        let left = self.left(now);
        if left.is_zero() { Err(Trap::Interrupt.into()) } else { Ok(left.min(LOOK)) }
    }

    /// What is left of the time limit of the call.
    fn left(&self, now: Instant) -> Duration {
        let left = |stopped: Duration| (self.ends + (stopped - self.stopped)).saturating_duration_since(now);
        let seen = left(clock_ticks::stopped());
        // A check this late means that the process was suspended, or that the next tick will show that it was not.
        let is_odd = seen.is_zero() && now.saturating_duration_since(self.ends) > 2 * LOOK;
        if is_odd { left(clock_ticks::stopped_until(now)) } else { seen }
    }

    /// Begins a call that lends `batch`.
    pub(crate) fn lend(&mut self) -> Resource<Batch> {
        self.call = self.call.wrapping_add(1);
        self.lend_without_calling();
        self.pool.lend(self.stage, self.batch.runs().iter().map(Run::payload));
        self.is_borrowing = true;
        Resource::new_borrow(self.call)
    }

    /// As [`Host::lend`], for a call that fails before it is made.
    #[inline]
    pub(crate) fn lend_without_calling(&mut self) {
        self.begin_attributes();
        self.skipped.clear();
        self.meter.lend(self.batch.len());
    }

    /// Ends a call and drops the outputs that it did not return.
    pub(crate) fn end_call(&mut self) {
        self.settle_attributes();
        self.outputs.end_call();
        if std::mem::replace(&mut self.is_borrowing, false) {
            self.pool.end_call(self.stage);
        }
    }

    /// Refuses payload memory if a test injects that.
    fn may_allocate(&self) -> Result<(), Failure> {
        if self.memory.closed {
            return Err(Failure::LimitExceeded("a stage is refused payload memory by an injected fault".to_string()));
        }
        Ok(())
    }

    /// A block that the stage writes. The stage owns it until a call returns it.
    fn block(&self, len: usize) -> Block {
        self.pool.take_by(Owner::Stage(self.stage), len)
    }

    /// Makes the host the owner of the written payloads that were returned.
    pub(crate) fn transfer_written(&self, made: &OutputElements) {
        made.parts().for_each(|part| match part {
            Part::Written(part) => self.pool.transfer(self.stage, &part.bytes),
            Part::Views(_) => {}
        });
    }

    /// The elements behind this handle of a batch.
    fn lent(&self, batch: &Resource<Batch>) -> wasmtime::Result<&payload::Batch> {
        wasmtime::ensure!(batch.rep() == self.call, "the batch was lent to another call");
        Ok(&self.batch)
    }

    /// An element of the batch that no exclusive lease took.
    fn in_batch(&self, index: u32) -> Option<ElementRef<'_>> {
        let element = self.batch.get(index as usize)?;
        (!self.leases.exclusive().contains(index as usize)).then_some(element)
    }

    /// Ends the stage because a payload that it asked for cannot be read. The flow reports the reason.
    fn unreadable(&mut self, error: std::io::Error) -> wasmtime::Error {
        let ended = wasmtime::Error::msg(error.to_string());
        self.unreadable = Some(error);
        ended
    }

    /// How many payloads this call wrote that are not in `returned`.
    pub(crate) fn unreturned(&self, returned: Option<&OutputElements>) -> u64 {
        self.outputs.unreturned(returned)
    }

    /// Takes the returned output, if it was made in this call.
    pub(crate) fn take_output(&mut self, output: &Resource<Output>) -> Option<OutputElements> {
        self.outputs.take(output.rep())
    }

    /// An element of the batch that satisfies `which` and that something in `made` comes from.
    pub(crate) fn find_used(&self, made: &OutputElements, which: impl Fn(&u32) -> bool + Copy) -> Option<u32> {
        made.parts().find_map(|part| match part {
            Part::Written(part) => part.lineage.iter().copied().filter(|index| *index != NO_LINEAGE).find(which),
            Part::Views(views) => views.iter().find_map(|view| match &view.origin {
                Origin::Lent(index) => Some(*index).filter(which),
                Origin::Held(place) => self.leases.index_of(*place).filter(which),
                Origin::Joined(places) => places.iter().filter_map(|place| self.leases.index_of(*place)).find(which),
            }),
        })
    }

    /// Ends the lending of a batch. `named` are its elements that were sent on. Returns how many elements were
    /// released without being consumed.
    #[inline]
    pub(crate) fn settle(&mut self, named: ElementSet) -> u64 {
        self.leases.settle(named, &self.meter)
    }

    /// Ends the leases whose deadline has passed. Returns what [`Host::settle`] returns.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        self.leases.expire(now);
        self.settle(ElementSet::EMPTY)
    }

    /// Counts what a failed call wrote and did not return as discarded.
    pub(crate) fn discard_written(&mut self, returned: Option<&OutputElements>) {
        let returned =
            returned.map_or(Count::default(), |made| Count { ops: made.written(), bytes: made.written_bytes() });
        self.buffers.given_up += self.outputs.wrote().since(returned);
    }

    /// Undoes what a failed call did to these elements of the batch.
    pub(crate) fn undo(&mut self, which: ElementSet) {
        self.revert_attributes(which);
        self.leases.undo(&mut self.batch, which, &mut self.meter);
    }

    /// Undoes everything that a call which did not return has done, except its counters. Returns the elements held before it
    /// that were not consumed, and how often each was read.
    pub(crate) fn rescue(&mut self) -> Vec<(Element, u32)> {
        self.undo(ElementSet::ALL);
        self.leases.rescue()
    }

    /// Reclaims everything the stage has, except the batch: the stage is gone. Returns what [`Host::settle`] returns.
    pub(crate) fn reclaim(&mut self) -> u64 {
        self.end_call();
        self.buffers.discard_all();
        self.leases.end_all();
        self.pool.abandon(self.stage);
        self.settle(ElementSet::EMPTY)
    }

    /// What was written beyond the final payloads.
    pub(crate) fn rewritten(&self) -> Count {
        self.buffers.rewritten
    }

    /// What was written to discarded payloads.
    pub(crate) fn given_up(&self) -> Count {
        self.buffers.given_up
    }
}

/// The ticks in this time, rounded up. The first may come at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).max(1)
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

type Link = fn(&mut LinkerInstance<'_, Host>) -> wasmtime::Result<()>;

/// The interfaces of the contract that stages import, and what links the functions of each.
const INTERFACES: [(&str, Link); 7] = [
    ("types", types::link),
    ("attributes", attributes::link),
    ("payload-read", payload_read::link),
    ("payload-write", payload_write::link),
    ("payload-view", payload_view::link),
    ("payload-buffer", payload_buffer::link),
    ("payload-lease", payload_lease::link),
];

/// Links every interface of the contract that stages import, and `wasi:io/poll`. The rest of WASI is linked before.
pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for (interface, link) in INTERFACES {
        link(&mut linker.instance(&full_name(interface))?)?;
    }
    clocks::link(linker)?;
    poll::link(linker)
}
