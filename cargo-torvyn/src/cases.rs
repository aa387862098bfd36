//! Cases: pipelines and stages, run on given elements and held against what they are expected to give and to copy.
//!
//! The life of a case: `case` reads it from `Torvyn.toml` or a file of `tests/`, with `element` for elements, `given` for
//! the input, and `expected`, `account` and `failure` for what is expected → [`Plan`] puts the case's ends in the place
//! of those of its pipeline, and judges copies as `check` does → `session` runs the plans of all cases on several threads,
//! each in a flow of its own → `verdict` holds what came against what was expected, and the differences are diagnostics at
//! their places → `report` and `junit` say them.

pub(crate) use case::Case;
pub(crate) use plan::blessing::Blessing;
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
