//! Cases: pipelines and stages, run on given elements and held against what they are expected to give and to copy.
//!
//! The life of a case: `case` reads it from `Torvyn.toml` or a file of `tests/`, with `element` for elements, `given` for
//! the input, and `expected`, `account` and `failure` for what is expected → [`Plan`] puts the case's ends in the place
//! of those of its pipeline, and judges copies as `check` does → `session` runs the plans of all cases on several threads,
//! each in a flow of its own → `verdict` holds what came against what was expected, and the differences are diagnostics at
//! their places → `report` and `junit` say them.

pub(crate) use basis::{Basis, Common};
pub(crate) use blessing::Blessing;
pub(crate) use case::Case;
pub(crate) use plan::{Draft, Plan};
pub(crate) use report::{CaseLine, ListLine, Summary, Tally};
pub(crate) use run::Outcome;
pub(crate) use schedules::Schedules;
pub(crate) use session::Session;

mod account;
mod amount;
mod arrivals;
mod basis;
mod blessing;
mod case;
mod collected;
mod decimal;
mod diff;
mod element;
mod entries;
mod expected;
mod failure;
mod fault;
pub(crate) mod files;
mod given;
#[cfg(test)]
mod invariant;
mod json;
pub(crate) mod junit;
mod letters;
mod literal;
mod metadata;
mod part;
mod pattern;
mod plan;
pub(crate) mod report;
mod run;
mod schedules;
mod schema;
mod search;
mod session;
mod speed;
#[cfg(test)]
pub(crate) mod tests;
mod wanted;
