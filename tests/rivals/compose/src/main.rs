//! `compose SOURCE SINK INTERFACE OUTPUT` composes two components, the second of which imports an interface that the first
//! exports, and writes the component that they are together. What else they import, it imports, and it exports what the
//! second exports.

use std::{env, fs};

use anyhow::{Context, Result, bail};
use wasm_compose::graph::{Component, CompositionGraph, EncodeOptions};
use wasmparser::{Validator, WasmFeatures};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, sink, interface, output] = &arguments[..] else {
        bail!("usage: compose SOURCE SINK INTERFACE OUTPUT")
    };
    // One for both: it relates their types.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut graph = CompositionGraph::new();
    let source = Component::from_bytes(&mut validator, "source", fs::read(source)?)?;
    let sink = Component::from_bytes(&mut validator, "sink", fs::read(sink)?)?;
    let (export, ..) = source.export_by_name(interface).context("the source does not export the interface")?;
    let (import, _) = sink.import_by_name(interface).context("the sink does not import the interface")?;
    let (source, sink) = (graph.add_component(source)?, graph.add_component(sink)?);
    let (source, sink) = (graph.instantiate(source)?, graph.instantiate(sink)?);
    graph.connect(source, Some(export), sink, import)?;
    let options = EncodeOptions { define_components: true, export: Some(sink), validate: true };
    fs::write(output, graph.encode(options)?)?;
    Ok(())
}
