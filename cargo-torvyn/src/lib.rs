//! The `cargo torvyn` plugin: it knows people, their files and their terminal; `torvyn-runtime` knows the flows.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed"))]

pub mod diagnostic;
pub mod manifest;
