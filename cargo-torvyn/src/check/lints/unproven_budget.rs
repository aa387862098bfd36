//! Nothing proves that the stage, or the pipeline, stays within its budget; the host counts at run time.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::Proof;

use super::Check;
use crate::check::pipeline::Composed;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::config::lint_levels::Levels;
use crate::config::spanned::Declared;
use crate::manifest::Pipeline;
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "unproven-budget", level: Level::Allow };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find), Check::Pipeline(find_in_pipeline)];

fn find(subject: &Subject, verdict: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    let budget = &subject.budget;
    let limited = [("read", verdict.reads, &budget.reads), ("write", verdict.writes, &budget.writes)].into_iter();
    let enforced = limited.filter(|(_, bound, _)| bound.proof == Some(Proof::Enforced));
    enforced.filter_map(|(verb, _, limit)| finding(subject, verb, limit.as_ref()?)).collect()
}

fn finding(subject: &Subject, verb: &str, limit: &Declared<u32>) -> Option<Diagnostic> {
    let message = format!("nothing proves that `{}` keeps its budget of {verb}s; the host counts them", subject.name);
    let mut finding = subject.levels.finding(LINT, message)?;
    finding = finding.label(&limit.file, limit.entry.clone(), "");
    match &subject.analysis {
        Some(analysis) => finding.notes.extend(analysis.weaker.iter().cloned()),
        None => finding.help = Some("the component may prove it: `cargo torvyn check --built`".to_string()),
    }
    Some(finding)
}

fn find_in_pipeline(composed: &Composed, pipeline: &Pipeline, levels: &Levels) -> Option<Diagnostic> {
    let budget = pipeline.budget.amplification.as_ref()?;
    if composed.amplification.max.is_some() || composed.amplification.min > budget.value {
        return None;
    }
    let message = format!("nothing proves that `{}` keeps its amplification budget", pipeline.name);
    let finding = levels.finding(LINT, message)?.label(&budget.file, budget.entry.clone(), "the budget");
    let finding = composed.note_retries(composed.label_stages(finding, pipeline), pipeline);
    Some(finding.note(format!("{}; `run` checks the budget at its end", composed.why_unbounded)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::subject::tests::{declared, found};

    #[test]
    fn a_world_that_reads_proves_no_limit_of_reads() {
        let finding = |budget: &str| {
            let text = format!("world = 'inspector'\nbudget = {budget}\nlints.unproven-budget = 'warn'");
            found(&declared(&text), find)
        };
        let unproven = finding("{ reads = 2, writes = 0 }");
        let messages: Vec<_> = unproven.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, ["nothing proves that `stage` keeps its budget of reads; the host counts them"]);
        assert!(finding("{ writes = 0 }").is_empty());
    }
}
