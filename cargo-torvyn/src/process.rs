//! This process and those that it starts: signals, children, panics.

pub(crate) mod child;
pub(crate) mod interrupt;
pub(crate) mod panicked;
