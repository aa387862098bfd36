//! Output for people and for programs.

pub(crate) mod bad_component;
mod bar;
pub(crate) mod codes;
mod console;
pub(crate) mod diagnostic;
pub(crate) mod explanation;
pub(crate) mod failure;
pub(crate) mod findings;
pub(crate) mod junit;
pub(crate) mod page;
pub(crate) mod panicked;
pub(crate) mod printable;
pub(crate) mod programs;
pub(crate) mod progress;
mod region;
pub(crate) mod result_file;
pub(crate) mod run_report;
pub(crate) mod shell;
pub(crate) mod timestamp;
pub(crate) mod viewpoint;
