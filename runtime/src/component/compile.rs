//! Compiling components where it can be stopped.
//!
//! Wasmtime promises nothing about the time and the memory that compiling takes: a component of 300 KiB can take gigabytes.
//! So a component compiles in this process only where [`Complexity`] shows that it is cheap. Any other compiles in a process
//! of its own, which [`Compiler`] starts, which sets its own limits before it looks at the component, and which is killed at
//! the end of its time. `machine_code` is what comes back. A caller that has no such process, as in `#[test]` functions, is
//! refused components that are too complex for any use.

pub use compiler::{Compiler, serve};
pub use complexity::Complexity;
pub(crate) use machine_code::MachineCode;
pub(crate) use settings::{FEATURES, new_engine};

mod compiler;
mod complexity;
mod instances;
mod machine_code;
mod settings;
