//! The rules for names of pipelines, stages and outputs.

use std::ops::Range;
use std::path::Path;

use crate::config::toml_reader::Report;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The name of the pipeline's input in `from`.
pub(super) const INPUT: &str = "input";
/// The default name of a pipeline output.
pub(super) const OUTPUT: &str = "output";
/// The default name of a stage's only output.
pub(super) const OUT: &str = "out";

/// Reports a name that is not valid or is in `reserved`.
pub(super) fn check<'r>(
    name: &str,
    span: &Range<usize>,
    reserved: &[&str],
    report: &'r mut Report,
) -> Option<&'r mut Diagnostic> {
    let diagnostic = if reserved.contains(&name) {
        let message = format!("the name `{name}` is reserved for the {name} of the pipeline");
        Diagnostic::error(codes::RESERVED_NAME, message).help("choose another `name`")
    } else if !is_plain(name) {
        let message = format!("`{name}` is not a valid name");
        Diagnostic::error(codes::BAD_NAME, message).help("a name consists of letters, digits, `-` and `_`")
    } else {
        return None;
    };
    Some(report.found.push(diagnostic.label(report.file, span.clone(), "")))
}

/// Whether a name is not empty and has only allowed characters.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// Whether a name is valid for a stage.
pub(super) fn is_stage_name(name: &str) -> bool {
    is_plain(name) && ![INPUT, OUTPUT].contains(&name)
}

/// A diagnostic for two stages or outputs with the same name.
pub(super) fn duplicate(file: &Path, name: &str, first: &Range<usize>, second: &Range<usize>) -> Diagnostic {
    Diagnostic::error(codes::DUPLICATE_NAME, format!("duplicate name `{name}`"))
        .label(file, second.clone(), "")
        .label(file, first.clone(), "first used here")
        .help("choose another `name` for one of them")
}
