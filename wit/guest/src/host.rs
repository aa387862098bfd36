//! What a stage asks of the host: of the contract in a component, and of memory when it runs natively. Both have the
//! same names.

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{Held, Lent, Made, Piece, append, emit_all, failure_policy, join};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{Held, Lent, Made, Payloads, Piece, append, emit_all, emitted, failure_policy, join};

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod native;
