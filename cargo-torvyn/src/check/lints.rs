//! The lints, a file each: its code and default level (`LINT`), what it looks at (`CHECKS`), and its finding. `build.rs` makes
//! the list of them from the folder. Each has a section in the guide, which `output::explanation` reads.

use std::cmp::Reverse;

use torvyn_runtime::Account;
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::payload::PoolUse;

use super::baseline::Loss;
use super::measured::MeasuredStage;
use super::pipeline::Composed;
use super::subject::Subject;
use crate::config::lint_levels::Levels;
use crate::manifest::{Pipeline, Pool, Stage, Wiring};
use crate::output::diagnostic::{Diagnostic, Sources};

// The modules, and `ALL: &[(Lint, &[Check])]`.
include!(concat!(env!("OUT_DIR"), "/lints.rs"));

/// What a lint looks at.
#[derive(Clone, Copy)]
enum Check {
    /// A stage by itself.
    Stage(fn(&Subject, &StageVerdict, &mut Sources) -> Vec<Diagnostic>),
    /// A stage and its budget, which a pipeline can replace.
    Budget(fn(&Subject, &StageVerdict, &mut Sources) -> Vec<Diagnostic>),
    /// A stage in its place in a pipeline.
    Place(fn(&Subject, &StageVerdict, (&Pipeline, &Stage), &mut Sources) -> Option<Diagnostic>),
    /// A pipeline and what its stages copy together.
    Pipeline(fn(&Composed, &Pipeline, &Levels) -> Option<Diagnostic>),
    /// A loss of what a baseline proves.
    Loss(fn(&Loss, &Levels, Option<&Subject>, &mut Sources) -> Option<Diagnostic>),
    /// What a run copied, and the budget of its pipeline.
    RunBudget(fn(&Account, &Pipeline, &Levels) -> Option<Diagnostic>),
    /// How a run used the pool.
    Pool(fn(&PoolUse, &Pool, &Pipeline, &Levels) -> Option<Diagnostic>),
    /// What a stage did in a run.
    RunStage(fn(&MeasuredStage<'_>) -> Option<Diagnostic>),
}

fn checks() -> impl Iterator<Item = Check> {
    ALL.iter().flat_map(|(_, checks)| checks.iter().copied())
}

/// The findings about a stage, errors first.
pub(crate) fn check_stage(subject: &Subject, verdict: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for check in checks() {
        if let Check::Stage(find) | Check::Budget(find) = check {
            found.extend(find(subject, verdict, sources));
        }
    }
    found.sort_by_key(|finding| Reverse(finding.severity));
    found
}

/// The findings about what a stage can copy beyond its budget.
pub(crate) fn check_budget(subject: &Subject, verdict: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for check in checks() {
        if let Check::Budget(find) = check {
            found.extend(find(subject, verdict, sources));
        }
    }
    found
}

/// The findings about a stage, which has been checked by itself, in its place in a pipeline.
pub(crate) fn check_place(
    subject: &Subject,
    verdict: &StageVerdict,
    place: (&Pipeline, &Stage),
    sources: &mut Sources,
) -> Vec<Diagnostic> {
    // A budget in the pipeline is checked again.
    let declares = !place.1.budget.is_empty();
    let mut found = if declares { check_budget(subject, verdict, sources) } else { Vec::new() };
    for check in checks() {
        if let Check::Place(find) = check {
            found.extend(find(subject, verdict, place, sources));
        }
    }
    found
}

/// The findings about a pipeline.
pub(crate) fn check_pipeline(composed: &Composed, pipeline: &Pipeline, levels: &Levels) -> Vec<Diagnostic> {
    let find = |check| match check {
        Check::Pipeline(find) => find(composed, pipeline, levels),
        _ => None,
    };
    checks().filter_map(find).collect()
}

/// The findings about a loss of what a baseline proves of `subject`, or of a pipeline.
pub(crate) fn check_loss(
    loss: &Loss,
    levels: &Levels,
    subject: Option<&Subject>,
    sources: &mut Sources,
) -> Vec<Diagnostic> {
    let mut find = |check| match check {
        Check::Loss(find) => find(loss, levels, subject, sources),
        _ => None,
    };
    checks().filter_map(&mut find).collect()
}

/// The findings about what a run copied beyond the budget of its pipeline.
pub(crate) fn check_run_budget(account: &Account, pipeline: &Pipeline, levels: &Levels) -> Vec<Diagnostic> {
    let find = |check| match check {
        Check::RunBudget(find) => find(account, pipeline, levels),
        _ => None,
    };
    checks().filter_map(find).collect()
}

/// The findings about how a run used the pool.
pub(crate) fn check_pool(used: &PoolUse, pool: &Pool, pipeline: &Pipeline, levels: &Levels) -> Vec<Diagnostic> {
    let find = |check| match check {
        Check::Pool(find) => find(used, pool, pipeline, levels),
        _ => None,
    };
    checks().filter_map(find).collect()
}

/// The findings about what each stage did in a run, at its `levels`.
pub(crate) fn check_run_stages(
    account: &Account,
    pipeline: &Pipeline,
    wiring: &Wiring,
    levels: &[Levels],
) -> Vec<Diagnostic> {
    let find = |stage: &MeasuredStage<'_>, check| match check {
        Check::RunStage(find) => find(stage),
        _ => None,
    };
    let stages = MeasuredStage::all(account, pipeline, wiring, levels);
    stages.iter().flat_map(|stage| checks().filter_map(|check| find(stage, check))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::explanation;

    #[test]
    fn every_lint_has_a_section_in_the_guide_that_states_its_level() {
        let listed = explanation::findings();
        let listed: Vec<_> =
            listed.iter().take(explanation::lints().len()).map(|(code, level, _)| (*code, *level)).collect();
        assert_eq!(listed, ALL.iter().map(|(lint, _)| (lint.code, lint.level.name())).collect::<Vec<_>>());
        assert!(ALL.iter().all(|(_, checks)| !checks.is_empty()));
    }
}
