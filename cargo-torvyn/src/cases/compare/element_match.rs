//! Compares elements by their bytes and metadata.

use std::collections::HashMap;

use torvyn_runtime::payload::element::Metadata;

use crate::cases::compare::diff::{self, Sides};
use crate::cases::compare::element::Entry;
use crate::cases::compare::metadata;

/// The expected and the actual elements.
pub(crate) struct ElementMatch<'a> {
    pub(crate) expected: &'a [Entry],
    pub(crate) got: &'a [Entry],
}

impl ElementMatch<'_> {
    /// Shows an element, with the metadata that `wanted` has.
    fn shown(entry: &Entry, at: usize, wanted: &Metadata) -> String {
        diff::shown_of(&entry.bytes, entry.size, at) + &metadata::shown(&entry.metadata, wanted)
    }

    /// The metadata to show of a missing element: only what differs, if the bytes match those of `other`.
    fn relevant_metadata(expected: &Entry, other: Option<&Entry>) -> Metadata {
        match other {
            Some(other) if expected.has_bytes_of(other) => metadata::differing(&expected.metadata, &other.metadata),
            _ => expected.metadata.clone(),
        }
    }
}

impl<'a> Sides for ElementMatch<'a> {
    fn lengths(&self) -> (usize, usize) {
        (self.expected.len(), self.got.len())
    }

    fn matches(&self, expected: usize, got: usize) -> bool {
        self.expected[expected].matches(&self.got[got])
    }

    fn missing(&self, expected: usize, got: Option<usize>) -> String {
        let (element, other) = (&self.expected[expected], got.map(|got| &self.got[got]));
        let at = other.map_or(0, |other| common_prefix(&element.bytes, &other.bytes));
        ElementMatch::shown(element, at, &ElementMatch::relevant_metadata(element, other))
    }

    fn actual(&self, expected: Option<usize>, got: usize) -> String {
        let (element, other) = (&self.got[got], expected.map(|expected| &self.expected[expected]));
        let at = other.map_or(0, |other| common_prefix(&element.bytes, &other.bytes));
        let relevant =
            other.map_or_else(Metadata::default, |other| ElementMatch::relevant_metadata(other, Some(element)));
        ElementMatch::shown(element, at, &relevant)
    }

    /// Compares only the bytes if no metadata is expected, which is much faster for many elements.
    fn in_any_order(&self) -> (Vec<usize>, Vec<usize>) {
        if self.expected.iter().any(|element| element.metadata != Metadata::default()) {
            return diff::matched(self);
        }
        let mut left: HashMap<(&'a [u8], u64), usize> = HashMap::new();
        self.got.iter().for_each(|element| *left.entry((&element.bytes, element.size)).or_default() += 1);
        let mut take = |element: &'a Entry| {
            let count = left.get_mut(&(&element.bytes[..], element.size)).filter(|count| **count > 0);
            count.map(|count| *count -= 1).is_some()
        };
        let missing = (0..self.expected.len()).filter(|index| !take(&self.expected[*index])).collect();
        let unexpected = (0..self.got.len()).filter(|index| take(&self.got[*index])).collect();
        (missing, unexpected)
    }
}

/// The length of the common prefix of two elements.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &str) -> Vec<Entry> {
        elements.split_whitespace().map(|element| Entry::plain(element.as_bytes().to_vec())).collect()
    }

    fn numbered(elements: &[(&str, Option<u64>)]) -> Vec<Entry> {
        let entry = |(bytes, sequence): &(&str, Option<u64>)| Entry {
            metadata: Metadata { sequence: *sequence, ..Metadata::default() },
            ..Entry::plain(bytes.as_bytes().to_vec())
        };
        elements.iter().map(entry).collect()
    }

    fn ordered(expected: &[Entry], got: &[Entry]) -> Vec<String> {
        diff::ordered(&ElementMatch { expected, got })
    }

    fn unordered(expected: &[Entry], got: &[Entry]) -> Vec<String> {
        diff::unordered(&ElementMatch { expected, got })
    }

    #[test]
    fn shows_missing_and_unexpected_elements() {
        let difference = ordered(&list("a b c d e f g h"), &list("a b c d X f g h i"));
        let expected = ["...", "   2   \"c\"", "   3   \"d\"", "   4 - \"e\"", "   4 + \"X\"", "   5   \"f\""];
        assert_eq!(difference[..6], expected);
        assert_eq!(difference[6..], ["   6   \"g\"", "   7   \"h\"", "   8 + \"i\""]);
        assert_eq!(ordered(&list("a b"), &list("b")), ["   0 - \"a\"", "   0   \"b\""]);
        assert_eq!(ordered(&[], &list("a")), ["   0 + \"a\""]);
        assert_eq!(unordered(&list("a b b c"), &list("c d b a")), ["- \"b\"", "+ \"d\""]);
    }

    #[test]
    fn shortens_long_differences() {
        let entries = |byte: u8| vec![Entry::plain(vec![byte]); 100_000];
        let difference = ordered(&entries(0), &entries(1));
        assert_eq!(difference[..2], ["   0 - hex 00", "   0 + hex 01"]);
        assert_eq!((difference.len(), &*difference[40]), (41, "... and 199960 more lines"));
        let difference = unordered(&entries(0), &entries(1));
        assert_eq!((difference.len(), &*difference[40]), (41, "... and 199960 more lines"));
        assert!(ordered(&entries(0), &entries(0)).is_empty() && unordered(&entries(0), &entries(0)).is_empty());
    }

    #[test]
    fn shows_metadata_that_differs() {
        let expected = numbered(&[("a", Some(0)), ("b", Some(7)), ("c", None)]);
        let came = numbered(&[("a", Some(0)), ("b", Some(1)), ("c", Some(2))]);
        let difference = ordered(&expected, &came);
        assert_eq!(difference, ["   0   \"a\"", "   1 - \"b\" sequence 7", "   1 + \"b\" sequence 1", "   2   \"c\""]);
        let other = numbered(&[("a", Some(0)), ("x", Some(7)), ("c", Some(2))]);
        assert_eq!(ordered(&expected, &other)[1..3], ["   1 - \"b\" sequence 7", "   1 + \"x\" sequence 7"]);
    }

    /// An element that matches many others does not take the only match of another one.
    #[test]
    fn any_order_finds_the_match_that_fits() {
        let came = numbered(&[("a", Some(0)), ("a", Some(1)), ("a", Some(2))]);
        let expected = numbered(&[("a", None), ("a", Some(0)), ("a", Some(1))]);
        assert_eq!(unordered(&expected, &came), [""; 0]);
        let expected = numbered(&[("a", None), ("a", Some(0)), ("a", Some(0))]);
        assert_eq!(unordered(&expected, &came)[0], "- \"a\" sequence 0");
    }
}
