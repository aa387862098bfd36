//! The stage's world allows copies that its budget forbids, and nothing proves that the stage does not make them.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{Payloads, World};

use super::Check;
use crate::check::budget_kind::{BudgetKind, describe_limit, over_budget};
use crate::check::labels::{label_interfaces, label_world, short};
use crate::check::subject::Subject;
use crate::config::budget::Budget;
use crate::config::lint::{Level, Lint};
use crate::config::spanned::Declared;
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "over-budget-contract", level: Level::Deny };
pub(super) const CHECKS: &[Check] = &[Check::Budget(find)];

fn find(subject: &Subject, verdict: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    if subject.analysis.is_some() {
        return Vec::new();
    }
    let over = over_budget(verdict, &subject.budget);
    over.filter_map(|(kind, _, limit)| finding(subject, kind, limit)).collect()
}

fn finding(subject: &Subject, kind: BudgetKind, limit: &Declared<u32>) -> Option<Diagnostic> {
    let contract = subject.contract.as_ref()?;
    let message = format!(
        "world `{}` lets `{}` {} payloads, but its budget allows {}",
        short(&contract.world),
        subject.name,
        kind.verb,
        describe_limit(limit.value)
    );
    let mut finding = subject.levels.finding(LINT, message)?;
    finding = finding.label(&limit.file, limit.entry.clone(), "the budget");
    finding = label_world(finding, subject, "the world");
    finding = label_interfaces(finding, contract, kind.interfaces);
    let forbidden = forbidden(&subject.budget);
    let keeps = |without: Payloads| {
        let fits = World::narrowest(contract.kind, contract.payloads.without(without));
        (fits.payloads().without(forbidden) == fits.payloads()).then_some(fits)
    };
    // No world slices and holds without reading: then suggest one without slicing.
    let fits = keeps(forbidden).or_else(|| keeps(Payloads { view: true, ..forbidden }));
    let narrower = fits.map_or(String::new(), |fits| format!("declare the world `{fits}`, or "));
    Some(finding.help(format!(
        "{narrower}check the component, which may use less than its world allows: `cargo torvyn check --built`"
    )))
}

/// What the budget forbids. Only a world that keeps the whole budget is suggested: any other would break another part of it.
fn forbidden(budget: &Budget) -> Payloads {
    let forbids = |budget: &Option<Declared<u32>>| budget.as_ref().is_some_and(|budget| budget.value == 0);
    Payloads {
        read: forbids(&budget.reads),
        write: forbids(&budget.writes),
        buffer: forbids(&budget.writes),
        lease: forbids(&budget.leases),
        ..Payloads::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::subject::tests::{declared, found};

    #[test]
    fn suggests_a_world_that_keeps_the_budget() {
        let finding = |text: &str| found(&declared(text), find);
        let of_transform = finding("world = 'transform'\nbudget = { reads = 1, writes = 0 }");
        assert_eq!(
            of_transform[0].message,
            "world `transform` lets `stage` write payloads, but its budget allows none"
        );
        assert!(of_transform[0].help.as_ref().unwrap().starts_with("declare the world `inspector`, or check"));
        assert_eq!(finding("world = 'transform'\nbudget = { reads = 0, writes = 0 }").len(), 2);
        // Nothing bounds the reads of a world, but the host counts them.
        assert!(finding("world = 'transform'\nbudget = { reads = 1, writes = 1 }").is_empty());
        assert!(finding("world = 'router'\nbudget = { reads = 0, writes = 0 }").is_empty());
    }
}
