//! The stage can hold payloads beyond the call, and its budget does not limit leases.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::full_name;

use super::Check;
use crate::check::blame::blame;
use crate::check::budget_kind::HOLDS;
use crate::check::labels::label_imports;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::manifest::{Pipeline, Stage};
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "retains-without-lease-budget", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find), Check::Place(find_in_pipeline)];

fn find(subject: &Subject, verdict: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    // The budget of a component file comes from its pipeline.
    let of_package = subject.settings.as_ref().and_then(|_| finding(subject, verdict, sources));
    of_package.into_iter().collect()
}

fn find_in_pipeline(
    subject: &Subject,
    verdict: &StageVerdict,
    (pipeline, stage): (&Pipeline, &Stage),
    sources: &mut Sources,
) -> Option<Diagnostic> {
    if subject.settings.is_some() {
        return None;
    }
    Some(finding(subject, verdict, sources)?.label(&pipeline.file, stage.place(), "this stage"))
}

fn finding(subject: &Subject, verdict: &StageVerdict, sources: &mut Sources) -> Option<Diagnostic> {
    if !verdict.retains || subject.budget.leases.is_some() {
        return None;
    }
    let message = format!("`{}` can hold payloads beyond the call, but its budget does not limit leases", subject.name);
    let finding = subject.levels.finding(LINT, message)?;
    let mut finding = label_imports(finding, subject, &[&full_name("payload-lease")]);
    if let Some(analysis) = &subject.analysis {
        finding = blame(finding, &analysis.sites, HOLDS.imports, subject.folder().as_deref(), sources);
    }
    Some(finding.help("set a limit: `leases = 1000`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::subject::tests::{declared, found};

    #[test]
    fn a_limit_of_leases_is_enough() {
        let finding = |text: &str| found(&declared(text), find);
        let holds = finding("world = 'holder'\nbudget.reads = 1");
        assert_eq!(holds[0].message, "`stage` can hold payloads beyond the call, but its budget does not limit leases");
        assert_eq!(holds[0].help.as_deref(), Some("set a limit: `leases = 1000`"));
        assert!(finding("world = 'holder'\nbudget.leases = 9").is_empty());
        assert!(finding("world = 'inspector'").is_empty());
    }
}
