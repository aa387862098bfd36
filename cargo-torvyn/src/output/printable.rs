//! Texts that may come from a component, for a terminal.

use torvyn_runtime::base::text;

/// Letters that are shown of an error or one of its causes.
pub(crate) const LONGEST_ERROR: usize = 16_000;

/// A text that may come from a component, with what would steer a terminal made visible. Line ends are kept where the
/// text may have several lines, but not within a name, which is in backticks.
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
