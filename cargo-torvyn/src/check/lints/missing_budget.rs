//! The stage declares no copy budget.

use torvyn_runtime::analysis::StageVerdict;

use super::Check;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "missing-budget", level: Level::Allow };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

fn find(subject: &Subject, _: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    finding(subject).into_iter().collect()
}

fn finding(subject: &Subject) -> Option<Diagnostic> {
    let settings = subject.settings.as_ref().filter(|_| subject.budget.is_empty())?;
    let finding = subject.levels.finding(LINT, format!("`{}` declares no copy budget", subject.name))?;
    let finding = finding.label(&settings.file, settings.span.clone(), "");
    Some(finding.help("add `[package.metadata.torvyn.budget]` with `reads` and `writes` per element"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::subject::tests::{declared, found};

    #[test]
    fn any_limit_is_a_budget() {
        let finding = |text: &str| found(&declared(&format!("world = 'inspector'\n{text}")), find);
        assert_eq!(finding("lints.missing-budget = 'warn'")[0].message, "`stage` declares no copy budget");
        assert!(finding("lints.missing-budget = 'warn'\nbudget.writes = 0").is_empty());
        assert!(finding("").is_empty());
    }
}
