//! Counts the results of cases, and prints each as a line of JSON.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use torvyn_runtime::Account;
use torvyn_runtime::base::plural::counted;

use crate::cases::case::Case;
use crate::cases::plan::Draft;
use crate::cases::run::Outcome;
use crate::cases::run::speed::Speed;
use crate::output::codes;
use crate::output::diagnostic::Sources;
use crate::output::failure::FailureRecord;
use crate::output::findings::Finding;
use crate::output::programs::{lossy, lossy_all};
use crate::output::viewpoint::Viewpoint;

pub(crate) mod junit;

/// The number of cases by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Cases that were selected.
    pub(crate) selected: usize,
    /// Cases that passed.
    pub(crate) passed: usize,
    /// Passed cases that failed at first.
    pub(crate) flaky: usize,
    /// Cases that failed.
    pub(crate) failed: usize,
}

impl Tally {
    /// Counts an outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        if outcome.interrupted {
            return;
        }
        if outcome.found.is_empty() {
            self.passed += 1
        } else {
            self.failed += 1
        }
        self.flaky += usize::from(outcome.is_flaky());
    }

    /// Cases that did not run, or not to their end.
    fn not_run(&self) -> usize {
        self.selected - self.passed - self.failed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} passed", counted(self.selected as u64, "case"), self.passed)?;
        if self.flaky > 0 {
            write!(f, " ({} flaky)", self.flaky)?;
        }
        for (count, what) in [(self.failed, "failed"), (self.not_run(), "not run")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// The line of `test --message-format json` for a case.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "case-finished")]
pub(crate) struct CaseLine<'a> {
    name: &'a str,
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    outcome: &'static str,
    attempt: usize,
    time_ns: u64,
    seed: Option<u64>,
    random_seed: u64,
    findings: Vec<Finding>,
    failure: Option<&'a FailureRecord>,
    log: Vec<LogLine<'a>>,
    #[serde(serialize_with = "lossy_all")]
    blessed: &'a [PathBuf],
    account: Option<&'a Account>,
    speed: Option<&'a Speed>,
    failed_attempts: Vec<Attempt<'a>>,
}

/// A failed attempt.
#[derive(Serialize)]
struct Attempt<'a> {
    time_ns: u64,
    findings: Vec<Finding>,
    failure: Option<&'a FailureRecord>,
    log: Vec<LogLine<'a>>,
}

/// The line of `test --list --message-format json` for a case.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "case-listed")]
pub(crate) struct ListLine<'a> {
    name: &'a str,
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    /// The packages of the workspace that it runs.
    packages: Vec<&'a str>,
}

#[derive(Serialize)]
struct LogLine<'a> {
    stage: &'a str,
    text: &'a str,
}

/// The fields of the last line of `test --message-format json`, besides the outcome.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    tally: Tally,
    not_run: usize,
    wall_ns: u64,
}

impl<'a> CaseLine<'a> {
    /// The line for a finished case; `sources` has the texts of its places.
    pub(crate) fn new(case: &'a Case, outcome: &'a Outcome, sources: &Sources) -> CaseLine<'a> {
        let attempt = |failed: &'a Outcome| Attempt {
            time_ns: ns(failed.time),
            findings: findings(failed, sources),
            failure: failed.failure.as_ref(),
            log: log(failed),
        };
        CaseLine {
            name: &case.name,
            file: &case.file,
            outcome: outcome.name(),
            attempt: outcome.attempt(),
            time_ns: ns(outcome.time),
            seed: outcome.seed,
            random_seed: outcome.random_seed,
            findings: findings(outcome, sources),
            failure: outcome.failure.as_ref(),
            log: log(outcome),
            blessed: &outcome.blessed,
            account: outcome.account.as_ref(),
            speed: outcome.speed.as_ref(),
            failed_attempts: outcome.failed.iter().map(attempt).collect(),
        }
    }
}

fn findings(outcome: &Outcome, sources: &Sources) -> Vec<Finding> {
    outcome.found.iter().map(|diagnostic| Finding::new(diagnostic, sources)).collect()
}

/// The findings of a case as failures of the command. The finding of a failed flow has its stage, elements and causes.
pub(crate) fn failures(case: &Case, outcome: &Outcome, sources: &Sources) -> Vec<FailureRecord> {
    let found = outcome.found.iter().filter_map(|found| {
        let seen = Viewpoint::default();
        let mut record = FailureRecord::from_diagnostic(found, sources, &seen)?;
        record.case = Some(case.name.clone());
        if let Some(failure) = outcome.failure.as_ref().filter(|_| found.code == codes::UNEXPECTED_FAILURE) {
            record.add_cause(failure);
        }
        Some(record)
    });
    found.collect()
}

fn log(outcome: &Outcome) -> Vec<LogLine<'_>> {
    outcome.log.iter().map(|(stage, text)| LogLine { stage, text }).collect()
}

impl<'a> ListLine<'a> {
    /// The line for a listed case.
    pub(crate) fn new(draft: &'a Draft<'_>) -> ListLine<'a> {
        ListLine { name: &draft.case.name, file: &draft.case.file, packages: draft.packages() }
    }
}

impl Summary {
    /// The summary of a session that took this long.
    pub(crate) fn new(tally: Tally, took: Duration) -> Summary {
        Summary { tally, not_run: tally.not_run(), wall_ns: ns(took) }
    }
}

impl Outcome {
    fn name(&self) -> &'static str {
        match (self.interrupted, self.found.is_empty()) {
            (true, _) => "interrupted",
            (false, true) if self.is_flaky() => "flaky",
            (false, true) => "passed",
            (false, false) => "failed",
        }
    }
}

/// A duration in nanoseconds, as reports have it.
pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
