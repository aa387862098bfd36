//! The same pipeline as components of the shape of `torvyn:streaming@0.1.0`: metadata with a string, two borrows and
//! one owned buffer per element, one call per element and stage.
//!
//! The host is what an implementer of that contract would write with `bindgen!`: synchronous calls, no support for
//! concurrency, one store per component, resources in a `ResourceTable`. In doubt it does what is faster: it moves
//! buffers and strings from store to store by value, adopts the list of the first `append`, shares the bytes of
//! `clone-into-mutable` until they are written, takes the time from the source instead of a clock, and keeps no totals.

use std::collections::BTreeMap;

use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Config, Engine, OptLevel, Store};

use self::bindings::data_sink::DataSink;
use self::bindings::data_source::DataSource;
use self::bindings::data_source::baseline::streaming::types::{
    ElementMeta, OutputElement, ProcessResult, StreamElement,
};
use self::bindings::filter::ContentFilter;
use self::bindings::transform::Transform;
use self::host::{Buffer, FlowContext, Host};
use super::guests::build_guests;
use crate::payload::{Tally, Task};
use crate::pipeline::{Case, Contender};

mod bindings;
#[expect(unreachable_pub, reason = "what the macro makes names them in public places")]
mod host;

/// The base of the ratios.
pub(crate) const PROCESSOR: &str = "0.1.0 shape";

/// The compiled guests, and what they are instantiated with.
pub(crate) struct Shape {
    linker: Linker<Host>,
    components: BTreeMap<String, Component>,
}

impl Shape {
    pub(crate) fn build() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false).cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        DataSource::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
        // The standard library of the guests imports parts of WASI for panics; nothing calls them.
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let components = build_guests("tests/shape/Cargo.toml")
            .into_iter()
            .map(|(name, path)| Ok((name, Component::from_file(&engine, path)?)))
            .collect::<wasmtime::Result<_>>()?;
        Ok(Self { linker, components })
    }

    /// The contender for cases with processors, the only stages of `torvyn:streaming@0.1.0` itself.
    pub(crate) fn with_processor(&self, case: Case) -> wasmtime::Result<Components> {
        let guest = match case.task {
            Task::Pass => "copy",
            Task::Upper => "upper",
        };
        let middle = Middle::Processor(
            self.stage(guest, |store, component, linker| Transform::instantiate(store, component, linker))?,
        );
        self.with(case, PROCESSOR, middle)
    }

    /// The contender that forwards elements with a filter, from the extension of the contract.
    pub(crate) fn with_filter(&self, case: Case) -> wasmtime::Result<Components> {
        let middle = Middle::Filter(
            self.stage("pass", |store, component, linker| ContentFilter::instantiate(store, component, linker))?,
        );
        self.with(case, "0.1.0 shape, filter", middle)
    }

    fn with(&self, case: Case, name: &'static str, middle: Middle) -> wasmtime::Result<Components> {
        let source =
            self.stage("source", |store, component, linker| DataSource::instantiate(store, component, linker))?;
        let sink = self.stage("sink", |store, component, linker| DataSink::instantiate(store, component, linker))?;
        Ok(Components { name, case, source, middle, sink })
    }

    fn stage<World>(
        &self,
        guest: &str,
        instantiate: impl FnOnce(&mut Store<Host>, &Component, &Linker<Host>) -> wasmtime::Result<World>,
    ) -> wasmtime::Result<Stage<World>> {
        let mut store = Store::new(self.linker.engine(), Host::default());
        let world = instantiate(&mut store, &self.components[guest], &self.linker)?;
        let flow = store.data_mut().table.push(FlowContext::default())?.rep();
        Ok(Stage { store, world, flow })
    }
}

/// An element between two stores.
struct Element {
    meta: ElementMeta,
    payload: Buffer,
}

/// A component in its store, with the flow context that it borrows with every element.
struct Stage<World> {
    store: Store<Host>,
    world: World,
    flow: u32,
}

impl<World> Stage<World> {
    /// Calls the stage with an element that it borrows for that call, and returns the element with the result.
    fn lend<Output>(
        &mut self,
        element: Element,
        call: impl FnOnce(&World, &mut Store<Host>, &StreamElement) -> wasmtime::Result<Output>,
    ) -> wasmtime::Result<(Output, Element)> {
        let owned = self.store.data_mut().table.push(element.payload)?;
        let lent = StreamElement {
            meta: element.meta,
            payload: Resource::new_borrow(owned.rep()),
            context: Resource::new_borrow(self.flow),
        };
        let output = call(&self.world, &mut self.store, &lent)?;
        let payload = self.store.data_mut().table.delete(owned)?;
        Ok((output, Element { meta: lent.meta, payload }))
    }

    /// Takes what the stage returned as its own.
    fn take(&mut self, element: OutputElement) -> wasmtime::Result<Element> {
        let payload = self.store.data_mut().table.delete(element.payload)?;
        Ok(Element { meta: element.meta, payload })
    }
}

/// The two kinds of stage that can be between source and sink.
enum Middle {
    Processor(Stage<Transform>),
    Filter(Stage<ContentFilter>),
}

impl Middle {
    fn process(&mut self, element: Element) -> wasmtime::Result<Option<Element>> {
        match self {
            Self::Processor(stage) => {
                let process = |world: &Transform, store: &mut Store<Host>, element: &StreamElement| {
                    world.baseline_streaming_processor().call_process(store, element)
                };
                match stage.lend(element, process)?.0? {
                    ProcessResult::Emit(element) => stage.take(element).map(Some),
                    ProcessResult::Drop => Ok(None),
                }
            }
            Self::Filter(stage) => {
                let evaluate = |world: &ContentFilter, store: &mut Store<Host>, element: &StreamElement| {
                    world.baseline_streaming_filter().call_evaluate(store, element)
                };
                let (passes, element) = stage.lend(element, evaluate)?;
                Ok(passes?.then_some(element))
            }
        }
    }
}

/// Source, stage and sink, each a component.
pub(crate) struct Components {
    name: &'static str,
    case: Case,
    source: Stage<DataSource>,
    middle: Middle,
    sink: Stage<DataSink>,
}

impl Components {
    fn drive(&mut self, elements: u64) -> wasmtime::Result<Tally> {
        let Self { case: Case { task, len }, source, middle, sink, .. } = self;
        let config = format!("{len} {elements}");
        source.world.baseline_streaming_lifecycle().call_init(&mut source.store, &config)??;
        let config = if *task == Task::Pass { "pass" } else { "upper" };
        sink.world.baseline_streaming_lifecycle().call_init(&mut sink.store, config)??;

        let push = |world: &DataSink, store: &mut Store<Host>, element: &StreamElement| {
            world.baseline_streaming_sink().call_push(store, element)
        };
        // In that contract, the host numbers the elements.
        let mut sequence = 0;
        while let Some(element) = source.world.baseline_streaming_source().call_pull(&mut source.store)?? {
            let mut element = source.take(element)?;
            element.meta.sequence = sequence;
            sequence += 1;
            if let Some(element) = middle.process(element)? {
                sink.lend(element, push)?.0?;
            }
        }

        sink.world.baseline_streaming_sink().call_complete(&mut sink.store)??;
        let tally = sink.world.baseline_streaming_payload_sum().call_tally_so_far(&mut sink.store)?;
        Ok(Tally { elements: tally.elements, bytes: tally.bytes, sum: tally.sum })
    }
}

impl Contender for Components {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, elements: u64) -> Tally {
        self.drive(elements).expect("the components of the baseline do not fail")
    }
}
