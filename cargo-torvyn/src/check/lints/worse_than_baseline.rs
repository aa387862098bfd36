//! Something that the baseline proves is no longer proven.

use torvyn_runtime::contract::TrackedImport;

use super::Check;
use crate::check::baseline::Loss;
use crate::check::blame::blame;
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::config::lint_levels::Levels;
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "worse-than-baseline", level: Level::Deny };
pub(super) const CHECKS: &[Check] = &[Check::Loss(find)];

/// Labels the lines that call the new imports.
fn find(loss: &Loss, levels: &Levels, subject: Option<&Subject>, sources: &mut Sources) -> Option<Diagnostic> {
    let message = format!("`{}` is worse than in the baseline: {}", loss.name, loss.what);
    let mut finding = levels.finding(LINT, message)?;
    if let Some(settings) = subject.and_then(|subject| subject.settings.as_ref()) {
        let world = settings.world.as_ref().map(|world| (&world.file, &world.span));
        let (file, span) = world.unwrap_or((&settings.file, &settings.span));
        finding = finding.label(file, span.clone(), "this stage");
    }
    for import in &loss.new_imports {
        finding = finding.note(format!("new import since the baseline: `{import}`"));
    }
    if let Some(analysis) = subject.and_then(|subject| subject.analysis.as_ref()) {
        let is_new = |import: &TrackedImport| loss.new_imports.contains(&import.to_string());
        let new = TrackedImport::ALL.into_iter().filter(|import| loss.new_imports.is_empty() || is_new(import));
        let folder = subject.and_then(Subject::folder);
        finding = blame(finding, &analysis.sites, &new.collect::<Vec<_>>(), folder.as_deref(), sources);
    }
    Some(finding.help("undo the change, or save a new baseline with `--save-baseline`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::subject::tests::declared;

    #[test]
    fn names_the_new_imports() {
        let what = "it was `handle-pass` and is now `read-only`".to_string();
        let loss = Loss { name: "stage".to_string(), what, new_imports: vec!["payload-read.read".to_string()] };
        let stage = declared("world = 'inspector'");
        let finding = find(&loss, &Levels::default(), Some(&stage), &mut Sources::default()).unwrap();
        assert_eq!(
            (finding.message.as_str(), finding.notes.as_slice()),
            (
                "`stage` is worse than in the baseline: it was `handle-pass` and is now `read-only`",
                &["new import since the baseline: `payload-read.read`".to_string()][..]
            )
        );
        assert_eq!(finding.labels[0].text, "this stage");
    }
}
