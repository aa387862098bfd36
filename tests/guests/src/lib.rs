//! Stages in WebAssembly text, for tests: they can do what no compiler would generate.
//!
//! [`stage`] has complete, runnable stages of every role, of which a test replaces parts. [`processor`] has processors
//! that are analysed and never run. [`imports`] has what both import from the host.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its guest has failed")]

pub mod imports;
pub mod processor;
pub mod stage;
