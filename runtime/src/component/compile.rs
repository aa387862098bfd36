//! Compiles components within limits of time and memory.
//!
//! Wasmtime promises nothing about the time and memory that compiling takes: a component of 300 KiB can take gigabytes.
//! So a component compiles in this process only if [`Complexity`] shows that it is cheap. All others compile in a
//! compiler process, which [`Compiler`] starts: it limits itself before it reads the component, and is killed when it
//! times out. `machine_code` is what comes back, and what [`Cache`] keeps for another start. A caller without a compiler process, as in `#[test]` functions, is
//! refused components that are too complex to compile unlimited.

pub use cache::{Cache, Removed};
pub use compiler::{Compiler, serve};
pub use complexity::Complexity;
pub(crate) use machine_code::MachineCode;
pub(crate) use settings::{FEATURES, new_engine};

mod cache;
mod compiler;
mod complexity;
mod instances;
mod machine_code;
mod settings;
