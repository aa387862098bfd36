//! Cases: tests that run a pipeline or a stage on given elements and check its output and its copies.
//!
//! How a case runs: `case` parses it from `Torvyn.toml` or a file of `tests/` → [`Draft`] finds its pipeline → [`Plan`]
//! replaces the ends of the pipeline with those of the case, and checks copy budgets as `check` does → [`Runner`] runs
//! the plans of all cases on several threads, each in a flow of its own → `compare` compares the actual elements with the
//! expected ones, and differences become diagnostics at their places → `report` prints them.

pub(crate) use case::Case;
pub(crate) use plan::blessed_files::BlessedFiles;
pub(crate) use plan::fingerprint::{Common, Fingerprint};
pub(crate) use plan::schedules::Schedules;
pub(crate) use plan::{Draft, Plan};
pub(crate) use report::{CaseLine, ListLine, Summary, Tally};
pub(crate) use run::Outcome;
pub(crate) use run::runner::Runner;

pub(crate) mod case;
mod compare;
mod plan;
pub(crate) mod report;
mod run;
#[cfg(test)]
pub(crate) mod tests;
