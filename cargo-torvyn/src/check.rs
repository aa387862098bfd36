//! Compares what is proven of stages and pipelines with what their authors declared: for `check`, and for `run` before it
//! starts.
//!
//! How a check runs: [`Subject`] gathers what is known of a stage (its settings, the world of its WIT, its built
//! component) → `torvyn_runtime::analysis` computes a verdict → `pipeline` composes the verdicts along a pipeline → `lints`
//! compare both with the budgets and make diagnostics, `replicas` asks whether stages with several instances are stateless,
//! `delivery` what reaches the outputs however a run ends, and `blame` labels the lines that copy → `report` prints the result for
//! people or for programs → `baseline` compares the result with a saved one. After a run, `lints` also look at what it
//! measured.

pub(crate) use baseline::{Baseline, SavedStage};
pub(crate) use delivery::Delivery;
pub(crate) use pipeline::Composed;
pub(crate) use replicas::check_replicas;
pub(crate) use subject::Subject;

pub(crate) mod baseline;
mod blame;
mod budget_kind;
mod delivery;
mod labels;
pub(crate) mod lints;
mod measured;
mod pipeline;
mod replicas;
pub(crate) mod report;
mod subject;

#[cfg(test)]
pub(crate) use subject::tests::codes as subject_codes;
