//! Extracts the part of a pipeline that a case runs.

use crate::cases::case::Case;
use crate::config::spanned::Named;
use crate::manifest::{NoPart, Part, Pipeline};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, suggestion};

/// Extracts the part of a pipeline that a case runs, given the stages that are known to be sources.
///
/// # Errors
///
/// A diagnostic that says why the part does not exist, at its place in the case.
pub(crate) fn extract(case: &Case, whole: &Pipeline, sources: &[&str]) -> Result<Pipeline, Diagnostic> {
    let from: Vec<_> = case.from.iter().map(|stage| find_in(whole, case, stage)).collect::<Result<_, _>>()?;
    let to = case.to.as_ref().map(|stage| find_in(whole, case, stage)).transpose()?;
    let is_source = |index: &usize| sources.contains(&&*whole.stages[*index].name);
    let sources: Vec<_> = (0..whole.stages.len()).filter(is_source).collect();
    whole.part(Part { from: &from, to, sources: &sources }).map_err(|no_part| match no_part {
        NoPart::Apart(stage) => {
            let from = from.iter().position(|from| *from == stage).and_then(|index| case.from.get(index));
            apart(case, from, case.to.as_ref())
        }
        NoPart::Outside { stage, feed } => {
            let (taker, giver, place) = whole.feed(stage, feed);
            let message = format!(
                "`{taker}` also takes elements from `{giver}`, which is outside of this part of `{}`",
                whole.name
            );
            let mut wrong = Diagnostic::error(codes::NOT_A_PART, message);
            if let Some(from) = case.from.first() {
                wrong = wrong.label(case.file(), from.span.clone(), "the part starts here");
            }
            let help =
                format!("add `{taker}` to `from`: the input of the case then replaces all that it takes from outside");
            wrong.label(&whole.file, place, "its input").help(help)
        }
    })
}

fn apart(case: &Case, from: Option<&Named>, to: Option<&Named>) -> Diagnostic {
    let name = |stage: Option<&Named>| stage.map_or_else(String::new, |stage| stage.name.clone());
    let message = format!("no element from `{}` reaches `{}`", name(from), name(to));
    let mut wrong = Diagnostic::error(codes::NOT_A_PART, message);
    for (stage, text) in [(to, "the part ends here"), (from, "and starts here")] {
        if let Some(stage) = stage {
            wrong = wrong.label(case.file(), stage.span.clone(), text);
        }
    }
    wrong.help("name a stage in `to` that comes after those in `from`")
}

/// The index of a stage that a case names.
///
/// # Errors
///
/// If there is no stage of that name.
pub(crate) fn find_stage(case: &Case, pipeline: &Pipeline, stage: &Named) -> Result<usize, Diagnostic> {
    find_in(pipeline, case, stage).map_err(|wrong| match case.is_part() {
        true => wrong.note(format!("only a part of `{}` is run", pipeline.name)),
        false => wrong,
    })
}

fn find_in(pipeline: &Pipeline, case: &Case, stage: &Named) -> Result<usize, Diagnostic> {
    let names: Vec<_> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.iter().position(|known| *known == stage.name).ok_or_else(|| {
        let message = format!("there is no stage `{}` in `{}`", stage.name, pipeline.name);
        let diagnostic = Diagnostic::error(codes::UNKNOWN_STAGE, message);
        diagnostic.label(case.file(), stage.span.clone(), "").help(suggestion(&stage.name, "stages", &names))
    })
}
