//! What differs between the elements that a case expects and those that came, for people.

use std::collections::HashMap;

/// Elements that are the same, shown on each side of those that are not.
const CONTEXT: usize = 2;
/// Lines of a difference; the rest is counted.
const LINES: usize = 40;
/// Characters, or bytes in hexadecimal, that are shown of an element.
const WIDTH: usize = 72;
const HEX_WIDTH: usize = 24;
/// Pairs of elements that are compared at most, to find out which of them are the same.
const PAIRS: usize = 4_000_000;

/// What became of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same { expected: usize, got: usize },
    Missing(usize),
    Unexpected(usize),
}

/// The difference of two lists, in their order: lines that begin with the number of an element, and `-` where it is
/// missing or `+` where it was not expected.
pub(super) fn ordered(expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<String> {
    let changes = paired(changes(expected, got));
    let is_shown = |index: usize| {
        let near = index.saturating_sub(CONTEXT)..(index + CONTEXT + 1).min(changes.len());
        changes[near].iter().any(|change| !matches!(change, Change::Same { .. }))
    };
    let mut lines = Vec::new();
    let mut skipped = false;
    for (index, change) in changes.iter().enumerate() {
        if !is_shown(index) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            lines.push("...".to_string());
        }
        // An element that came in place of another is shown from where the two part.
        let other = |next: Option<&Change>| match (change, next) {
            (Change::Missing(missing), Some(Change::Unexpected(other))) => parted(&expected[*missing], &got[*other]),
            (Change::Unexpected(other), Some(Change::Missing(missing))) => parted(&expected[*missing], &got[*other]),
            _ => 0,
        };
        let neighbour = match change {
            Change::Unexpected(_) => index.checked_sub(1).and_then(|before| changes.get(before)),
            _ => changes.get(index + 1),
        };
        let from = other(neighbour);
        lines.push(match *change {
            Change::Same { got: number, .. } => format!("{number:>4}   {}", shown(&got[number], 0)),
            Change::Missing(number) => format!("{number:>4} - {}", shown(&expected[number], from)),
            Change::Unexpected(number) => format!("{number:>4} + {}", shown(&got[number], from)),
        });
    }
    if skipped {
        lines.push("...".to_string());
    }
    cut(lines)
}

/// The difference of two lists in any order.
pub(super) fn unordered(expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<String> {
    let mut left: HashMap<&[u8], usize> = HashMap::new();
    got.iter().for_each(|element| *left.entry(element).or_default() += 1);
    let mut take = |element: &Vec<u8>| {
        let count = left.get_mut(&element[..]).filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    };
    let missing: Vec<_> = expected.iter().filter(|element| !take(element)).collect();
    let unexpected = got.iter().filter(|element| {
        let count = left.get_mut(&element[..]).filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    });
    let unexpected: Vec<_> = unexpected.collect();
    let missing = missing.iter().map(|element| format!("- {}", shown(element, 0)));
    let unexpected = unexpected.iter().map(|element| format!("+ {}", shown(element, 0)));
    cut(missing.chain(unexpected).collect())
}

fn cut(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("... and {more} lines more"));
    }
    lines
}

/// The shortest way from one list to the other where they are not too long, and element by element otherwise.
fn changes(expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<Change> {
    let same = |(a, b): &(&Vec<u8>, &Vec<u8>)| a == b;
    let before = expected.iter().zip(got).take_while(same).count();
    let rest = |list: &[Vec<u8>]| list.len() - before;
    let after = expected[before..].iter().rev().zip(got[before..].iter().rev()).take_while(same).count();
    let (rows, columns) = (rest(expected) - after, rest(got) - after);
    let (missing, unexpected) = (&expected[before..before + rows], &got[before..before + columns]);

    let mut changes: Vec<_> = (0..before).map(|index| Change::Same { expected: index, got: index }).collect();
    match rows.checked_mul(columns).filter(|pairs| *pairs <= PAIRS) {
        Some(_) => changes.extend(shortest(missing, unexpected, before)),
        None => {
            changes.extend((before..before + rows).map(Change::Missing));
            changes.extend((before..before + columns).map(Change::Unexpected));
        }
    }
    let tail =
        (0..after).rev().map(|back| Change::Same { expected: expected.len() - 1 - back, got: got.len() - 1 - back });
    changes.extend(tail);
    changes
}

/// What is missing next to what came in its place, first to first.
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

/// By the longest common subsequence.
fn shortest(expected: &[Vec<u8>], got: &[Vec<u8>], offset: usize) -> Vec<Change> {
    let columns = got.len() + 1;
    let mut longest = vec![0u32; (expected.len() + 1) * columns];
    for row in (0..expected.len()).rev() {
        for column in (0..got.len()).rev() {
            longest[row * columns + column] = if expected[row] == got[column] {
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
        if row < expected.len() && column < got.len() && expected[row] == got[column] {
            changes.push(Change::Same { expected: offset + row, got: offset + column });
            (row, column) = (row + 1, column + 1);
        } else if down >= right {
            changes.push(Change::Missing(offset + row));
            row += 1;
        } else {
            changes.push(Change::Unexpected(offset + column));
            column += 1;
        }
    }
    changes
}

/// How many bytes two elements have in common from the beginning.
fn parted(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// An element as a text in quotes, or in hexadecimal where it is none; of a long one the part around byte `at`.
pub(super) fn shown(element: &[u8], at: usize) -> String {
    let text = str::from_utf8(element).ok().filter(|text| text.chars().all(is_text));
    let size = || format!(" ({} bytes)", element.len());
    match text {
        Some(text) => {
            let start = (0..=at.saturating_sub(WIDTH / 2)).rev().find(|start| text.is_char_boundary(*start));
            let start = if text.chars().count() > WIDTH { start.unwrap_or_default() } else { 0 };
            let mut letters = text[start..].chars();
            let part: String = letters.by_ref().take(WIDTH).map(quoted).collect();
            let rest = !letters.as_str().is_empty();
            let (before, after) = (if start > 0 { "..." } else { "" }, if rest { "..." } else { "" });
            let size = if start > 0 || rest { size() } else { String::new() };
            format!("{before}\"{part}\"{after}{size}")
        }
        None => {
            let start = if element.len() > HEX_WIDTH { at.saturating_sub(HEX_WIDTH / 2).min(element.len()) } else { 0 };
            let end = (start + HEX_WIDTH).min(element.len());
            let part: Vec<_> = element[start..end].iter().map(|byte| format!("{byte:02x}")).collect();
            let (before, after) = (if start > 0 { "... " } else { "" }, if end < element.len() { " ..." } else { "" });
            let size = if start > 0 || end < element.len() { size() } else { String::new() };
            format!("hex {before}{}{after}{size}", part.join(" "))
        }
    }
}

/// Whether a letter belongs to a text for people.
fn is_text(letter: char) -> bool {
    !letter.is_control() || matches!(letter, '\t' | '\n' | '\r')
}

/// A letter as it stands in a string of TOML.
fn quoted(letter: char) -> String {
    match letter {
        '"' | '\\' => format!("\\{letter}"),
        '\t' => "\\t".to_string(),
        '\n' => "\\n".to_string(),
        '\r' => "\\r".to_string(),
        _ => letter.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &str) -> Vec<Vec<u8>> {
        elements.split_whitespace().map(|element| element.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_missing_and_what_was_not_expected() {
        let difference = ordered(&list("a b c d e f g h"), &list("a b c d X f g h i"));
        let expected = ["...", "   2   \"c\"", "   3   \"d\"", "   4 - \"e\"", "   4 + \"X\"", "   5   \"f\""];
        assert_eq!(difference[..6], expected);
        assert_eq!(difference[6..], ["   6   \"g\"", "   7   \"h\"", "   8 + \"i\""]);
        assert_eq!(ordered(&list("a b"), &list("b")), ["   0 - \"a\"", "   0   \"b\""]);
        assert_eq!(ordered(&[], &list("a")), ["   0 + \"a\""]);
        assert_eq!(unordered(&list("a b b c"), &list("c d b a")), ["- \"b\"", "+ \"d\""]);
    }

    #[test]
    fn long_lists_are_cut() {
        let (expected, got) = (vec![vec![0u8]; 3000], vec![vec![1u8]; 3000]);
        let difference = ordered(&expected, &got);
        assert_eq!(difference[..2], ["   0 - hex 00", "   0 + hex 01"]);
        assert_eq!(difference.last().map(String::as_str), Some("... and 5960 lines more"));
    }

    #[test]
    fn elements_for_people() {
        assert_eq!(shown(b"", 0), "\"\"");
        assert_eq!(shown("a \"b\\\r\n ä".as_bytes(), 0), "\"a \\\"b\\\\\\r\\n ä\"");
        assert_eq!(shown(b"\x1b[2J", 0), "hex 1b 5b 32 4a");
        assert_eq!(shown(&[0xff; 30], 0), format!("hex {} ... (30 bytes)", ["ff"; 24].join(" ")));
        let long = "ä".repeat(100);
        assert_eq!(
            shown(long.as_bytes(), 100),
            format!("...\"{}\"... (200 bytes)", "ä".repeat(68)).replace("\"...", "\"")
        );
        assert!(shown(&[0xff; 300], 299).starts_with("hex ... ff"));
    }

    #[test]
    fn the_shortest_way() {
        let same = |changes: &[Change]| changes.iter().filter(|change| matches!(change, Change::Same { .. })).count();
        assert_eq!(same(&changes(&list("a b c a b b a"), &list("c b a b a c"))), 4);
    }
}
