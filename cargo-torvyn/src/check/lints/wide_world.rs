//! The stage's world imports a way to copy that its code never uses.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{World, short_name};

use super::Check;
use crate::check::labels::{interface_names, label_interfaces, label_world, short};
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources, quoted};

pub(super) const LINT: Lint = Lint { code: "wide-world", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

fn find(subject: &Subject, _: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    finding(subject).into_iter().collect()
}

fn finding(subject: &Subject) -> Option<Diagnostic> {
    let (contract, analysis) = (subject.contract.as_ref()?, subject.analysis.as_ref()?);
    let fits = World::narrowest(contract.kind, analysis.used);
    let unused = interface_names(contract.payloads.without(analysis.used));
    if fits == World::narrowest(contract.kind, contract.payloads) || unused.is_empty() {
        return None;
    }
    let world = short(&contract.world);
    let message = format!("world `{world}` imports {}, which `{}` never uses", quoted(&unused), subject.name);
    let mut finding = subject.levels.finding(LINT, message)?;
    finding = label_world(finding, subject, "wider than the code");
    if short_name(&contract.world).is_some() {
        return Some(finding.help(format!("declare the world `{fits}`, which proves as much without a build")));
    }
    finding = label_interfaces(finding, contract, &unused);
    Some(finding.help("remove the import: the world then proves as much without a build"))
}

#[cfg(test)]
mod tests {
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, found};

    #[test]
    fn names_what_is_unused_and_the_world_that_fits() {
        let reads = Guest { process: "(call $look (local.get $batch) (i32.const 0))", ..Guest::default() }.build();
        let wide = found(&built("world = 'transform'", &reads), find);
        assert_eq!(wide[0].message, "world `transform` imports `payload-write`, which `stage` never uses");
        let help = "declare the world `inspector`, which proves as much without a build";
        assert_eq!(wide[0].help.as_deref(), Some(help));
        assert!(found(&built("world = 'inspector'", &reads), find).is_empty());
    }
}
