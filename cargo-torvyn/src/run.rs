//! One run of a pipeline: its components, and the files that it writes.

pub(crate) mod components;
pub(crate) mod dead_letters;
pub(crate) mod records;
pub(crate) mod run_pipeline;
