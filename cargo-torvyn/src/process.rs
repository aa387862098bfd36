//! Signals, child processes, and the memory of this process.

pub(crate) mod child;
pub(crate) mod interrupt;
pub(crate) mod memory;
