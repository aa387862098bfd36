//! Differences between the expected and the actual elements, for people. `element_match` and `json` define when two
//! elements match.

use std::collections::VecDeque;
use std::ops::Range;

use torvyn_runtime::base::plural::counted;

/// How many matching elements are shown around a difference.
const CONTEXT: usize = 2;
/// The most lines of a difference; the rest is counted.
const LINES: usize = 40;
/// The most characters, or bytes in hexadecimal, that are shown of an element.
const WIDTH: usize = 72;
const HEX_WIDTH: usize = 24;
/// The most pairs of elements that are compared for the shortest difference.
const PAIRS: usize = 4_000_000;

/// A step from the expected to the actual elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same { got: usize },
    Missing(usize),
    Unexpected(usize),
}

impl Change {
    fn missing(&self) -> Option<usize> {
        if let Change::Missing(index) = *self { Some(index) } else { None }
    }

    fn unexpected(&self) -> Option<usize> {
        if let Change::Unexpected(index) = *self { Some(index) } else { None }
    }
}

/// The expected and the actual elements, by their indices.
pub(crate) trait Sides {
    /// The number of elements on each side.
    fn lengths(&self) -> (usize, usize);

    /// Whether the actual element matches the expected one.
    fn matches(&self, expected: usize, got: usize) -> bool;

    /// Shows a missing element, and where it differs from the actual element in its place, if any.
    fn missing(&self, expected: usize, got: Option<usize>) -> String;

    /// Shows an actual element, and where it differs from the expected element in its place, if any.
    fn actual(&self, expected: Option<usize>, got: usize) -> String;

    /// Lines that explain how the actual element differs.
    fn explain(&self, _expected: usize, _got: usize) -> Vec<String> {
        Vec::new()
    }

    /// The missing and the unexpected elements, where the order does not matter.
    fn in_any_order(&self) -> (Vec<usize>, Vec<usize>)
    where
        Self: Sized,
    {
        matched(self)
    }
}

/// Lines for people: the first ones are kept, the others are counted.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    more: usize,
}

impl Lines {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < LINES { self.lines.push(line()) } else { self.more += 1 }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("... and {}", counted(self.more as u64, "more line")));
        }
        self.lines
    }
}

/// The difference of two ordered lists: lines that begin with the number of an element, with `-` if it is missing or `+` if
/// it is unexpected. Empty if there is no difference.
pub(crate) fn ordered(sides: &impl Sides) -> Vec<String> {
    let changes = paired(changes(sides));
    if changes.iter().all(|change| matches!(change, Change::Same { .. })) {
        return Vec::new();
    }
    let is_shown = |index: usize| {
        let near = index.saturating_sub(CONTEXT)..(index + CONTEXT + 1).min(changes.len());
        changes[near].iter().any(|change| !matches!(change, Change::Same { .. }))
    };
    let mut lines = Lines::default();
    let mut skipped = false;
    for (index, change) in changes.iter().enumerate() {
        if !is_shown(index) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            lines.push(|| "...".to_string());
        }
        let (before, after) = (index.checked_sub(1).and_then(|before| changes.get(before)), changes.get(index + 1));
        match *change {
            Change::Same { got, .. } => lines.push(|| format!("{got:>4}   {}", sides.actual(None, got))),
            // An element in place of another is shown next to it.
            Change::Missing(expected) => {
                let got = after.and_then(Change::unexpected);
                lines.push(|| format!("{expected:>4} - {}", sides.missing(expected, got)));
            }
            Change::Unexpected(got) => {
                let expected = before.and_then(Change::missing);
                lines.push(|| format!("{got:>4} + {}", sides.actual(expected, got)));
                for line in expected.map_or_else(Vec::new, |expected| sides.explain(expected, got)) {
                    lines.push(|| format!("       {line}"));
                }
            }
        }
    }
    if skipped {
        lines.push(|| "...".to_string());
    }
    lines.into_lines()
}

/// The difference of two lists whose order does not matter.
pub(crate) fn unordered(sides: &impl Sides) -> Vec<String> {
    let (missing, unexpected) = sides.in_any_order();
    let mut lines = Lines::default();
    missing.iter().for_each(|index| lines.push(|| format!("- {}", sides.missing(*index, None))));
    unexpected.iter().for_each(|index| lines.push(|| format!("+ {}", sides.actual(None, *index))));
    if let ([expected], [got]) = (&missing[..], &unexpected[..]) {
        sides.explain(*expected, *got).into_iter().for_each(|line| lines.push(|| format!("  {line}")));
    }
    lines.into_lines()
}

/// Matches as many expected elements as possible with actual ones: a maximum matching, by augmenting paths. Returns the
/// missing and the unexpected elements.
pub(crate) fn matched(sides: &impl Sides) -> (Vec<usize>, Vec<usize>) {
    let (expected, got) = sides.lengths();
    let (mut taken_by, mut takes) = (vec![None; got], vec![None; expected]);
    // For each actual element, the round in which it was reached, and from where.
    let mut reached = vec![(usize::MAX, 0); got];
    for round in 0..expected {
        let mut waiting = VecDeque::from([round]);
        'path: while let Some(from) = waiting.pop_front() {
            // Most often the element of the same number matches.
            for index in (0..got).map(|step| (from + step) % got) {
                if reached[index].0 == round || !sides.matches(from, index) {
                    continue;
                }
                reached[index] = (round, from);
                match taken_by[index] {
                    Some(other) => waiting.push_back(other),
                    None => {
                        let mut free = Some(index);
                        while let Some(index) = free {
                            let from = reached[index].1;
                            taken_by[index] = Some(from);
                            free = takes[from].replace(index);
                        }
                        break 'path;
                    }
                }
            }
        }
    }
    let missing = (0..expected).filter(|index| takes[*index].is_none()).collect();
    let unexpected = (0..got).filter(|index| taken_by[*index].is_none()).collect();
    (missing, unexpected)
}

/// The shortest difference if the lists are short enough, and a comparison element by element otherwise.
fn changes(sides: &impl Sides) -> Vec<Change> {
    let (expected, got) = sides.lengths();
    let both = expected.min(got);
    let before = (0..both).take_while(|index| sides.matches(*index, *index)).count();
    let after = (1..=both - before).take_while(|back| sides.matches(expected - back, got - back)).count();
    let (missing, unexpected) = (before..expected - after, before..got - after);

    let mut changes: Vec<_> = (0..before).map(|got| Change::Same { got }).collect();
    match missing.len().checked_mul(unexpected.len()).filter(|pairs| *pairs <= PAIRS) {
        Some(_) => changes.extend(shortest(sides, missing, unexpected)),
        None => {
            // Pair elements by their number.
            let both = missing.len().min(unexpected.len());
            for (missing, unexpected) in missing.clone().zip(unexpected.clone()) {
                match sides.matches(missing, unexpected) {
                    true => changes.push(Change::Same { got: unexpected }),
                    false => changes.extend([Change::Missing(missing), Change::Unexpected(unexpected)]),
                }
            }
            changes.extend(missing.skip(both).map(Change::Missing));
            changes.extend(unexpected.skip(both).map(Change::Unexpected));
        }
    }
    changes.extend((got - after..got).map(|got| Change::Same { got }));
    changes
}

/// Puts each missing element next to the unexpected one in its place, first to first.
fn paired(changes: Vec<Change>) -> Vec<Change> {
    let mut paired = Vec::new();
    for run in changes.chunk_by(|a, b| matches!(a, Change::Same { .. }) == matches!(b, Change::Same { .. })) {
        let (missing, others): (Vec<Change>, Vec<Change>) =
            run.iter().copied().partition(|change| matches!(change, Change::Missing(_)));
        let pairs = missing.len().min(others.len());
        paired.extend(missing.iter().zip(&others).flat_map(|(missing, other)| [*missing, *other]));
        paired.extend(missing[pairs..].iter().chain(&others[pairs..]));
    }
    paired
}

/// The shortest difference, by the longest common subsequence.
fn shortest(sides: &impl Sides, expected: Range<usize>, got: Range<usize>) -> Vec<Change> {
    let columns = got.len() + 1;
    let is = |row: usize, column: usize| sides.matches(expected.start + row, got.start + column);
    let mut longest = vec![0u32; (expected.len() + 1) * columns];
    for row in (0..expected.len()).rev() {
        for column in (0..got.len()).rev() {
            longest[row * columns + column] = if is(row, column) {
                longest[(row + 1) * columns + column + 1] + 1
            } else {
                longest[(row + 1) * columns + column].max(longest[row * columns + column + 1])
            };
        }
    }
    let (mut row, mut column, mut changes) = (0, 0, Vec::new());
    while row < expected.len() || column < got.len() {
        let down = (row < expected.len()).then(|| longest[(row + 1) * columns + column]);
        let right = (column < got.len()).then(|| longest[row * columns + column + 1]);
        if row < expected.len() && column < got.len() && is(row, column) {
            changes.push(Change::Same { got: got.start + column });
            (row, column) = (row + 1, column + 1);
        } else if down >= right {
            changes.push(Change::Missing(expected.start + row));
            row += 1;
        } else {
            changes.push(Change::Unexpected(got.start + column));
            column += 1;
        }
    }
    changes
}

/// An element as a quoted text, or in hexadecimal if it is not a text; of a long element the part around byte `at`.
pub(crate) fn shown(element: &[u8], at: usize) -> String {
    shown_of(element, element.len() as u64, at)
}

/// As [`shown`], for an element of `size` bytes that begins with the given ones.
pub(crate) fn shown_of(element: &[u8], size: u64, at: usize) -> String {
    let is_whole = element.len() as u64 == size;
    let text = match str::from_utf8(element) {
        // It may have been cut within a character.
        Err(error) if !is_whole && error.error_len().is_none() => str::from_utf8(&element[..error.valid_up_to()]),
        text => text,
    };
    let text = text.ok().filter(|text| text.chars().all(is_text));
    let size = || format!(" ({})", counted(size, "byte"));
    match text {
        Some(text) => {
            let start = (0..=at.saturating_sub(WIDTH / 2)).rev().find(|start| text.is_char_boundary(*start));
            let start = if text.chars().count() > WIDTH { start.unwrap_or_default() } else { 0 };
            let mut letters = text[start..].chars();
            let part: String = letters.by_ref().take(WIDTH).map(quoted).collect();
            let rest = !letters.as_str().is_empty() || !is_whole;
            let (before, after) = (if start > 0 { "..." } else { "" }, if rest { "..." } else { "" });
            let size = if start > 0 || rest { size() } else { String::new() };
            format!("{before}\"{part}\"{after}{size}")
        }
        None => {
            let start = if element.len() > HEX_WIDTH { at.saturating_sub(HEX_WIDTH / 2).min(element.len()) } else { 0 };
            let end = (start + HEX_WIDTH).min(element.len());
            let part: Vec<_> = element[start..end].iter().map(|byte| format!("{byte:02x}")).collect();
            let rest = end < element.len() || !is_whole;
            let (before, after) = (if start > 0 { "... " } else { "" }, if rest { " ..." } else { "" });
            let size = if start > 0 || rest { size() } else { String::new() };
            format!("hex {before}{}{after}{size}", part.join(" "))
        }
    }
}

/// Whether a character belongs in a text for people.
fn is_text(letter: char) -> bool {
    !letter.is_control() || matches!(letter, '\t' | '\n' | '\r')
}

/// A character in visible form: control and invisible characters are shown by their numbers.
pub(crate) fn visible(letter: char) -> String {
    let is_hidden = matches!(letter, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}');
    if is_hidden || letter.is_control() { format!("\\u{:04x}", u32::from(letter)) } else { letter.to_string() }
}

/// A character as it is written in a TOML string.
fn quoted(letter: char) -> String {
    match letter {
        '"' | '\\' => format!("\\{letter}"),
        '\t' => "\\t".to_string(),
        '\n' => "\\n".to_string(),
        '\r' => "\\r".to_string(),
        _ => visible(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_elements_as_text_or_hexadecimal() {
        assert_eq!(shown(b"", 0), "\"\"");
        assert_eq!(shown("a \"b\\\r\n ä".as_bytes(), 0), "\"a \\\"b\\\\\\r\\n ä\"");
        assert_eq!(shown(b"\x1b[2J", 0), "hex 1b 5b 32 4a");
        assert_eq!(shown("a\u{202e}b\u{200b}".as_bytes(), 0), "\"a\\u202eb\\u200b\"");
        assert_eq!(shown(&[0xff; 30], 0), format!("hex {} ... (30 bytes)", ["ff"; 24].join(" ")));
        let long = "ä".repeat(100);
        assert_eq!(
            shown(long.as_bytes(), 100),
            format!("...\"{}\"... (200 bytes)", "ä".repeat(68)).replace("\"...", "\"")
        );
        assert!(shown(&[0xff; 300], 299).starts_with("hex ... ff"));
    }

    struct Letters(&'static str, &'static str);

    impl Sides for Letters {
        fn lengths(&self) -> (usize, usize) {
            (self.0.len(), self.1.len())
        }

        fn matches(&self, expected: usize, got: usize) -> bool {
            self.0.as_bytes()[expected] == self.1.as_bytes()[got]
        }

        fn missing(&self, expected: usize, _: Option<usize>) -> String {
            self.0[expected..=expected].to_string()
        }

        fn actual(&self, _: Option<usize>, got: usize) -> String {
            self.1[got..=got].to_string()
        }
    }

    #[test]
    fn finds_the_shortest_difference() {
        let same = |changes: &[Change]| changes.iter().filter(|change| matches!(change, Change::Same { .. })).count();
        assert_eq!(same(&changes(&Letters("abcabba", "cbabac"))), 4);
    }

    #[test]
    fn matches_as_many_elements_as_possible_in_any_order() {
        assert_eq!(matched(&Letters("abcab", "bacba")), (vec![], vec![]));
        assert_eq!(matched(&Letters("aab", "abbc")), (vec![1], vec![1, 3]));
        assert_eq!(matched(&Letters("a", "")), (vec![0], vec![]));
    }
}
