//! The bindings that `wit-bindgen` generates from the contract.
//!
//! Each exported interface has a world of its own here, because the macro that exports it must exist only once. The
//! linker merges the worlds that a component uses.

#![allow(missing_docs, unreachable_pub, clippy::all)]

pub mod lifecycle {
    wit_bindgen::generate!({
        path: ".",
        inline: "package torvyn:guest-lifecycle; world stage-lifecycle { export torvyn:streaming/lifecycle@0.2.0; }",
        world: "torvyn:guest-lifecycle/stage-lifecycle",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "torvyn_guest::bindings::lifecycle",
        generate_all,
    });
    pub use torvyn::streaming::types;
}

pub mod processor {
    wit_bindgen::generate!({
        path: ".",
        inline: "package torvyn:guest-processor;
            world stage-processor {
                import torvyn:streaming/attributes@0.2.0;
                import torvyn:streaming/payload-read@0.2.0;
                import torvyn:streaming/payload-write@0.2.0;
                import torvyn:streaming/payload-view@0.2.0;
                import torvyn:streaming/payload-buffer@0.2.0;
                import torvyn:streaming/payload-lease@0.2.0;
                export torvyn:streaming/processor@0.2.0;
            }",
        world: "torvyn:guest-processor/stage-processor",
        with: { "torvyn:streaming/types@0.2.0": crate::bindings::lifecycle::types },
        pub_export_macro: true,
        export_macro_name: "export_processor",
        default_bindings_module: "torvyn_guest::bindings::processor",
        generate_all,
    });
    pub use torvyn::streaming::{attributes, payload_buffer, payload_lease, payload_read, payload_view, payload_write};
}

pub mod source {
    wit_bindgen::generate!({
        path: ".",
        inline: "package torvyn:guest-source; world stage-source { export torvyn:streaming/source@0.2.0; }",
        world: "torvyn:guest-source/stage-source",
        with: { "torvyn:streaming/types@0.2.0": crate::bindings::lifecycle::types },
        pub_export_macro: true,
        export_macro_name: "export_source",
        default_bindings_module: "torvyn_guest::bindings::source",
        generate_all,
    });
}

pub mod sink {
    wit_bindgen::generate!({
        path: ".",
        inline: "package torvyn:guest-sink; world stage-sink { export torvyn:streaming/sink@0.2.0; }",
        world: "torvyn:guest-sink/stage-sink",
        with: { "torvyn:streaming/types@0.2.0": crate::bindings::lifecycle::types },
        pub_export_macro: true,
        export_macro_name: "export_sink",
        default_bindings_module: "torvyn_guest::bindings::sink",
        generate_all,
    });
}
