//! Checks that the exports of a component have the types of the contract. The engine checks the names when it links, but the
//! types only when a stage starts.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower, Resource};

use crate::contract::{Kind, full_name};
use crate::stage::host::{
    BackpressureSignal, Batch, Columns, Failure, Host, Outcome, Output, ProcessFailure, PushFailure,
};

type Made = (Result<Option<Resource<Output>>, Failure>,);
type Lent = (Resource<Batch>, u32, Vec<u64>);

/// Checks the functions that the host calls in a stage of this role.
pub(super) fn check(pre: &InstancePre<Host>, kind: Kind) -> wasmtime::Result<()> {
    let interface = |interface| Interface { pre, name: full_name(interface) };
    let lifecycle = interface("lifecycle");
    lifecycle.check::<(Vec<(String, String)>,), (Result<Columns, Failure>,)>("init")?;
    lifecycle.check::<(), ()>("teardown")?;
    match kind {
        Kind::Source => interface("source").check::<(u32, u64), Made>("pull"),
        Kind::Processor => {
            let processor = interface("processor");
            processor.check::<Lent, (Result<Outcome, ProcessFailure>,)>("process")?;
            processor.check::<(), Made>("flush")
        }
        Kind::Sink => {
            let sink = interface("sink");
            sink.check::<Lent, (Result<BackpressureSignal, PushFailure>,)>("push")?;
            sink.check::<(), (Result<(), Failure>,)>("complete")
        }
    }
}

/// An interface that the component exports.
struct Interface<'p> {
    pre: &'p InstancePre<Host>,
    name: String,
}

impl Interface<'_> {
    /// Checks the parameters and results of one function. A missing function is reported elsewhere.
    fn check<Params, Results>(&self, function: &str) -> wasmtime::Result<()>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let component = self.pre.component();
        let interface = component.get_export_index(None, self.name.as_str());
        let Some((item, _)) = interface.and_then(|interface| component.get_export(Some(&interface), function)) else {
            return Ok(());
        };
        let wrong = |why: String| {
            let name = &self.name;
            wasmtime::Error::msg(format!(
                "its export `{function}` of `{name}` does not have the type of the contract: {why}"
            ))
        };
        match item {
            ComponentItem::ComponentFunc(function) => function
                .typecheck::<Params, Results>(&self.pre.instance_type())
                .map_err(|error| wrong(format!("{error:#}"))),
            _ => Err(wrong("it is not a function".to_string())),
        }
    }
}
