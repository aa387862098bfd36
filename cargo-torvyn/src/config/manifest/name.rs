//! What names of pipelines, stages and outputs look like, and that they are told apart.

use std::ops::Range;
use std::path::Path;

use crate::config::toml_reader::Report;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The name that `from` gives to the input of the pipeline.
pub(super) const INPUT: &str = "input";
/// The name of an output of the pipeline that has none of its own.
pub(super) const OUTPUT: &str = "output";
/// The name of the one output of a stage whose outputs are not named.
pub(super) const OUT: &str = "out";

/// Reports a name that could not be told from other parts of the manifest, or that is in `reserved`.
pub(super) fn check<'r>(
    name: &str,
    span: &Range<usize>,
    reserved: &[&str],
    report: &'r mut Report,
) -> Option<&'r mut Diagnostic> {
    let diagnostic = if reserved.contains(&name) {
        let message = format!("the name `{name}` is taken by the {name} of the pipeline");
        Diagnostic::error(codes::RESERVED_NAME, message).help("give it another `name`")
    } else if !is_plain(name) {
        let message = format!("`{name}` cannot be a name");
        Diagnostic::error(codes::BAD_NAME, message).help("names are made of letters, digits, `-` and `_`")
    } else {
        return None;
    };
    Some(report.found.push(diagnostic.label(report.file, span.clone(), "")))
}

/// Whether a name has the letters of one.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// Whether a stage can be called so.
pub(super) fn is_of_stage(name: &str) -> bool {
    is_plain(name) && ![INPUT, OUTPUT].contains(&name)
}

/// Two stages or outputs of a pipeline with one name.
pub(super) fn duplicate(file: &Path, name: &str, first: &Range<usize>, second: &Range<usize>) -> Diagnostic {
    Diagnostic::error(codes::DUPLICATE_NAME, format!("the name `{name}` is used twice"))
        .label(file, second.clone(), "")
        .label(file, first.clone(), "first used here")
        .help("give one of them another `name`")
}
