//! Measures a pipeline: in rounds in which it takes turns with a native pass and with one process per stage, and in rounds of
//! their own for latencies. Reads the input of the pipeline, and never writes its outputs.

pub(crate) mod baseline;
pub(crate) mod latency;
pub(crate) mod measure;
pub(crate) mod native;
pub(crate) mod page;
pub(crate) mod processes;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod stage_process;
pub(crate) mod statistics;
pub(crate) mod workload;
