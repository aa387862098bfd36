//! One running stage: its store, and the typed calls into it.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::Resource;
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::base::clock::Clock;
use crate::base::cut::{Cut, CutOff};
use crate::base::plural::counted;
use crate::base::rng::Rng;
use crate::base::text;
use crate::contract::{Bounds, Budget};
use crate::error::{Error, StageError};
use crate::ledger::ownership::StageId;
use crate::ledger::{Boundary, Copies, Count};
use crate::payload::element::Element;
use crate::payload::{self, ElementSet, Pool};
use crate::pipeline::injection::{FailureKind, InjectedFault};
use crate::pipeline::limits::Limits;
use crate::stage::component::{Component, ExportsPre};
use crate::stage::host::bindings::{processor, sink, source};
use crate::stage::host::{
    BackpressureSignal, Batch, Columns, Environment, EpochFault, Failure, FailurePolicy, Host, Leases, Meter, Origin,
    Outcome, Output, OutputElements, ProcessFailure, PushFailure, Reached, Skipped,
};
use crate::stage::log::{LogUse, StageLog};

/// The path prefix of the standard library in line tables.
const STANDARD_LIBRARY: &str = "/rustc/";

/// Bytes of a failure's text that are reported. A stage can fill its memory with one.
const LONGEST_TEXT: usize = 4 << 10;

/// Bytes of lists and texts, besides payloads, that a stage can hand to the host in one call: enough for 2^20 elements.
const MOST_LISTS: u64 = 32 << 20;
/// Bytes of a function name that are reported. A component can have names of any length.
const LONGEST_FUNCTION: usize = 1 << 10;

/// The parameters of a stage's start.
pub(crate) struct Start<'a> {
    pub(crate) name: &'a str,
    pub(crate) stage: StageId,
    pub(crate) component: &'a Component,
    pub(crate) config: &'a [(String, String)],
    pub(crate) limits: &'a Limits,
    pub(crate) budget: Budget,
    pub(crate) bounds: Bounds,
    pub(crate) pool: &'a Pool,
    pub(crate) boundary: Boundary,
    pub(crate) log: StageLog,
    pub(crate) clock: &'a Clock,
    pub(crate) cut: &'a Cut,
    pub(crate) rng: Option<Rng>,
    /// What happens to an element that the stage fails on.
    pub(crate) policy: FailurePolicy,
    /// Whether the stage can restart after a call that did not return.
    pub(crate) restarts: bool,
    /// What follows each small payload that it writes, for its outputs.
    pub(crate) end_of_element: &'static [u8],
}

/// One running stage.
pub(crate) struct Instance {
    name: Arc<str>,
    store: Store<Host>,
    exports: Exports,
    columns: Columns,
    /// Reused from call to call.
    metadata: Vec<u64>,
    limits: Limits,
    log: StageLog,
    /// When the next call that moves elements begins, by the system's clock.
    step_begins: Instant,
    /// Whether the stage trapped or was torn down: nothing in its store is called again.
    is_dead: bool,
    /// What a restart needs; `None` if the stage cannot restart.
    restart: Option<Restart>,
    /// The elements it held when a call did not return, if they were not consumed, and how often each was read.
    rescued: Vec<(Element, u32)>,
    /// The fault to inject into the next call.
    injected_fault: Option<InjectedFault>,
}

struct Restart {
    component: Component,
    config: Vec<(String, String)>,
}

enum Exports {
    Source(source::SourceStage),
    Processor(processor::ProcessorStage),
    Sink(sink::SinkStage),
}

/// Which elements the output of a call covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returns {
    /// All of them.
    Done,
    /// Only those before the element that the call failed on.
    Failed,
}

/// What a processor made of its batch, which stays in [`Instance::batch`].
pub(crate) enum Processed {
    Routes(Vec<u32>),
    Elements(OutputElements),
}

/// A failed call that lent elements. They stay in [`Instance::batch`].
pub(crate) struct FailedCall {
    pub(crate) error: Error,
    /// The index of the element that it failed on. `None` if unknown; then nothing was made of any element.
    pub(crate) at: Option<u32>,
    /// For a processor, what it made of the elements before that one, as if the batch had ended there.
    pub(crate) made: Option<Processed>,
}

/// What a failed call, and earlier failed calls, did with one of its elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// How often it was read.
    pub(crate) reads: u32,
    /// Whether the call read it, or wrote something for it.
    pub(crate) is_touched: bool,
}

impl FailedCall {
    /// A failure of the whole batch: nothing was made of it.
    pub(crate) fn of_batch(error: Error) -> Box<FailedCall> {
        Box::new(FailedCall { error, at: None, made: None })
    }
}

impl Instance {
    /// Instantiates the component and calls its `init`.
    pub(crate) fn start(start: Start<'_>) -> Result<Instance, Error> {
        let log = start.log;
        let source = matches!(*start.component.exports, ExportsPre::Source(_));
        let mut meter = Meter::new(start.budget, start.bounds, source);
        if start.policy != FailurePolicy::Stop {
            meter.hold_failed_calls();
        }
        let (pool, restarts) = (start.pool.clone(), start.restarts);
        let (clock, cut, rng, policy) = (start.clock.clone(), start.cut.clone(), start.rng, start.policy);
        let end_of_element = start.end_of_element;
        let around = Environment { log: log.clone(), clock, cut, rng, policy, end_of_element };
        let mut host = Host::new(start.limits, meter, pool, start.stage, start.boundary, around);
        if restarts {
            host.leases.keep_released();
        }
        let (store, exports) = open_store(start.name, start.component, start.limits, host)?;
        let config = start.config.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
        let restart = restarts.then(|| Restart { component: start.component.clone(), config: config.clone() });
        let mut instance = Instance {
            name: start.name.into(),
            store,
            exports,
            columns: Columns::empty(),
            metadata: Vec::new(),
            limits: start.limits.clone(),
            log,
            step_begins: Instant::now(),
            is_dead: false,
            restart,
            rescued: Vec::new(),
            injected_fault: None,
        };
        instance.columns = instance.init(&config)?;
        Ok(instance)
    }

    /// Restarts after a call that did not return: with a new store, and a new `init`. Its counters and its log continue. The
    /// caller must have taken the batch.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        let Some(restart) = self.restart.take() else { unreachable!("only stages with a recovery restart") };
        self.log.finish();
        let host = self.store.data().restarted(&self.limits, &self.log);
        (self.store, self.exports) = open_store(&self.name, &restart.component, &self.limits, host)?;
        self.is_dead = false;
        self.columns = self.init(&restart.config)?;
        self.restart = Some(restart);
        Ok(())
    }

    /// Whether the stage must not be called again, unless it restarts.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Notes when a step begins. The time limit of the step's call starts then.
    #[inline]
    pub(crate) fn begin_step(&mut self, now: Instant) {
        self.step_begins = now;
    }

    /// What the stage printed.
    pub(crate) fn log_use(&self) -> LogUse {
        self.log.used()
    }

    /// Ends the stage without a call. Returns what [`Instance::settle`] returns.
    pub(crate) fn abort(&mut self) -> u64 {
        self.is_dead = true;
        self.teardown().unwrap_or_default()
    }

    /// Injects a fault into the next call.
    pub(crate) fn inject_next(&mut self, what: InjectedFault) {
        self.injected_fault = Some(what);
    }

    /// Lends the batch to a call that fails before it is made.
    pub(crate) fn lend_without_calling(&mut self) {
        self.store.data_mut().lend_without_calling();
    }

    /// Takes the elements of the batch from index `first` on out of a failed call, each as it was lent and with what the call
    /// did with it.
    pub(crate) fn undo(&mut self, first: usize) -> Vec<(Element, Attempt)> {
        let host = self.store.data_mut();
        host.undo(ElementSet::from_index_on(first));
        let elements = host.batch.split_off(first);
        let meter = &host.meter;
        let attempt = |index| Attempt { reads: meter.reads_of(index), is_touched: meter.is_touched(index) };
        elements.into_iter().enumerate().map(|(place, element)| (element, attempt(first + place))).collect()
    }

    /// Prepares a call that retries elements; `reads` says how often failed calls read each.
    pub(crate) fn retry_batch(&mut self, reads: impl Iterator<Item = u32>) {
        self.store.data_mut().meter.retry_batch(reads);
    }

    /// Counts this many elements of a failed call as not lent.
    pub(crate) fn take_back(&mut self, untouched: u64) {
        self.store.data_mut().meter.take_back(untouched);
    }

    /// Whether the last call skipped elements it failed on.
    #[inline]
    pub(crate) fn has_skipped(&self) -> bool {
        self.store.data().has_skipped()
    }

    /// The elements that the last call skipped, among the first `count` of the batch: their indices, each with its failure.
    /// Their changes are undone.
    pub(crate) fn take_skipped(&mut self, call: &'static str, count: u32) -> Vec<(u32, Error)> {
        let host = self.store.data_mut();
        host.undo(host.skipped(count));
        let skipped = host.take_skipped(count);
        let failed = |skipped: Skipped| {
            (skipped.index, self.error_at(call, skipped.index, error_from_failure(&skipped.failure)))
        };
        skipped.into_iter().map(failed).collect()
    }

    /// Takes the elements to lend again after a call that did not return: those it held that were not consumed, and how often
    /// each was read.
    pub(crate) fn rescued(&mut self) -> Vec<(Element, u32)> {
        std::mem::take(&mut self.rescued)
    }

    fn init(&mut self, config: &[(String, String)]) -> Result<Columns, Error> {
        self.call("init", |exports, store| match exports {
            Exports::Source(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
            Exports::Processor(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
            Exports::Sink(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
        })
    }

    /// The elements of the next call, and after the call its elements.
    pub(crate) fn batch(&mut self) -> &mut payload::Batch {
        &mut self.store.data_mut().batch
    }

    /// What was copied at the boundary of the stage so far.
    pub(crate) fn copies(&self) -> Copies {
        self.store.data().copies
    }

    /// The copies per element.
    pub(crate) fn meter(&self) -> &Meter {
        &self.store.data().meter
    }

    /// The boundary that records the copies.
    pub(crate) fn boundary(&mut self) -> &mut Boundary {
        &mut self.store.data_mut().boundary
    }

    /// Pulls elements from a source; `None` once it has ended.
    pub(crate) fn pull(&mut self, max_elements: u32, max_bytes: u64) -> Result<Option<OutputElements>, Error> {
        let output = self.call_making("pull", |exports, store| match exports {
            Exports::Source(stage) => stage.torvyn_streaming_source().call_pull(store, max_elements, max_bytes),
            _ => unreachable!("only sources are pulled from"),
        })?;
        self.take_output("pull", output, Returns::Done)
    }

    /// Lends the batch to a processor.
    pub(crate) fn process(&mut self) -> Result<Processed, Box<FailedCall>> {
        let (batch, count, metadata) = self.lend();
        let outcome = self.call_making("process", |exports, store| match exports {
            Exports::Processor(stage) => {
                stage.torvyn_streaming_processor().call_process(store, batch, count, &metadata).map(Ok)
            }
            _ => unreachable!("only processors process"),
        });
        self.metadata = metadata;
        let ProcessFailure { failure, reached } = match outcome.map_err(FailedCall::of_batch)? {
            Ok(outcome) => return self.processed(outcome, count, Returns::Done).map_err(FailedCall::of_batch),
            Err(failed) => failed,
        };
        let source = error_from_failure(&failure);
        match reached {
            Some(Reached { index, outcome }) if index < count => {
                let made = self.processed(outcome, index, Returns::Failed).map_err(FailedCall::of_batch)?;
                let error = self.error_at("process", index, source);
                Err(Box::new(FailedCall { error, at: Some(index), made: Some(made) }))
            }
            reached => {
                self.end_failed_call();
                let source = reached.map_or(source, |reached| beyond_batch(reached.index, count));
                Err(FailedCall::of_batch(self.error("process", source)))
            }
        }
    }

    /// Takes what the processor made of the first `count` elements of the batch.
    fn processed(&mut self, outcome: Outcome, count: u32, returns: Returns) -> Result<Processed, Error> {
        let (output, routes) = match outcome {
            Outcome::Output(output) => (Some(output), Vec::new()),
            Outcome::Routes(routes) => (None, routes),
        };
        let skipped = self.store.data().skipped(count);
        let is_skipped = |index: &u32| skipped.contains(*index as usize);
        if let Some(made) = self.take_output("process", output, returns)? {
            let host = self.store.data();
            if let (Returns::Failed, Some(named)) = (returns, host.find_used(&made, |index| *index >= count)) {
                let broken = format!("it failed at element {count} of the batch, but its output uses element {named}");
                return Err(self.error("process", StageError::Contract(broken)));
            }
            if !skipped.is_empty()
                && let Some(named) = host.find_used(&made, is_skipped)
            {
                return Err(self.error("process", skipped_but_used(named)));
            }
            return Ok(Processed::Elements(made));
        }
        if routes.len() != count as usize {
            let entries = counted(routes.len() as u64, "entry");
            let broken = match returns {
                Returns::Done => format!("`routes` has {entries} for a batch of {count}"),
                Returns::Failed => {
                    format!("`routes` has {entries}, but it failed at element {count} of the batch")
                }
            };
            return Err(self.error("process", StageError::Contract(broken)));
        }
        if !skipped.is_empty()
            && let Some((named, _)) = (0..).zip(&routes).find(|(index, outputs)| **outputs != 0 && is_skipped(index))
        {
            return Err(self.error("process", skipped_but_used(named)));
        }
        self.store.data_mut().copies.metadata_marshal.record(1, size_of_val(&routes[..]) as u64);
        self.boundary().lifted(size_of_val(&routes[..]) as u64);
        Ok(Processed::Routes(routes))
    }

    /// Tells a processor that its input has ended.
    pub(crate) fn flush(&mut self) -> Result<Option<OutputElements>, Error> {
        let output = self.call_making("flush", |exports, store| match exports {
            Exports::Processor(stage) => stage.torvyn_streaming_processor().call_flush(store),
            _ => unreachable!("only processors are flushed"),
        })?;
        self.take_output("flush", output, Returns::Done)
    }

    /// Lends the batch to a sink.
    pub(crate) fn push(&mut self) -> Result<BackpressureSignal, Box<FailedCall>> {
        let (batch, count, metadata) = self.lend();
        let signal = self.call("push", |exports, store| match exports {
            Exports::Sink(stage) => stage.torvyn_streaming_sink().call_push(store, batch, count, &metadata).map(Ok),
            _ => unreachable!("only sinks are pushed to"),
        });
        self.metadata = metadata;
        let PushFailure { failure, index } = match signal.map_err(FailedCall::of_batch)? {
            Ok(signal) => return Ok(signal),
            Err(failed) => failed,
        };
        let source = error_from_failure(&failure);
        match index {
            Some(index) if index < count => {
                let error = self.error_at("push", index, source);
                Err(Box::new(FailedCall { error, at: Some(index), made: None }))
            }
            index => {
                let source = index.map_or(source, |index| beyond_batch(index, count));
                Err(FailedCall::of_batch(self.error("push", source)))
            }
        }
    }

    /// Tells a sink that its input has ended.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        self.call("complete", |exports, store| match exports {
            Exports::Sink(stage) => stage.torvyn_streaming_sink().call_complete(store),
            _ => unreachable!("only sinks are completed"),
        })
    }

    /// The elements that the stage holds beyond the calls that lent them.
    pub(crate) fn leases(&self) -> &Leases {
        &self.store.data().leases
    }

    /// As [`Instance::leases`], to change them.
    pub(crate) fn leases_mut(&mut self) -> &mut Leases {
        &mut self.store.data_mut().leases
    }

    /// What was written beyond the final payloads: see [`crate::flow::account::StageAccount::rewritten`].
    pub(crate) fn rewritten(&self) -> Count {
        self.store.data().rewritten()
    }

    /// What was written to payloads that the stage discarded.
    pub(crate) fn given_up(&self) -> Count {
        self.store.data().given_up()
    }

    /// Marks held elements, by their places, as consumed: an element made of them was sent.
    pub(crate) fn mark_consumed(&mut self, places: &[u32]) {
        let leases = &mut self.store.data_mut().leases;
        places.iter().for_each(|place| leases.mark_consumed(*place));
    }

    /// Gives an element that the last call made of others the attributes that they had when the call returned.
    #[inline]
    pub(crate) fn copy_attributes(&self, element: &mut Element, origin: &Origin) {
        self.store.data().copy_attributes(element, origin);
    }

    /// Ends the lending of the batch. `named` are its elements that were sent on. Returns how many elements were
    /// released without being consumed.
    #[inline]
    pub(crate) fn settle(&mut self, named: ElementSet) -> u64 {
        self.store.data_mut().settle(named)
    }

    /// Ends the leases whose deadline has passed. Returns what [`Instance::settle`] returns.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        self.store.data_mut().expire(now)
    }

    /// Ends the stage, in whatever state it is, and reclaims what it has. A stage that trapped or was already ended is not
    /// called again. Returns what [`Instance::settle`] returns.
    pub(crate) fn teardown(&mut self) -> Result<u64, Error> {
        self.batch().clear();
        let result = if std::mem::replace(&mut self.is_dead, true) {
            Ok(())
        } else {
            self.call("teardown", |exports, store| {
                match exports {
                    Exports::Source(stage) => stage.torvyn_streaming_lifecycle().call_teardown(store),
                    Exports::Processor(stage) => stage.torvyn_streaming_lifecycle().call_teardown(store),
                    Exports::Sink(stage) => stage.torvyn_streaming_lifecycle().call_teardown(store),
                }
                .map(Ok)
            })
        };
        self.log.finish();
        let dropped = self.store.data_mut().reclaim();
        result.map(|()| dropped)
    }

    /// Builds the columns of the batch and lends it. The metadata is moved out, so it can be passed while the store is borrowed.
    fn lend(&mut self) -> (Resource<Batch>, u32, Vec<u64>) {
        let mut metadata = std::mem::take(&mut self.metadata);
        let host = self.store.data_mut();
        metadata.clear();
        host.batch.runs().iter().for_each(|run| run.append_sizes(&mut metadata));
        if self.columns.contains(Columns::SEQUENCE) {
            host.batch.runs().iter().for_each(|run| run.append_sequences(&mut metadata));
        }
        if self.columns.contains(Columns::TIMESTAMP) {
            metadata.extend(host.batch.iter().map(|element| element.timestamp()));
        }
        if self.columns.contains(Columns::DEADLINE) {
            metadata.extend(host.batch.iter().map(|element| element.deadline().unwrap_or(u64::MAX)));
        }
        if self.columns.contains(Columns::TRACE) {
            let traces = || host.batch.iter().map(|element| element.trace());
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| (trace.id >> 64) as u64)));
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| trace.id as u64)));
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| trace.span)));
        }
        host.copies.metadata_marshal.record(1, size_of_val(&metadata[..]) as u64);
        host.boundary.lowered(size_of_val(&metadata[..]) as u64);
        (host.lend(), host.batch.len() as u32, metadata)
    }

    /// Makes a call in which no element can be made.
    fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, Error> {
        let result = self.enter(name, call);
        self.end_call();
        result
    }

    /// Makes a call in which elements can be made. The caller must pass its output to `take_output`.
    fn call_making<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, Error> {
        self.store.data_mut().outputs.may_make = true;
        self.enter(name, call)
    }

    fn enter<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, Error> {
        let began = if matches!(name, "init" | "teardown") { Instant::now() } else { self.step_begins };
        let ticks = self.store.data_mut().begin_call(began);
        self.store.set_epoch_deadline(ticks);
        self.store.data_mut().memory.refused = false;
        let injected_fault = self.injected_fault.take();
        if let Some(injected) = &injected_fault {
            inject(&mut self.store, injected);
        }
        let result = call(&self.exports, &mut self.store);
        if injected_fault.is_some() {
            let host = self.store.data_mut();
            (host.memory.closed, host.epoch_fault) = (false, None);
        }
        self.is_dead |= result.is_err();
        let host = self.store.data_mut();
        if let Some(source) = host.unreadable.take() {
            let error = Error::Payload { reader: self.name.to_string(), elements: self.batch_range(name), source };
            self.end_failed_call();
            return Err(error);
        }
        let error = match (self.store.data_mut().meter.overruns(), result) {
            // A budget overrun fails the call even if the stage handled the refusal.
            ((Some(overrun), _), _) => self.error(name, StageError::Budget(overrun)),
            ((None, Some(overrun)), Ok(_)) => Error::Internal(format!(
                "stage `{}`: {overrun} in `{name}`, but the proof allows at most {}",
                self.name, overrun.limit
            )),
            (_, Ok(Ok(value))) => return Ok(value),
            (_, Ok(Err(failure))) => self.error(name, error_from_failure(&failure)),
            (_, Err(error)) => self.error(name, classify_error(&error, &self.store, &self.limits)),
        };
        self.end_failed_call();
        Err(error)
    }

    /// Ends a failed call. If the stage is not called again, everything it has is reclaimed at once.
    fn end_failed_call(&mut self) {
        let host = self.store.data_mut();
        host.discard_written(None);
        if self.is_dead {
            if self.restart.is_some() {
                self.rescued = host.rescue();
            }
            host.reclaim();
        } else {
            self.end_call();
        }
    }

    /// Takes the output that a call returned, if any, and ends the call.
    fn take_output(
        &mut self,
        call: &'static str,
        output: Option<Resource<Output>>,
        returns: Returns,
    ) -> Result<Option<OutputElements>, Error> {
        let host = self.store.data_mut();
        let made = output.as_ref().and_then(|output| host.take_output(output));
        made.iter().for_each(|made| host.transfer_written(made));
        let unreturned = host.unreturned(made.as_ref());
        // What was written for a failed element is discarded.
        let discards = returns == Returns::Failed || host.has_skipped();
        if discards {
            host.discard_written(made.as_ref());
        }
        self.end_call();
        let broken = if output.is_some() && made.is_none() {
            "it returned an output of another call".to_string()
        } else if unreturned > 0 && !discards {
            format!("its output lacks {} that it wrote", counted(unreturned, "payload"))
        } else {
            return Ok(made);
        };
        Err(self.error(call, StageError::Contract(broken)))
    }

    fn end_call(&mut self) {
        self.store.data_mut().end_call();
    }

    /// The error of this stage for an injected failure.
    pub(crate) fn injected_error(&mut self, call: &'static str, kind: FailureKind) -> Error {
        let text = "injected by a test".to_string();
        let source = error_from_failure(&match kind {
            FailureKind::InvalidInput => Failure::InvalidInput(text),
            FailureKind::Unavailable => Failure::Unavailable(text),
            FailureKind::Internal => Failure::Internal(text),
            FailureKind::DeadlineExceeded => Failure::DeadlineExceeded,
            FailureKind::Fatal => Failure::Fatal(text),
        });
        self.error(call, source)
    }

    /// The error of this stage at one element of the current batch.
    fn error_at(&mut self, call: &'static str, index: u32, source: StageError) -> Error {
        let element = self.batch().get(index as usize).map(|element| (element.sequence(), element.sequence()));
        Error::Stage { stage: self.name.to_string(), call, elements: element, source }
    }

    /// The error of this stage in the current batch.
    pub(crate) fn error(&mut self, call: &'static str, source: StageError) -> Error {
        Error::Stage { stage: self.name.to_string(), call, elements: self.batch_range(call), source }
    }

    /// The sequence numbers of the first and last element of a call, if it had any.
    fn batch_range(&mut self, call: &'static str) -> Option<(u64, u64)> {
        let lent = matches!(call, "process" | "push");
        let batch = self.batch().iter().filter(|_| lent).map(|element| element.sequence());
        batch.clone().min().zip(batch.max())
    }
}

/// Creates the store of a stage, with an instance in it.
fn open_store(name: &str, component: &Component, limits: &Limits, host: Host) -> Result<(Store<Host>, Exports), Error> {
    let mut store = Store::new(component.engine(), host);
    store.limiter(|host| &mut host.memory);
    store.set_max_component_handles(limits.handles as usize);
    store.set_hostcall_fuel(max_handed_over(component, limits));
    store.epoch_deadline_callback(|mut store| store.data_mut().look());
    let ticks = store.data_mut().begin_call(Instant::now());
    store.set_epoch_deadline(ticks);
    let exports = instantiate(&mut store, component);
    let exports = exports.map_err(|error| Error::Start {
        stage: name.to_string(),
        source: match store.data().memory.exceeded_at_start(&error) {
            Some(exceeded) => StageError::Start(exceeded),
            None => match classify_error(&error, &store, limits) {
                StageError::Trap { .. } if error.downcast_ref::<Trap>().is_none() => {
                    StageError::Link(format!("{error:#}"))
                }
                source => source,
            },
        },
    })?;
    Ok((store, exports))
}

/// Bytes that a stage can hand to the host in one call, to functions of Torvyn or of WASI: the payloads that it may write,
/// and lists and texts. The engine ends a stage that hands over more, before it allocates memory for it.
fn max_handed_over(component: &Component, limits: &Limits) -> usize {
    let payloads = component.profile().payloads;
    let written = if payloads.write || payloads.buffer { limits.output_bytes } else { 0 };
    usize::try_from(written.saturating_add(MOST_LISTS)).unwrap_or(usize::MAX)
}

/// Injects a fault into the next call.
fn inject(store: &mut Store<Host>, injected: &InjectedFault) {
    match injected {
        // The stage checks the epoch where it enters a function, and meets the fault there.
        InjectedFault::Deadline | InjectedFault::Trap => {
            let is_trap = matches!(injected, InjectedFault::Trap);
            store.data_mut().epoch_fault = Some(if is_trap { EpochFault::Trap } else { EpochFault::Deadline });
            store.set_epoch_deadline(0);
        }
        InjectedFault::Allocation => store.data_mut().memory.closed = true,
        InjectedFault::Failure(_) | InjectedFault::Pause(_) => {
            unreachable!("these faults do not happen within the call")
        }
    }
}

/// The error of a stage that skipped an element and also made something of it.
fn skipped_but_used(index: u32) -> StageError {
    StageError::Contract(format!("it skipped element {index} of the batch, but its output uses it"))
}

/// The error of a stage that failed on an element it was not lent.
fn beyond_batch(index: u32, count: u32) -> StageError {
    StageError::Contract(format!(
        "it failed at element {index}, but the batch has {}",
        counted(count.into(), "element")
    ))
}

fn instantiate(store: &mut Store<Host>, component: &Component) -> wasmtime::Result<Exports> {
    Ok(match &*component.exports {
        ExportsPre::Source(pre) => Exports::Source(pre.instantiate(store)?),
        ExportsPre::Processor(pre) => Exports::Processor(pre.instantiate(store)?),
        ExportsPre::Sink(pre) => Exports::Sink(pre.instantiate(store)?),
    })
}

/// Describes a failure that a stage returned.
fn error_from_failure(failure: &Failure) -> StageError {
    let (name, text) = match failure {
        Failure::InvalidInput(text) => ("invalid-input", text),
        Failure::Unavailable(text) => ("unavailable", text),
        Failure::Internal(text) => ("internal", text),
        Failure::DeadlineExceeded => return StageError::Failure("deadline-exceeded".to_string()),
        Failure::Fatal(text) => ("fatal", text),
        Failure::OutOfBounds => return StageError::Failure("out-of-bounds".to_string()),
        Failure::BudgetExceeded => return StageError::Failure("budget-exceeded".to_string()),
        Failure::LimitExceeded(text) => ("limit-exceeded", text),
    };
    let kept = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    let rest = if kept.len() < text.len() { " …" } else { "" };
    let text = format!("{name}: {kept}{rest}");
    if matches!(failure, Failure::Fatal(_)) { StageError::Fatal(text) } else { StageError::Failure(text) }
}

/// Classifies an error of the engine.
fn classify_error(error: &wasmtime::Error, store: &Store<Host>, limits: &Limits) -> StageError {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return StageError::Deadline { limit: limits.time };
    }
    if error.downcast_ref::<CutOff>().is_some() {
        return StageError::CutOff;
    }
    let trap = error.root_cause().to_string();
    if store.data().memory.refused {
        return StageError::Memory { limit: limits.memory, trap };
    }
    StageError::Trap { trap, backtrace: backtrace(error) }
}

/// The functions of a backtrace, innermost first, with file and line if known, inlined functions included. Functions of the
/// standard library, which only show how a panic ends, are dropped if there are others.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let (mut own, mut all) = (Vec::new(), Vec::new());
    for frame in backtrace.frames() {
        if frame.symbols().is_empty() {
            all.extend(frame.func_name().map(demangled));
        }
        for symbol in frame.symbols() {
            let name = symbol.name().map_or_else(|| "an unnamed function".to_string(), demangled);
            let Some((file, line)) = symbol.file().zip(symbol.line()) else {
                all.push(name);
                continue;
            };
            let text = format!("{name} ({}:{line})", text::name(file));
            if !file.starts_with(STANDARD_LIBRARY) {
                own.push(text.clone());
            }
            all.push(text);
        }
    }
    if own.is_empty() { all } else { own }
}

/// A function name that is safe to print: a component can contain any text.
fn demangled(name: &str) -> String {
    let name = &name[..name.floor_char_boundary(LONGEST_FUNCTION)];
    text::name(&format!("{:#}", rustc_demangle::demangle(name))).into_owned()
}
