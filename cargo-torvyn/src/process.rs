//! Signals and child processes.

pub(crate) mod child;
pub(crate) mod interrupt;
