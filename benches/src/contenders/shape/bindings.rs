//! One module a world. The first makes the types, the others use them, so that an element moves from the source's world
//! to the sink's without a conversion.

pub(super) mod data_source {
    wasmtime::component::bindgen!({
        path: "../tests/shape/wit",
        world: "data-source",
        imports: { default: trappable },
        with: {
            "baseline:streaming/types.buffer": crate::contenders::shape::host::Buffer,
            "baseline:streaming/types.mutable-buffer": crate::contenders::shape::host::MutableBuffer,
            "baseline:streaming/types.flow-context": crate::contenders::shape::host::FlowContext,
        },
    });
}

pub(super) mod transform {
    wasmtime::component::bindgen!({
        path: "../tests/shape/wit",
        world: "transform",
        with: {
            "baseline:streaming/types": super::data_source::baseline::streaming::types,
            "baseline:streaming/buffer-allocator": super::data_source::baseline::streaming::buffer_allocator,
        },
    });
}

pub(super) mod filter {
    wasmtime::component::bindgen!({
        path: "../tests/shape/wit",
        world: "content-filter",
        with: { "baseline:streaming/types": super::data_source::baseline::streaming::types },
    });
}

pub(super) mod data_sink {
    wasmtime::component::bindgen!({
        path: "../tests/shape/wit",
        world: "data-sink",
        with: { "baseline:streaming/types": super::data_source::baseline::streaming::types },
    });
}
