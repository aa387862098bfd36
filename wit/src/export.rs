//! [`export!`](crate::export!), which makes a component of a stage, and the code that it expands to.

use std::marker::PhantomData;

use crate::batch::{Batch, Element};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure, FailurePolicy};
#[cfg(target_arch = "wasm32")]
pub use crate::cell::Cell;
use crate::config::Config;
use crate::failure::BatchFailure;
use crate::host;
use crate::output::Output;
use crate::stage::{
    BatchProcessor, BatchSink, BatchSource, Next, PayloadProcessor, PayloadSink, Processor, Sink, Source, Stage,
};
use crate::world::{CanMake, CanRead, DataSink, ProcessorWorld, SinkWorld, SourceWorld};
use crate::writer::Writer;

/// Makes a component of a stage: `export!(TYPE: ROLE)`.
///
/// `ROLE` is `Source`, `BatchSource`, `Processor<WORLD>`, `PayloadProcessor<WORLD>`, `BatchProcessor<WORLD>`, `Sink`,
/// `PayloadSink` or `BatchSink`. Sources are in world `DataSource` and sinks in world `DataSink` unless they name
/// another, as in `Sink<MetadataSink>`.
///
/// On targets other than `wasm32` nothing is exported, so that the tests of the crate build and run natively.
#[macro_export]
macro_rules! export {
    ($stage:ty: Processor<$world:ident>) => {
        $crate::__export_role!(processor, $crate::export::PerElement<$stage>, $crate::Writer<$crate::$world>);
    };
    ($stage:ty: PayloadProcessor<$world:ident>) => {
        $crate::__export_role!(processor, $crate::export::WithPayload<$stage>, $crate::Writer<$crate::$world>);
    };
    ($stage:ty: BatchProcessor<$world:ident>) => {
        $crate::__export_role!(processor, $stage, $crate::Writer<$crate::$world>);
    };
    ($stage:ty: Source) => {
        $crate::export!($stage: Source<DataSource>);
    };
    ($stage:ty: Source<$world:ident>) => {
        $crate::__export_role!(source, $crate::export::PerElement<$stage>, $crate::Writer<$crate::$world>);
    };
    ($stage:ty: BatchSource) => {
        $crate::export!($stage: BatchSource<DataSource>);
    };
    ($stage:ty: BatchSource<$world:ident>) => {
        $crate::__export_role!(source, $stage, $crate::Writer<$crate::$world>);
    };
    ($stage:ty: Sink) => {
        $crate::export!($stage: Sink<DataSink>);
    };
    ($stage:ty: Sink<$world:ident>) => {
        $crate::__export_role!(sink, $crate::export::PerElement<$stage>, $crate::export::In<$crate::$world>);
    };
    ($stage:ty: PayloadSink) => {
        $crate::__export_role!(sink, $crate::export::WithPayload<$stage>, $crate::export::In<$crate::DataSink>);
    };
    ($stage:ty: BatchSink) => {
        $crate::export!($stage: BatchSink<DataSink>);
    };
    ($stage:ty: BatchSink<$world:ident>) => {
        $crate::__export_role!(sink, $stage, $crate::export::In<$crate::$world>);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    ($role:ident, $stage:ty, $kept:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::lifecycle::{exports::torvyn::streaming::lifecycle, types};

            struct Component;

            ::std::thread_local! {
                static STAGE: $crate::export::Cell<$stage, $kept> = const { $crate::export::Cell::new() };
            }

            impl lifecycle::Guest for Component {
                fn init(
                    config: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                ) -> ::std::result::Result<types::Columns, types::Failure> {
                    STAGE.with(|stage| stage.init(config))
                }

                fn teardown() {
                    STAGE.with($crate::export::Cell::teardown)
                }
            }

            $crate::__export_role!(@$role);
            $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
        };
    };
    (@processor) => {
        impl $crate::bindings::processor::exports::torvyn::streaming::processor::Guest for Component {
            fn process(
                of: &types::Batch,
                count: u32,
                metadata: ::std::vec::Vec<u64>,
            ) -> ::std::result::Result<types::Outcome, types::ProcessFailure> {
                STAGE.with(|stage| stage.process(of, count, &metadata))
            }

            fn flush() -> ::std::result::Result<::std::option::Option<types::Output>, types::Failure> {
                STAGE.with($crate::export::Cell::flush)
            }
        }
        $crate::bindings::processor::export_processor!(Component with_types_in $crate::bindings::processor);
    };
    (@source) => {
        impl $crate::bindings::source::exports::torvyn::streaming::source::Guest for Component {
            fn pull(
                max_elements: u32,
                max_bytes: u64,
            ) -> ::std::result::Result<::std::option::Option<types::Output>, types::Failure> {
                STAGE.with(|stage| stage.pull(max_elements, max_bytes))
            }
        }
        $crate::bindings::source::export_source!(Component with_types_in $crate::bindings::source);
    };
    (@sink) => {
        impl $crate::bindings::sink::exports::torvyn::streaming::sink::Guest for Component {
            fn push(
                of: &types::Batch,
                count: u32,
                metadata: ::std::vec::Vec<u64>,
            ) -> ::std::result::Result<types::BackpressureSignal, types::PushFailure> {
                STAGE.with(|stage| stage.push(of, count, &metadata))
            }

            fn complete() -> ::std::result::Result<(), types::Failure> {
                STAGE.with($crate::export::Cell::complete)
            }
        }
        $crate::bindings::sink::export_sink!(Component with_types_in $crate::bindings::sink);
    };
}

/// The world of a stage that makes no elements.
pub struct In<W>(PhantomData<fn() -> W>);

impl<W> Default for In<W> {
    fn default() -> Self {
        In(PhantomData)
    }
}

/// A per-element stage as a batch stage.
pub struct PerElement<S>(S);

/// A stage that takes payloads, as a batch stage.
pub struct WithPayload<S> {
    stage: S,
    reading: Reading,
}

/// How the payloads of a batch are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All payloads in one crossing.
    Ahead,
    /// Each payload before its element is processed. Used with retries: when the stage fails on an element, all later
    /// elements are lent again too, and would be read twice if they had been read ahead.
    OneByOne,
}

impl<S: Stage> Stage for PerElement<S> {
    const COLUMNS: Columns = S::COLUMNS;

    fn new(config: &Config) -> Result<Self, Failure> {
        S::new(config).map(PerElement)
    }

    fn teardown(self) {
        self.0.teardown();
    }
}

impl<S: Stage> Stage for WithPayload<S> {
    const COLUMNS: Columns = S::COLUMNS;

    fn new(config: &Config) -> Result<Self, Failure> {
        let retries = host::failure_policy() == FailurePolicy::Retry;
        let reading = if retries { Reading::OneByOne } else { Reading::Ahead };
        S::new(config).map(|stage| WithPayload { stage, reading })
    }

    fn teardown(self) {
        self.stage.teardown();
    }
}

impl<W: ProcessorWorld, S: Processor<W>> BatchProcessor<W> for PerElement<S> {
    #[inline(always)]
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), BatchFailure> {
        process_each(&mut self.0, batch, out)
    }

    fn flush(&mut self, out: &mut Writer<W>) -> Result<(), Failure>
    where
        W: CanMake,
    {
        self.0.flush(out)
    }
}

impl<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>> BatchProcessor<W> for WithPayload<S> {
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), BatchFailure> {
        process_with_payloads(&mut self.stage, self.reading, batch, out)
    }

    fn flush(&mut self, out: &mut Writer<W>) -> Result<(), Failure>
    where
        W: CanMake,
    {
        self.stage.flush(out)
    }
}

impl<W: SourceWorld, S: Source<W>> BatchSource<W> for PerElement<S> {
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer<W>) -> Result<Next, Failure> {
        while out.len() < max_elements as usize && out.builder.bytes() < max_bytes {
            let next = self.0.pull(out)?;
            if next != Next::More {
                return Ok(next);
            }
        }
        Ok(Next::More)
    }
}

impl<W: SinkWorld, S: Sink<W>> BatchSink<W> for PerElement<S> {
    #[inline(always)]
    fn push(&mut self, batch: Batch<'_, W>) -> Result<BackpressureSignal, BatchFailure> {
        push_each(&mut self.0, batch)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        self.0.complete()
    }
}

impl<S: PayloadSink> BatchSink for WithPayload<S> {
    fn push(&mut self, batch: Batch<'_, DataSink>) -> Result<BackpressureSignal, BatchFailure> {
        push_with_payloads(&mut self.stage, self.reading, batch)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        self.stage.complete()
    }
}

#[inline(always)]
pub(crate) fn process_each<W: ProcessorWorld, S: Processor<W>>(
    stage: &mut S,
    batch: Batch<'_, W>,
    out: &mut Output<'_, W>,
) -> Result<(), BatchFailure> {
    // Not with `try_for_each`: a closure that converts the failure keeps the stage from being inlined here. The call
    // does not skip failed elements either: later elements have not been read, so retrying them reads nothing twice,
    // and the component does not need to import `skip`.
    for element in batch.iter() {
        if let Err(failure) = stage.process(element, out.at(element)) {
            return Err(failure.at(element));
        }
    }
    Ok(())
}

pub(crate) fn process_with_payloads<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>>(
    stage: &mut S,
    reading: Reading,
    batch: Batch<'_, W>,
    out: &mut Output<'_, W>,
) -> Result<(), BatchFailure> {
    with_payloads(batch, reading, |element, payload| {
        let done = stage.process(element, payload, out.at(element));
        done.or_else(|failure| if out.skip(element.index(), &failure) { Ok(()) } else { Err(failure) })
    })
}

#[inline(always)]
pub(crate) fn push_each<W: SinkWorld, S: Sink<W>>(
    stage: &mut S,
    batch: Batch<'_, W>,
) -> Result<BackpressureSignal, BatchFailure> {
    let mut signal = BackpressureSignal::Ready;
    for element in batch.iter() {
        match stage.push(element) {
            Ok(pushed) => signal = pause_if_either(signal, pushed),
            Err(failure) => return Err(failure.at(element)),
        }
    }
    Ok(signal)
}

pub(crate) fn push_with_payloads<S: PayloadSink>(
    stage: &mut S,
    reading: Reading,
    batch: Batch<'_, DataSink>,
) -> Result<BackpressureSignal, BatchFailure> {
    let mut signal = BackpressureSignal::Ready;
    with_payloads(batch, reading, |element, payload| match stage.push(element, payload) {
        Ok(pushed) => {
            signal = pause_if_either(signal, pushed);
            Ok(())
        }
        Err(failure) if skip(batch, element.index(), &failure) => Ok(()),
        Err(failure) => Err(failure),
    })?;
    Ok(signal)
}

/// Skips element `index`, which the sink failed on, if the pipeline says so. Returns whether the call can continue.
#[cold]
#[inline(never)]
fn skip<W: SinkWorld>(batch: Batch<'_, W>, index: u32, failure: &Failure) -> bool {
    batch.frame.lent.skip(index, failure)
}

fn pause_if_either(a: BackpressureSignal, b: BackpressureSignal) -> BackpressureSignal {
    if a == BackpressureSignal::Pause { a } else { b }
}

/// Calls `take` for each element, with its payload.
#[inline(always)]
fn with_payloads<'a, W: CanRead>(
    batch: Batch<'a, W>,
    reading: Reading,
    mut take: impl FnMut(Element<'a, W>, &[u8]) -> Result<(), Failure>,
) -> Result<(), BatchFailure> {
    if reading == Reading::OneByOne {
        for element in batch.iter() {
            let payload = element.read().map_err(|failure| failure.at(element))?;
            take(element, &payload).map_err(|failure| failure.at(element))?;
        }
        return Ok(());
    }
    let payloads = batch.read_all()?;
    let mut rest = payloads.as_slice();
    for element in batch.iter() {
        let payload;
        (payload, rest) = rest.split_at(element.size() as usize);
        take(element, payload).map_err(|failure| failure.at(element))?;
    }
    Ok(())
}
