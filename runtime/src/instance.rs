//! One running stage: its store, and the typed calls into it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::Resource;
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::analysis::{Bounds, Budget};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::component::{Component, ExportsPre};
use crate::element::Element;
use crate::engine::TICK;
use crate::error::{Error, Fault};
use crate::host::bindings::{processor, sink, source};
use crate::host::{
    BackpressureSignal, Batch, Columns, Failure, Host, Leases, Made, Meter, Outcome, Output, Surroundings,
};
use crate::ledger::{Boundary, Copies, Count};
use crate::limits::Limits;
use crate::log::{LogSink, StageLog};
use crate::ownership::StageId;
use crate::payload::Pool;

/// Where the line tables of the standard library say that its files are.
const STANDARD_LIBRARY: &str = "/rustc/";

/// Bytes that are told of the text of a failure. A stage can fill its memory with one.
const LONGEST_TEXT: usize = 4 << 10;

/// How a stage is started.
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
    pub(crate) log: &'a LogSink,
    pub(crate) clock: &'a Clock,
    pub(crate) chance: Option<Chance>,
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
    /// It trapped or was torn down: nothing in its store is called again.
    over: bool,
}

enum Exports {
    Source(source::SourceStage),
    Processor(processor::ProcessorStage),
    Sink(sink::SinkStage),
}

/// What a processor made of its batch, which stays in [`Instance::batch`].
pub(crate) enum Processed {
    Routes(Vec<u32>),
    Made(Made),
}

impl Instance {
    /// Instantiates the component and calls its `init`.
    pub(crate) fn start(start: Start<'_>) -> Result<Instance, Error> {
        let log = StageLog::new(start.name, start.log.clone());
        let source = matches!(*start.component.exports, ExportsPre::Source(_));
        let meter = Meter::new(start.budget, start.bounds, source);
        let surroundings = Surroundings { log: log.clone(), clock: start.clock.clone(), chance: start.chance };
        let host = Host::new(start.limits, meter, start.pool.clone(), start.stage, start.boundary, surroundings);
        let mut store = Store::new(start.component.engine(), host);
        store.limiter(|host| &mut host.memory);
        store.set_max_component_handles(start.limits.handles as usize);
        store.set_epoch_deadline(ticks(start.limits.time));
        let exports = instantiate(&mut store, start.component);
        let exports = exports.map_err(|error| Error::Start {
            stage: start.name.to_string(),
            fault: match fault(&error, &store, start.limits) {
                Fault::Trap { .. } if error.downcast_ref::<Trap>().is_none() => Fault::Link(format!("{error:#}")),
                fault => fault,
            },
        })?;
        let mut instance = Instance {
            name: start.name.into(),
            store,
            exports,
            columns: Columns::empty(),
            metadata: Vec::new(),
            limits: start.limits.clone(),
            log,
            over: false,
        };
        let config = start.config.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
        instance.columns = instance.init(&config)?;
        Ok(instance)
    }

    fn init(&mut self, config: &[(String, String)]) -> Result<Columns, Error> {
        self.call("init", |exports, store| match exports {
            Exports::Source(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
            Exports::Processor(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
            Exports::Sink(stage) => stage.torvyn_streaming_lifecycle().call_init(store, config),
        })
    }

    /// The elements of the next call, and after it those of the last.
    pub(crate) fn batch(&mut self) -> &mut Vec<Element> {
        &mut self.store.data_mut().batch
    }

    /// What was copied at this stage's boundary so far.
    pub(crate) fn copies(&self) -> Copies {
        self.store.data().copies
    }

    /// Its copies, element by element.
    pub(crate) fn meter(&self) -> &Meter {
        &self.store.data().meter
    }

    /// Where its copies are recorded.
    pub(crate) fn boundary(&mut self) -> &mut Boundary {
        &mut self.store.data_mut().boundary
    }

    /// Asks a source for elements; `None` once it has ended.
    pub(crate) fn pull(&mut self, max_elements: u32, max_bytes: u64) -> Result<Option<Made>, Error> {
        let output = self.call_making("pull", |exports, store| match exports {
            Exports::Source(stage) => stage.torvyn_streaming_source().call_pull(store, max_elements, max_bytes),
            _ => unreachable!("only sources are pulled from"),
        })?;
        self.take_output("pull", output)
    }

    /// Lends the batch to a processor.
    pub(crate) fn process(&mut self) -> Result<Processed, Error> {
        let (batch, count, metadata) = self.lend();
        let outcome = self.call_making("process", |exports, store| match exports {
            Exports::Processor(stage) => {
                stage.torvyn_streaming_processor().call_process(store, batch, count, &metadata)
            }
            _ => unreachable!("only processors process"),
        });
        self.metadata = metadata;
        let (output, routes) = match outcome? {
            Outcome::Output(output) => (Some(output), Vec::new()),
            Outcome::Routes(routes) => (None, routes),
        };
        if let Some(made) = self.take_output("process", output)? {
            return Ok(Processed::Made(made));
        }
        if routes.len() != count as usize {
            let broken = format!("`routes` has {} entries for a batch of {count}", routes.len());
            return Err(self.failed("process", Fault::Contract(broken)));
        }
        self.store.data_mut().copies.metadata_marshal.record(1, size_of_val(&routes[..]) as u64);
        self.boundary().lifted(size_of_val(&routes[..]) as u64);
        Ok(Processed::Routes(routes))
    }

    /// Tells a processor that its input has ended.
    pub(crate) fn flush(&mut self) -> Result<Option<Made>, Error> {
        let output = self.call_making("flush", |exports, store| match exports {
            Exports::Processor(stage) => stage.torvyn_streaming_processor().call_flush(store),
            _ => unreachable!("only processors are flushed"),
        })?;
        self.take_output("flush", output)
    }

    /// Lends the batch to a sink.
    pub(crate) fn push(&mut self) -> Result<BackpressureSignal, Error> {
        let (batch, count, metadata) = self.lend();
        let signal = self.call("push", |exports, store| match exports {
            Exports::Sink(stage) => stage.torvyn_streaming_sink().call_push(store, batch, count, &metadata),
            _ => unreachable!("only sinks are pushed to"),
        });
        self.metadata = metadata;
        signal
    }

    /// Tells a sink that its input has ended.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        self.call("complete", |exports, store| match exports {
            Exports::Sink(stage) => stage.torvyn_streaming_sink().call_complete(store),
            _ => unreachable!("only sinks are completed"),
        })
    }

    /// What it held beyond the calls that lent it.
    pub(crate) fn leases(&self) -> &Leases {
        &self.store.data().leases
    }

    /// What it wrote to payloads that are made, besides their bytes: see [`crate::account::StageAccount::rewritten`].
    pub(crate) fn rewritten(&self) -> Count {
        self.store.data().rewritten()
    }

    /// What it wrote to payloads that were given up.
    pub(crate) fn given_up(&self) -> Count {
        self.store.data().given_up()
    }

    /// An element was sent on that was made of what is held at these places.
    pub(crate) fn came_of(&mut self, places: &[u32]) {
        let leases = &mut self.store.data_mut().leases;
        places.iter().for_each(|place| leases.came(*place));
    }

    /// Ends the lending of the batch, of which `named` were sent on, as bits. Tells how many elements that were held are held
    /// no longer, and nothing came of.
    #[inline]
    pub(crate) fn settle(&mut self, named: u64) -> u64 {
        self.store.data_mut().settle(named)
    }

    /// Takes back what is held by leases whose deadline is past. Tells what [`Instance::settle`] does.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        self.store.data_mut().expire(now)
    }

    /// Ends the stage, in whatever state it is, and takes back what it has. A stage that trapped, or has been ended, is not
    /// called again. Tells what [`Instance::settle`] does.
    pub(crate) fn teardown(&mut self) -> Result<u64, Error> {
        self.batch().clear();
        let result = if std::mem::replace(&mut self.over, true) {
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

    /// The columns of the batch. The metadata is handed out, so that it can be lent while the store is borrowed.
    fn lend(&mut self) -> (Resource<Batch>, u32, Vec<u64>) {
        let mut metadata = std::mem::take(&mut self.metadata);
        let host = self.store.data_mut();
        metadata.clear();
        metadata.extend(host.batch.iter().map(|element| element.payload.len() as u64));
        if self.columns.contains(Columns::SEQUENCE) {
            metadata.extend(host.batch.iter().map(|element| element.sequence));
        }
        if self.columns.contains(Columns::TIMESTAMP) {
            metadata.extend(host.batch.iter().map(|element| element.timestamp));
        }
        if self.columns.contains(Columns::DEADLINE) {
            metadata.extend(host.batch.iter().map(|element| element.deadline().unwrap_or(u64::MAX)));
        }
        if self.columns.contains(Columns::TRACE) {
            let traces = || host.batch.iter().map(Element::trace);
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| (trace.id >> 64) as u64)));
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| trace.id as u64)));
            metadata.extend(traces().map(|trace| trace.map_or(0, |trace| trace.span)));
        }
        host.copies.metadata_marshal.record(1, size_of_val(&metadata[..]) as u64);
        host.boundary.lowered(size_of_val(&metadata[..]) as u64);
        (host.lend(), host.batch.len() as u32, metadata)
    }

    /// A call in which no element can be made.
    fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, Error> {
        let result = self.enter(name, call);
        self.end_call();
        result
    }

    /// A call in which elements can be made. What it returned is then to be taken, by `take_output`.
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
        self.store.set_epoch_deadline(ticks(self.limits.time));
        self.store.data_mut().memory.refused = false;
        let result = call(&self.exports, &mut self.store);
        self.over |= result.is_err();
        let host = self.store.data_mut();
        if let Some(source) = host.unreadable.take() {
            let error = Error::Payload { reader: self.name.to_string(), elements: self.lent(name), source };
            self.end_failed_call();
            return Err(error);
        }
        let error = match (self.store.data_mut().meter.overruns(), result) {
            // Whatever the stage makes of the refusal.
            ((Some(overrun), _), _) => self.failed(name, Fault::Budget(overrun)),
            ((None, Some(overrun)), Ok(_)) => Error::Internal(format!(
                "stage `{}`: {overrun} in `{name}`, where at most {} is proven",
                self.name, overrun.limit
            )),
            (_, Ok(Ok(value))) => return Ok(value),
            (_, Ok(Err(failure))) => self.failed(name, Fault::Failure(text(&failure))),
            (_, Err(error)) => self.failed(name, fault(&error, &self.store, &self.limits)),
        };
        self.end_failed_call();
        Err(error)
    }

    /// What the stage has is taken back at once where it is not called again.
    fn end_failed_call(&mut self) {
        if self.over {
            self.store.data_mut().reclaim();
        } else {
            self.end_call();
        }
    }

    /// Takes the output that a call returned, if it did, and ends the call.
    fn take_output(&mut self, call: &'static str, output: Option<Resource<Output>>) -> Result<Option<Made>, Error> {
        let host = self.store.data_mut();
        let made = output.as_ref().and_then(|output| host.take_output(output));
        made.iter().for_each(|made| host.take_over(made));
        let unreturned = host.unreturned(made.as_ref());
        self.end_call();
        let broken = if output.is_some() && made.is_none() {
            "it returned an output that another call made".to_string()
        } else if unreturned > 0 {
            format!("payloads that it wrote, {unreturned} of them, are in no output that it returned")
        } else {
            return Ok(made);
        };
        Err(self.failed(call, Fault::Contract(broken)))
    }

    fn end_call(&mut self) {
        self.store.data_mut().end_call();
    }

    /// The failure of this stage; the elements are those of the current batch.
    pub(crate) fn failed(&mut self, call: &'static str, fault: Fault) -> Error {
        Error::Stage { stage: self.name.to_string(), call, elements: self.lent(call), fault }
    }

    /// The sequence numbers of the first and last element of a call, if it had any.
    fn lent(&mut self, call: &'static str) -> Option<(u64, u64)> {
        let lent = matches!(call, "process" | "push");
        let batch = self.batch().iter().filter(|_| lent).map(|element| element.sequence);
        batch.clone().min().zip(batch.max())
    }
}

fn instantiate(store: &mut Store<Host>, component: &Component) -> wasmtime::Result<Exports> {
    Ok(match &*component.exports {
        ExportsPre::Source(pre) => Exports::Source(pre.instantiate(store)?),
        ExportsPre::Processor(pre) => Exports::Processor(pre.instantiate(store)?),
        ExportsPre::Sink(pre) => Exports::Sink(pre.instantiate(store)?),
    })
}

/// The epoch advances once a tick, and the first tick may come at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX >> 1) + 1
}

fn text(failure: &Failure) -> String {
    let (name, text) = match failure {
        Failure::InvalidInput(text) => ("invalid-input", text),
        Failure::Unavailable(text) => ("unavailable", text),
        Failure::Internal(text) => ("internal", text),
        Failure::DeadlineExceeded => return "deadline-exceeded".to_string(),
        Failure::Fatal(text) => ("fatal", text),
        Failure::OutOfBounds => return "out-of-bounds".to_string(),
        Failure::BudgetExceeded => return "budget-exceeded".to_string(),
        Failure::LimitExceeded(text) => ("limit-exceeded", text),
    };
    let kept = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    let rest = if kept.len() < text.len() { " …" } else { "" };
    format!("{name}: {kept}{rest}")
}

/// What an error of the engine says about the stage.
fn fault(error: &wasmtime::Error, store: &Store<Host>, limits: &Limits) -> Fault {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Fault::Deadline { limit: limits.time };
    }
    let trap = error.root_cause().to_string();
    if store.data().memory.refused {
        return Fault::Memory { limit: limits.memory, trap };
    }
    Fault::Trap { trap, backtrace: backtrace(error) }
}

/// Functions with file and line, as far as the component tells; inlined ones included. Those of the standard library,
/// which say how a panic ends, are left out where there are others.
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
            let text = format!("{name} ({file}:{line})");
            if !file.starts_with(STANDARD_LIBRARY) {
                own.push(text.clone());
            }
            all.push(text);
        }
    }
    if own.is_empty() { all } else { own }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
