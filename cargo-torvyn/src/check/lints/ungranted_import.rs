//! The component imports a part of WASI that the host provides without granting access to anything.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{Grant, grant};

use super::Check;
use crate::check::labels::label_imports;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources, quoted};

pub(super) const LINT: Lint = Lint { code: "ungranted-import", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

fn find(subject: &Subject, verdict: &StageVerdict, _: &mut Sources) -> Vec<Diagnostic> {
    let empty = verdict.capabilities.iter().map(String::as_str).filter(|import| grant(import) == Grant::Empty);
    let empty: Vec<_> = empty.filter(|import| !is_by_habit(subject, import)).collect();
    if empty.is_empty() {
        return Vec::new();
    }
    let message = format!("`{}` imports {}, but the host grants it nothing there", subject.name, quoted(&empty));
    let finding = subject.levels.finding(LINT, message).map(|finding| label_imports(finding, subject, &empty));
    finding.into_iter().map(|finding| finding.note("a stage has no files, no environment and no sockets")).collect()
}

/// The standard library of a language imports `wasi:cli` on its own. Only a world that declares it shows intent.
fn is_by_habit(subject: &Subject, import: &str) -> bool {
    let declares =
        |contract: &torvyn_runtime::analysis::Contract| contract.capabilities.iter().any(|own| own == import);
    import.starts_with("wasi:cli/") && !subject.contract.as_ref().is_some_and(declares)
}

#[cfg(test)]
mod tests {
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, found};

    #[test]
    fn imports_of_standard_libraries_are_not_reported() {
        let messages = |import: &str| {
            let import = format!("(import \"{import}\" (instance (export \"f\" (func))))");
            let component = Guest { before: &import, ..Guest::default() }.build();
            let found = found(&built("world = 'transform'", &component), find);
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        let message = "`stage` imports `wasi:filesystem/preopens@0.2.0`, but the host grants it nothing there";
        assert_eq!(messages("wasi:filesystem/preopens@0.2.0"), [message]);
        assert!(messages("wasi:cli/environment@0.2.0").is_empty());
        assert!(messages("wasi:clocks/wall-clock@0.2.0").is_empty());
    }
}
