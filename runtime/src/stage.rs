//! One running stage: its component, its instance, and the host's side of every import.

pub mod component;
pub mod engine;
pub(crate) mod host;
pub(crate) mod instance;
pub mod log;
mod memory_limit;
mod ticks;
