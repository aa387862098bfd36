//! What a component is, read from its binary, and its machine code. Nothing in this room runs a component.

pub mod compile;
pub(crate) mod outline;
pub mod profile;
pub mod strip;
