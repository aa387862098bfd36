//! Labels the places that let a stage do something: its declared world, and the lines of WIT that bring imports in.

use std::ops::Range;
use std::path::PathBuf;

use torvyn_runtime::analysis::Contract;
use torvyn_runtime::analysis::contract::What;
use torvyn_runtime::contract::{Payloads, full_name, short_name};

use super::subject::Subject;
use crate::output::diagnostic::Diagnostic;

/// Labels the declaration of the world.
pub(super) fn label_world(finding: Diagnostic, subject: &Subject, text: &str) -> Diagnostic {
    match subject.settings.as_ref().and_then(|settings| settings.world.as_ref()) {
        Some(world) => finding.label(&world.file, world.span.clone(), text),
        None => finding,
    }
}

/// Labels the lines of WIT that bring the imports in, or the stage if there are none.
pub(super) fn label_imports(mut finding: Diagnostic, subject: &Subject, imports: &[&str]) -> Diagnostic {
    let places =
        subject.contract.iter().flat_map(|contract| imports.iter().flat_map(|import| import_places(contract, import)));
    for (file, span, text) in places {
        finding = finding.label(&file, span, text);
    }
    match &subject.settings {
        Some(settings) if finding.labels.is_empty() => {
            finding.label(&settings.file, settings.span.clone(), "this stage")
        }
        _ => finding,
    }
}

/// Labels the lines of WIT that bring interfaces of the contract in.
pub(super) fn label_interfaces(mut finding: Diagnostic, contract: &Contract, interfaces: &[&str]) -> Diagnostic {
    for interface in interfaces {
        for (file, span, text) in import_places(contract, &full_name(interface)) {
            finding = finding.label(&file, span, format!("`{interface}` is {text}"));
        }
    }
    finding
}

/// The names of the interfaces among `payloads`.
pub(super) fn interface_names(payloads: Payloads) -> Vec<&'static str> {
    payloads.interfaces().into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// The short name of a world of the contract, or the full name of any other world.
pub(super) fn short(world: &str) -> &str {
    short_name(world).unwrap_or(world)
}

/// The lines of WIT that bring an import into the world.
fn import_places(contract: &Contract, import: &str) -> Vec<(PathBuf, Range<usize>, &'static str)> {
    let text = |what: &What| match what {
        What::Include(_) => "included here",
        What::Uses(_) => "brought in here",
        What::World | What::Import(_) | What::Fault => "imported here",
    };
    contract.places_of(import).map(|place| (place.file.clone(), place.span.clone(), text(&place.what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_names_of_the_contract_only() {
        assert_eq!(short("torvyn:streaming/router@0.2.0"), "router");
        assert_eq!(short("acme:filters/router@0.2.0"), "acme:filters/router@0.2.0");
        assert_eq!(full_name("payload-read"), "torvyn:streaming/payload-read@0.2.0");
    }
}
