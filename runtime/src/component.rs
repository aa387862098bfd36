//! Reads what a component is from its binary, and compiles it to machine code. Nothing in this room runs a component.

pub mod compile;
pub(crate) mod debug_info;
pub(crate) mod outline;
pub mod profile;
pub mod strip;
