//! What is told, to people and to programs.

pub(crate) mod codes;
pub(crate) mod console;
pub(crate) mod diagnostic;
pub(crate) mod explanation;
pub(crate) mod failure;
pub(crate) mod findings;
pub(crate) mod programs;
pub(crate) mod progress;
pub(crate) mod run_report;
pub(crate) mod shell;
