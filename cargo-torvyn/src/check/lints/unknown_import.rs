//! The component imports something that the host does not provide, so it cannot start.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{Grant, grant};

use super::Check;
use crate::check::labels::label_imports;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Severity, Sources, quoted};

pub(super) const LINT: Lint = Lint { code: "unknown-import", level: Level::Deny };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

fn find(subject: &Subject, verdict: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    let absent = verdict.capabilities.iter().map(String::as_str).filter(|import| grant(import) == Grant::Absent);
    let absent: Vec<_> = absent.collect();
    if absent.is_empty() {
        return Vec::new();
    }
    let message = format!("`{}` imports {}, which the host does not provide", subject.name, quoted(&absent));
    let finding = finding(subject, message).map(|finding| label_imports(finding, subject, &absent));
    let help = "remove the code that needs it: the stage cannot start with this import";
    finding.into_iter().map(|finding| finding.help(help)).collect()
}

/// For a world this is a lint, because the component may not use all imports. A component with such imports cannot be loaded,
/// so there it is an error at every level of the lint.
fn finding(subject: &Subject, message: String) -> Option<Diagnostic> {
    let finding = subject.levels.finding(LINT, message.clone());
    if subject.analysis.is_none() || finding.as_ref().is_some_and(|finding| finding.severity == Severity::Error) {
        return finding;
    }
    let note = "a component with these imports cannot be loaded, so this is an error at every level of the lint";
    Some(Diagnostic::error(LINT.code, message).note(note))
}

#[cfg(test)]
mod tests {
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, declared, found};

    #[test]
    fn a_component_with_such_an_import_is_an_error_at_every_level() {
        let import = r#"(import "wasi:http/outgoing-handler@0.2.0" (instance (export "f" (func))))"#;
        let component = Guest { before: import, ..Guest::default() }.build();
        for (level, notes) in [("deny", 0), ("warn", 1), ("allow", 1)] {
            let text = format!("world = 'transform'\nlints.unknown-import = '{level}'");
            let unknown = found(&built(&text, &component), find);
            let message = "`stage` imports `wasi:http/outgoing-handler@0.2.0`, which the host does not provide";
            assert_eq!((unknown[0].message.as_str(), unknown[0].severity), (message, Severity::Error));
            let about_levels = unknown[0].notes.iter().filter(|note| note.contains("every level")).count();
            assert_eq!(about_levels, notes, "{level}");
        }
        assert!(found(&declared("world = 'transform'"), find).is_empty());
    }
}
