//! The bindings that Wasmtime generates from the contract: its types, and the calls of a stage's exports. The imports are
//! written by hand in the files beside this one, because they pass payloads without an extra copy.

#![allow(missing_docs, unreachable_pub, dead_code)]

pub mod processor {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "package torvyn:runtime-processor;
            world processor-stage {
                export torvyn:streaming/lifecycle@0.2.0;
                export torvyn:streaming/processor@0.2.0;
            }",
        world: "torvyn:runtime-processor/processor-stage",
        with: {
            "torvyn:streaming/types.batch": crate::stage::host::Batch,
            "torvyn:streaming/types.lease": crate::stage::host::Lease,
            "torvyn:streaming/types.output": crate::stage::host::Output,
        },
    });
}

pub use processor::torvyn::streaming::types;

pub mod source {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "package torvyn:runtime-source;
            world source-stage {
                export torvyn:streaming/lifecycle@0.2.0;
                export torvyn:streaming/source@0.2.0;
            }",
        world: "torvyn:runtime-source/source-stage",
        with: { "torvyn:streaming/types": crate::stage::host::bindings::types },
    });
}

pub mod sink {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "package torvyn:runtime-sink;
            world sink-stage {
                export torvyn:streaming/lifecycle@0.2.0;
                export torvyn:streaming/sink@0.2.0;
            }",
        world: "torvyn:runtime-sink/sink-stage",
        with: { "torvyn:streaming/types": crate::stage::host::bindings::types },
    });
}
