//! What is proven of stages and pipelines, held against what their authors declared: `check`, and `run` before it starts.
//!
//! The life of a check: [`Subject`] gathers what is known of a stage, its settings, the world of its WIT and its built
//! component → `torvyn_runtime::analysis` makes a verdict of it → `stage` holds the verdict against the budget and
//! pushes diagnostics, with `blame` for the lines that copy → `pipeline` composes the verdicts along a pipeline →
//! `report` says it all, to people or to programs → `baseline` compares it with an earlier answer. What only a run can
//! show is found in its account: `measured`.

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
