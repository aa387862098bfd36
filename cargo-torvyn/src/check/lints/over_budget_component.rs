//! The built component can copy more often than its stage's budget allows.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::contract::{Bound, Kind};

use super::Check;
use crate::check::blame::blame;
use crate::check::budget_kind::{BudgetKind, HOLDS, describe_limit, over_budget};
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::config::spanned::Declared;
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "over-budget-component", level: Level::Deny };
pub(super) const CHECKS: &[Check] = &[Check::Budget(find)];

fn find(subject: &Subject, verdict: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    let over = over_budget(verdict, &subject.budget);
    over.filter_map(|(kind, bound, limit)| finding(subject, kind, bound, limit, sources)).collect()
}

fn finding(
    subject: &Subject,
    kind: BudgetKind,
    bound: Bound,
    limit: &Declared<u32>,
    sources: &mut Sources,
) -> Option<Diagnostic> {
    let BudgetKind { verb, key, imports, .. } = kind;
    let analysis = subject.analysis.as_ref()?;
    let how_often = match bound.max {
        Some(0) => format!("can {verb} payloads in a call that traps"),
        Some(max) => format!("can {verb} {}", describe_count(verb, analysis.profile.kind, max)),
        None => format!("can {verb} payloads"),
    };
    let message = format!("`{}` {how_often}, but its budget allows {}", subject.name, describe_limit(limit.value));
    let mut finding = subject.levels.finding(LINT, message)?;
    finding = finding.label(&limit.file, limit.entry.clone(), "the budget");
    finding = blame(finding, &analysis.sites, imports, subject.folder().as_deref(), sources);
    if bound.max.is_none() && verb != HOLDS.verb {
        finding.notes.extend(analysis.weaker.iter().map(|why| format!("no bound can be proven: {why}")));
    }
    let allow = format!("or allow it: `{key} = {}`", bound.max.unwrap_or(1).max(1));
    Some(finding.help(match limit.value {
        0 => format!("do not {verb} payloads, {allow}"),
        _ => format!("{verb} less often, {allow}"),
    }))
}

/// What a stage can do at most, as a phrase.
fn describe_count(verb: &str, kind: Kind, max: u32) -> String {
    let times = if max == 1 { "once".to_string() } else { counted(u64::from(max), "time") };
    match (verb, kind) {
        ("write", Kind::Source) => "the elements it makes".to_string(),
        ("write", _) if max == 1 => "a payload for each element".to_string(),
        ("write", _) => format!("{} for each element", counted(u64::from(max), "payload")),
        _ => format!("an element {times}"),
    }
}

#[cfg(test)]
mod tests {
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, found};

    #[test]
    fn says_how_often_and_what_to_allow() {
        let reads = Guest { process: "(call $look (local.get $batch) (i32.const 0))", ..Guest::default() }.build();
        let finding = |budget: &str| found(&built(&format!("world = 'transform'\nbudget = {budget}"), &reads), find);
        let over = finding("{ reads = 0 }");
        assert_eq!(over[0].message, "`stage` can read an element once, but its budget allows none");
        assert_eq!(over[0].help.as_deref(), Some("do not read payloads, or allow it: `reads = 1`"));
        assert!(finding("{ reads = 1, writes = 0, leases = 0 }").is_empty());
        assert_eq!(describe_count("write", Kind::Source, 7), "the elements it makes");
        assert_eq!(describe_count("write", Kind::Processor, 2), "2 payloads for each element");
    }
}
