//! Stages in WebAssembly text, for tests: they can do what no compiler of a language would.
//!
//! [`stage`] has whole stages of every role that run, of which a test replaces parts. [`processor`] has processors that are
//! analysed and never run. [`imports`] is what both import from the host.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its guest has failed")]

pub mod imports;
pub mod processor;
pub mod stage;
