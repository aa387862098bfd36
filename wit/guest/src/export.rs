//! From a stage to the exports of a component. [`export!`](crate::export!) is the way in; the rest is what it expands to.

use std::cell::RefCell;

#[cfg(target_arch = "wasm32")]
use crate::batch::Frame;
use crate::batch::{Batch, Element};
use crate::bindings::lifecycle::types::{self, BackpressureSignal, Columns, Failure};
use crate::config::Config;
#[cfg(target_arch = "wasm32")]
use crate::lent::Lent;
use crate::output::{Output, Writer};
use crate::stage::{
    BatchProcessor, BatchSink, BatchSource, Next, PayloadProcessor, PayloadSink, Processor, Sink, Source, Stage,
};
use crate::world::{CanRead, CanWrite, DataSink, ProcessorWorld};

/// Makes a component of a stage: `export!(TYPE: ROLE)`, where the role is one of `Source`, `BatchSource`,
/// `Processor<WORLD>`, `PayloadProcessor<WORLD>`, `BatchProcessor<WORLD>`, `Sink`, `PayloadSink` and `BatchSink`.
///
/// On other targets than `wasm32` nothing is exported, so that the crate's own tests build and run natively.
#[macro_export]
macro_rules! export {
    ($stage:ty: Processor<$world:ident>) => {
        $crate::__export_role!(processor, $crate::export::PerElement<$stage>, $crate::$world);
    };
    ($stage:ty: PayloadProcessor<$world:ident>) => {
        $crate::__export_role!(processor, $crate::export::WithPayload<$stage>, $crate::$world);
    };
    ($stage:ty: BatchProcessor<$world:ident>) => {
        $crate::__export_role!(processor, $stage, $crate::$world);
    };
    ($stage:ty: Source) => {
        $crate::__export_role!(source, $crate::export::PerElement<$stage>);
    };
    ($stage:ty: BatchSource) => {
        $crate::__export_role!(source, $stage);
    };
    ($stage:ty: Sink) => {
        $crate::__export_role!(sink, $crate::export::PerElement<$stage>);
    };
    ($stage:ty: PayloadSink) => {
        $crate::__export_role!(sink, $crate::export::WithPayload<$stage>);
    };
    ($stage:ty: BatchSink) => {
        $crate::__export_role!(sink, $stage);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    ($role:ident, $stage:ty $(, $world:ty)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::lifecycle::{exports::torvyn::streaming::lifecycle, types};

            struct Component;

            ::std::thread_local! {
                static STAGE: $crate::export::Cell<$stage> = const { $crate::export::Cell::new() };
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

            $crate::__export_role!(@$role $($world)?);
            $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
        };
    };
    (@processor $world:ty) => {
        impl $crate::bindings::processor::exports::torvyn::streaming::processor::Guest for Component {
            fn process(
                of: &types::Batch,
                count: u32,
                metadata: ::std::vec::Vec<u64>,
            ) -> ::std::result::Result<types::Outcome, types::Failure> {
                STAGE.with(|stage| stage.process::<$world>(of, count, &metadata))
            }

            fn flush() -> ::std::result::Result<::std::option::Option<types::Output>, types::Failure> {
                STAGE.with($crate::export::Cell::flush::<$world>)
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
            ) -> ::std::result::Result<types::BackpressureSignal, types::Failure> {
                STAGE.with(|stage| stage.push(of, count, &metadata))
            }

            fn complete() -> ::std::result::Result<(), types::Failure> {
                STAGE.with($crate::export::Cell::complete)
            }
        }
        $crate::bindings::sink::export_sink!(Component with_types_in $crate::bindings::sink);
    };
}

/// The stage of a component, between the calls of the host.
pub struct Cell<S>(RefCell<Option<Running<S>>>);

struct Running<S> {
    stage: S,
    /// Kept from call to call for its capacity.
    writer: Writer,
    /// The source has ended; the next `pull` says so.
    ended: bool,
}

impl<S> Cell<S> {
    /// Before `init`.
    #[expect(clippy::new_without_default, reason = "only the macro makes one, in a const")]
    pub const fn new() -> Self {
        Cell(RefCell::new(None))
    }
}

impl<S: Stage> Cell<S> {
    pub fn init(&self, config: Vec<(String, String)>) -> Result<Columns, Failure> {
        let stage = S::new(&Config::new(config))?;
        *self.0.borrow_mut() = Some(Running { stage, writer: Writer::default(), ended: false });
        Ok(S::COLUMNS)
    }

    pub fn teardown(&self) {
        if let Some(running) = self.0.borrow_mut().take() {
            running.stage.teardown();
        }
    }

    fn running<T>(&self, call: impl FnOnce(&mut Running<S>) -> Result<T, Failure>) -> Result<T, Failure> {
        match &mut *self.0.borrow_mut() {
            Some(running) => call(running),
            None => Err(Failure::Internal("the stage is not running".to_string())),
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub fn process<W: ProcessorWorld>(
        &self,
        of: &types::Batch,
        count: u32,
        metadata: &[u64],
    ) -> Result<types::Outcome, Failure>
    where
        S: BatchProcessor<W>,
    {
        self.running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            let mut out = Output::new(count, &mut running.writer);
            running.stage.process(Batch::new(&frame), &mut out)?;
            W::finish(out)
        })
    }

    pub fn flush<W: ProcessorWorld>(&self) -> Result<Option<types::Output>, Failure>
    where
        S: BatchProcessor<W>,
    {
        self.running(|running| {
            // The compiler sees that a new one stays empty where a stage has nothing to flush; with the call that
            // would empty it goes the import.
            let mut writer = Writer::default();
            W::flush(&mut running.stage, &mut writer)?;
            W::emit(&mut writer)
        })
    }

    pub fn pull(&self, max_elements: u32, max_bytes: u64) -> Result<Option<types::Output>, Failure>
    where
        S: BatchSource,
    {
        self.running(|running| {
            if running.ended {
                return Ok(None);
            }
            running.writer.clear();
            running.ended = running.stage.pull(max_elements, max_bytes, &mut running.writer)? == Next::End;
            if running.ended && running.writer.is_empty() { Ok(None) } else { running.writer.emit().map(Some) }
        })
    }

    #[cfg(target_arch = "wasm32")]
    pub fn push(&self, of: &types::Batch, count: u32, metadata: &[u64]) -> Result<BackpressureSignal, Failure>
    where
        S: BatchSink,
    {
        self.running(|running| {
            let frame = Frame { lent: Lent(of), count, columns: S::COLUMNS, metadata };
            running.stage.push(Batch::new(&frame))
        })
    }

    pub fn complete(&self) -> Result<(), Failure>
    where
        S: BatchSink,
    {
        self.running(|running| running.stage.complete())
    }
}

/// A per-element stage as a batch stage.
pub struct PerElement<S>(S);

/// A stage that takes payloads as a batch stage.
pub struct WithPayload<S>(S);

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
        S::new(config).map(WithPayload)
    }

    fn teardown(self) {
        self.0.teardown();
    }
}

impl<W: ProcessorWorld, S: Processor<W>> BatchProcessor<W> for PerElement<S> {
    #[inline(always)]
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure> {
        process_each(&mut self.0, batch, out)
    }

    fn flush(&mut self, out: &mut Writer) -> Result<(), Failure>
    where
        W: CanWrite,
    {
        self.0.flush(out)
    }
}

impl<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>> BatchProcessor<W> for WithPayload<S> {
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure> {
        process_with_payloads(&mut self.0, batch, out)
    }

    fn flush(&mut self, out: &mut Writer) -> Result<(), Failure>
    where
        W: CanWrite,
    {
        self.0.flush(out)
    }
}

impl<S: Source> BatchSource for PerElement<S> {
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer) -> Result<Next, Failure> {
        while out.len() < max_elements as usize && (out.bytes.len() as u64) < max_bytes {
            let next = self.0.pull(out)?;
            if next != Next::More {
                return Ok(next);
            }
        }
        Ok(Next::More)
    }
}

impl<S: Sink> BatchSink for PerElement<S> {
    #[inline(always)]
    fn push(&mut self, batch: Batch<'_, DataSink>) -> Result<BackpressureSignal, Failure> {
        push_each(&mut self.0, batch)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        self.0.complete()
    }
}

impl<S: PayloadSink> BatchSink for WithPayload<S> {
    fn push(&mut self, batch: Batch<'_, DataSink>) -> Result<BackpressureSignal, Failure> {
        push_with_payloads(&mut self.0, batch)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        self.0.complete()
    }
}

#[inline(always)]
pub(crate) fn process_each<W: ProcessorWorld, S: Processor<W>>(
    stage: &mut S,
    batch: Batch<'_, W>,
    out: &mut Output<'_, W>,
) -> Result<(), Failure> {
    batch.iter().try_for_each(|element| stage.process(element, out.at(element)))
}

pub(crate) fn process_with_payloads<W: ProcessorWorld + CanRead, S: PayloadProcessor<W>>(
    stage: &mut S,
    batch: Batch<'_, W>,
    out: &mut Output<'_, W>,
) -> Result<(), Failure> {
    with_payloads(batch, |element, payload| stage.process(element, payload, out.at(element)))
}

#[inline(always)]
pub(crate) fn push_each<S: Sink>(stage: &mut S, batch: Batch<'_, DataSink>) -> Result<BackpressureSignal, Failure> {
    batch
        .iter()
        .try_fold(BackpressureSignal::Ready, |signal, element| Ok(pause_if_either(signal, stage.push(element)?)))
}

pub(crate) fn push_with_payloads<S: PayloadSink>(
    stage: &mut S,
    batch: Batch<'_, DataSink>,
) -> Result<BackpressureSignal, Failure> {
    let mut signal = BackpressureSignal::Ready;
    with_payloads(batch, |element, payload| {
        signal = pause_if_either(signal, stage.push(element, payload)?);
        Ok(())
    })?;
    Ok(signal)
}

fn pause_if_either(a: BackpressureSignal, b: BackpressureSignal) -> BackpressureSignal {
    if a == BackpressureSignal::Pause { a } else { b }
}

/// Reads the whole batch in one crossing and gives each element its part.
#[inline(always)]
fn with_payloads<'a, W: CanRead>(
    batch: Batch<'a, W>,
    mut take: impl FnMut(Element<'a, W>, &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let payloads = batch.read_all()?;
    let mut rest = payloads.as_slice();
    for element in batch.iter() {
        let payload;
        (payload, rest) = rest.split_at(element.size() as usize);
        take(element, payload)?;
    }
    Ok(())
}
