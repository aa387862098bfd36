//! The host functions: those of the contract in a component, and a stand-in in memory for native tests. Both modules
//! define the same names.

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{HostBuffer, HostLease, HostOutput, Lent, append, emit_all, failure_policy, join};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{
    HostBuffer, HostLease, HostOutput, Lent, Payloads, append, emit_all, failure_policy, into_emitted, join,
};

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod native;
