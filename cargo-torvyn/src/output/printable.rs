//! Makes text that may come from a component safe for a terminal.

use torvyn_runtime::base::text;

/// The maximum length of an error or one of its causes, in characters.
pub(crate) const LONGEST_ERROR: usize = 16_000;

/// Escapes the control characters of a text that may come from a component. With `lines`, line ends are kept, except within
/// names in backticks.
pub(crate) fn printable(text: &str, lines: bool) -> String {
    if !lines {
        return text::visible(text, LONGEST_ERROR, false).into_owned();
    }
    let parts: Vec<_> = text.split('`').collect();
    let part = |(index, part): (usize, &&str)| {
        let is_name = index % 2 == 1 && index + 1 < parts.len();
        text::visible(part, LONGEST_ERROR, !is_name).into_owned()
    };
    let shown: Vec<_> = parts.iter().enumerate().map(part).collect();
    text::visible(&shown.join("`"), LONGEST_ERROR, true).into_owned()
}
