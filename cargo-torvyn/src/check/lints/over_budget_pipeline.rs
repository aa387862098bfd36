//! An element can be copied more often on its way through the pipeline than the pipeline's budget allows, or all stages
//! together can copy, or copied in a run, more bytes per byte that enters.

use torvyn_runtime::Account;
use torvyn_runtime::analysis::Interval;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::contract::{Bound, Bounds};

use super::Check;
use crate::check::pipeline::Composed;
use crate::config::lint::{Level, Lint};
use crate::config::lint_levels::Levels;
use crate::manifest::Pipeline;
use crate::output::diagnostic::{Diagnostic, quoted};

pub(super) const LINT: Lint = Lint { code: "over-budget-pipeline", level: Level::Deny };
pub(super) const CHECKS: &[Check] =
    &[Check::Pipeline(find_copies), Check::Pipeline(find_amplification), Check::RunBudget(find_in_run)];

fn find_copies(composed: &Composed, pipeline: &Pipeline, levels: &Levels) -> Option<Diagnostic> {
    let budget = pipeline.budget.copies.as_ref()?;
    if composed.copies.is_some_and(|copies| copies <= u64::from(budget.value)) {
        return None;
    }
    let how_often = match composed.copies {
        Some(copies) => format!("can be copied {} on its path", counted(copies, "time")),
        None => "can be copied any number of times on its path".to_string(),
    };
    let name = &pipeline.name;
    let message = format!("an element of pipeline `{name}` {how_often}, but its budget allows {}", budget.value);
    let mut finding = levels.finding(LINT, message)?;
    finding = finding.label(&budget.file, budget.entry.clone(), "the budget");
    finding = composed.label_stages(finding, pipeline).note(format!("the path is {}", composed.path.join(" → ")));
    finding = composed.note_retries(finding, pipeline);
    Some(finding.help(match composed.copies {
        Some(copies) => format!("{}, or allow it: `copies = {copies}`", suggest_fewer_copies(composed, pipeline)),
        None => suggest_bounds(composed, pipeline),
    }))
}

fn find_amplification(composed: &Composed, pipeline: &Pipeline, levels: &Levels) -> Option<Diagnostic> {
    let budget = pipeline.budget.amplification.as_ref()?;
    let Interval { min, max } = composed.amplification;
    if min <= budget.value && max.is_none_or(|max| max <= budget.value) {
        return None;
    }
    let message = format!(
        "the amplification of `{}` {}, but its budget allows {:.2}×",
        pipeline.name,
        describe(composed.amplification),
        budget.value
    );
    let finding = levels.finding(LINT, message)?.label(&budget.file, budget.entry.clone(), "the budget");
    let finding = composed.note_retries(composed.label_stages(finding, pipeline), pipeline);
    Some(match max {
        Some(max) => {
            let less = suggest_fewer_copies(composed, pipeline).replace(" on the path", "");
            finding.help(format!("{less}, or allow it: `amplification = {max:?}`"))
        }
        None => finding,
    })
}

fn find_in_run(account: &Account, pipeline: &Pipeline, levels: &Levels) -> Option<Diagnostic> {
    let budget = pipeline.budget.amplification.as_ref()?;
    let measured = account.amplification.filter(|measured| *measured > budget.value)?;
    let message = format!(
        "the amplification of `{}` was {measured:.2}×, but its budget allows {:.2}×",
        pipeline.name, budget.value
    );
    let finding = levels.finding(LINT, message)?;
    Some(finding.label(&budget.file, budget.entry.clone(), "the budget"))
}

/// The amplification as a phrase.
fn describe(amplification: Interval) -> String {
    match (amplification.min, amplification.max) {
        (min, Some(max)) if min == max => format!("is {max:.2}×"),
        (0.0, Some(max)) => format!("can be up to {max:.2}×"),
        (min, Some(max)) => format!("can be from {min:.2}× to {max:.2}×"),
        (min, None) => format!("is at least {min:.2}×"),
    }
}

/// Suggests how to copy less.
fn suggest_fewer_copies(composed: &Composed, pipeline: &Pipeline) -> String {
    let in_batches = composed.stages.iter().filter(|(stage, node)| {
        let policy = pipeline.stages[*stage].on_failure.policy;
        let copies = node.bounds.reads.max != Some(0) || node.bounds.writes.max != Some(0);
        copies && node.calls.is_some_and(|calls| calls > policy.calls(1))
    });
    let names: Vec<_> = in_batches.map(|(stage, _)| pipeline.stages[*stage].name.as_str()).collect();
    if names.is_empty() {
        return "copy less on the path".to_string();
    }
    format!("copy less on the path, lend {} one element per call (`batch = 1`)", quoted(&names))
}

/// Suggests how to bound the unbounded stages on the path. A written payload is another element, on its own path: so only
/// writing piece by piece is unbounded.
fn suggest_bounds(composed: &Composed, pipeline: &Pipeline) -> String {
    let without = |of: fn(&Bounds) -> Bound| -> Vec<&str> {
        let unbounded = composed.stages.iter().filter(|(_, node)| of(&node.bounds).max.is_none());
        unbounded.map(|(stage, _)| pipeline.stages[*stage].name.as_str()).collect()
    };
    let reads = ("reads", without(|bounds| bounds.reads));
    let writes = ("writes", without(|bounds| bounds.pieces));
    let keys = [reads, writes].into_iter().filter(|(_, names)| !names.is_empty());
    let keys = keys.map(|(key, names)| format!("{} a bound that the host can enforce: `{key} = 1`", quoted(&names)));
    let keys = keys.collect::<Vec<_>>().join(", and ");
    if keys.is_empty() {
        return suggest_no_restarts(composed, pipeline);
    }
    format!("give {keys}")
}

/// Suggests how to bound stages that hold elements and are lent them again.
fn suggest_no_restarts(composed: &Composed, pipeline: &Pipeline) -> String {
    let holding = composed.stages.iter().filter(|(_, node)| node.calls.is_none());
    let names: Vec<_> = holding.map(|(stage, _)| pipeline.stages[*stage].name.as_str()).collect();
    let names = quoted(&names);
    format!("remove `on-failure` from {names}: after every restart, a stage is lent again what it holds")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use torvyn_runtime::pipeline::graph::Role;

    use super::*;
    use crate::check::subject::tests::declared;
    use crate::manifest::Manifest;

    /// What is found in a pipeline of one stage, which declares this, with this budget.
    fn found(stage: &str, of_pipeline: &str) -> Vec<Diagnostic> {
        let text = format!("[pipeline.main]\nstages = ['stage']\nbudget = {of_pipeline}\n");
        let manifest = Manifest::parse(&text, Path::new("Torvyn.toml")).unwrap();
        let pipeline = manifest.select(None).unwrap();
        let verdict = declared(stage).verdict().unwrap();
        let composed = Composed::new(pipeline, &pipeline.wire(&[Role::Processor]).unwrap(), &[verdict]);
        let find = [find_copies, find_amplification];
        find.into_iter().filter_map(|find| find(&composed, pipeline, &Levels::default())).collect()
    }

    #[test]
    fn suggests_what_to_allow_or_to_bound() {
        let over = found("world = 'transform'\nbudget = { reads = 1, writes = 1 }", "{ copies = 1 }");
        let message = "an element of pipeline `main` can be copied 2 times on its path, but its budget allows 1";
        assert_eq!((over.len(), over[0].message.as_str()), (1, message));
        assert_eq!(over[0].help.as_deref(), Some("copy less on the path, or allow it: `copies = 2`"));
        let unbounded = found("world = 'transform'\nbudget.writes = 1", "{ copies = 1 }");
        let help = "give `stage` a bound that the host can enforce: `reads = 1`";
        assert_eq!(unbounded[0].help.as_deref(), Some(help));
        assert!(found("world = 'transform'\nbudget = { reads = 1, writes = 1 }", "{ copies = 2 }").is_empty());
    }

    #[test]
    fn compares_the_amplification() {
        let over = found("world = 'inspector'\nbudget.reads = 3", "{ amplification = 2.0 }");
        let message = "the amplification of `main` can be up to 3.00×, but its budget allows 2.00×";
        assert_eq!((over.len(), over[0].message.as_str()), (1, message));
        assert_eq!(describe(Interval { min: 1.0, max: Some(1.0) }), "is 1.00×");
        assert_eq!(describe(Interval { min: 1.0, max: None }), "is at least 1.00×");
    }
}
