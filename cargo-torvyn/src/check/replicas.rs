//! Checks that stages with several replicas are stateless: that they are declared so, and cannot hold elements.

use torvyn_runtime::analysis::StageVerdict;

use super::subject::Subject;
use crate::manifest::{Pipeline, Stage};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// Whether the pipeline or the author of a stage declares that it keeps nothing from one element to the next.
pub(super) fn is_declared_stateless(stage: &Stage, subject: &Subject) -> bool {
    stage.replicas.stateless || subject.settings.as_ref().is_some_and(|settings| settings.stateless)
}

/// Reports the stages that have several replicas and may keep something from one call to the next. `stages` are those of the
/// pipeline, in its order.
pub(crate) fn check_replicas<'a>(
    pipeline: &Pipeline,
    stages: impl Iterator<Item = (&'a Subject, &'a StageVerdict)>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (stage, (subject, verdict)) in pipeline.stages.iter().zip(stages) {
        let Some(place) = stage.replicas.several() else { continue };
        let (name, settings) = (&stage.name, subject.settings.as_ref());
        let declared = is_declared_stateless(stage, subject);
        let (message, help) = if verdict.retains {
            let message = format!("`{name}` can hold elements beyond a call, so it cannot have replicas");
            (message, "remove `replicas`".to_string())
        } else if !declared {
            let message = format!("`{name}` has replicas, but is not declared stateless");
            let declare = match settings {
                Some(settings) => {
                    let file = settings.file.display();
                    format!("write `stateless = true` in [package.metadata.torvyn] of `{file}`")
                }
                None => "write `stateless = true` beside `replicas`".to_string(),
            };
            (message, format!("{declare}, if it keeps nothing from one element to the next; or remove `replicas`"))
        } else {
            continue;
        };
        found.push(Diagnostic::error(codes::REPLICAS_WITH_STATE, message).label(&pipeline.file, place, "").help(help));
    }
    found
}
