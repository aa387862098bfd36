//! Compares what is proven of stages and pipelines with what their authors declared: for `check`, and for `run` before it
//! starts.
//!
//! How a check runs: [`Subject`] gathers what is known of a stage (its settings, the world of its WIT, its built
//! component) → `torvyn_runtime::analysis` computes a verdict → `stage` compares the verdict with the budget and pushes
//! diagnostics, and `blame` labels the lines that copy → `pipeline` composes the verdicts along a pipeline → `report`
//! prints the result for people or for programs → `baseline` compares the result with a saved one. `measured` reports
//! what only a run can show, from the run's account.

pub(crate) use baseline::{Baseline, SavedStage};
pub(crate) use measured::{measured_findings, measured_over_budget, measured_pool};
pub(crate) use pipeline::Composed;
pub(crate) use subject::Subject;

pub(crate) mod baseline;
mod blame;
mod measured;
mod pipeline;
pub(crate) mod report;
mod stage;
mod subject;
mod uses;

#[cfg(test)]
pub(crate) use subject::tests::codes as subject_codes;
