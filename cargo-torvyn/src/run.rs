//! Runs a pipeline: loads its components, with the compile cache, and writes the files of its records and dead letters.

pub(crate) mod compile_cache;
pub(crate) mod components;
pub(crate) mod dead_letters;
pub(crate) mod records;
pub(crate) mod run_pipeline;
