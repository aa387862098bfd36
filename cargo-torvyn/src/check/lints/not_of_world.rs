//! The built component imports something that the declared world of its stage does not have, or has another role.

use torvyn_runtime::analysis::{Analysis, Contract, StageVerdict};
use torvyn_runtime::contract::TrackedImport;

use super::Check;
use crate::check::blame::blame;
use crate::check::labels::{interface_names, label_world, short};
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources, quoted};

pub(super) const LINT: Lint = Lint { code: "not-of-world", level: Level::Deny };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

fn find(subject: &Subject, _: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    let (Some(contract), Some(analysis)) = (&subject.contract, &subject.analysis) else { return Vec::new() };
    let finding = match contract.kind == analysis.profile.kind {
        true => more_imports(subject, contract, analysis, sources),
        false => another_kind(subject, contract, analysis),
    };
    finding.into_iter().collect()
}

fn another_kind(subject: &Subject, contract: &Contract, analysis: &Analysis) -> Option<Diagnostic> {
    let message = format!(
        "the component of `{}` is a {}, but world `{}` is for a {}",
        subject.name,
        analysis.profile.kind,
        short(&contract.world),
        contract.kind
    );
    Some(label_world(subject.levels.finding(LINT, message)?, subject, "the declared world"))
}

fn more_imports(
    subject: &Subject,
    contract: &Contract,
    analysis: &Analysis,
    sources: &mut Sources,
) -> Option<Diagnostic> {
    let profile = &analysis.profile;
    let interfaces = interface_names(profile.payloads.without(contract.payloads));
    if interfaces.is_empty() {
        return None;
    }
    let (name, world) = (&subject.name, short(&contract.world));
    let message = format!("the component of `{name}` imports {}, but world `{world}` does not", quoted(&interfaces));
    let finding = label_world(subject.levels.finding(LINT, message)?, subject, "the declared world");
    let tracked = TrackedImport::ALL.into_iter().filter(|import| interfaces.contains(&import.interface()));
    let tracked: Vec<_> = tracked.collect();
    let finding = blame(finding, &analysis.sites, &tracked, subject.folder().as_deref(), sources);
    let fits = format!("declare the world that fits the component: `world = \"{}\"`", profile.world);
    Some(finding.help(format!("{fits}; or write the stage for the declared world")))
}

#[cfg(test)]
mod tests {
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, found};

    #[test]
    fn reports_more_imports_or_another_kind() {
        let component = Guest::default().build();
        let message = |world: &str| {
            let found = found(&built(&format!("world = '{world}'"), &component), find);
            found.first().map(|finding| finding.message.clone())
        };
        let imports = "the component of `stage` imports `payload-write`, but world `inspector` does not";
        assert_eq!(message("inspector").as_deref(), Some(imports));
        let kind = "the component of `stage` is a processor, but world `data-sink` is for a sink";
        assert_eq!(message("data-sink").as_deref(), Some(kind));
        assert_eq!(message("transform"), None);
    }
}
