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

mod compiler;
mod complexity;
mod machine_code;

use std::time::Duration;

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The process that compiled it was refused memory.
    #[error(
        "compiling it takes more than the {} of memory that it may; `limits.compile-memory` of the stage sets how much",
        mebibytes(*limit)
    )]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The process that compiled it was ended.
    #[error(
        "compiling it takes more than the {limit:?} of processor time that it may; `limits.compile-time` of the stage sets how \
         much"
    )]
    Time {
        /// The limit, in processor time.
        limit: Duration,
    },
    /// It is beyond what is compiled without a process that can be stopped.
    #[error("it is too complex to compile here: {0}")]
    Complex(String),
    /// The process that compiled it could not be started, or ended in some other way.
    #[error("the process that compiles it {0}")]
    Process(String),
    /// The engine refused it.
    #[error("{0}")]
    Refused(String),
}

/// Bytes as people read them.
fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 30) {
        format!("{} GiB", bytes >> 30)
    } else if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}
