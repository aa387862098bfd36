//! This process and those that it starts: signals and children.

pub(crate) mod child;
pub(crate) mod interrupt;
