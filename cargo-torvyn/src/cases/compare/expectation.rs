//! An expectation with the contents of its files, and its comparison with the actual elements.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::base::plural;
use torvyn_runtime::endpoint::OutputFraming;

use crate::cases::compare::amount::Amount;
use crate::cases::compare::capture::Capture;
use crate::cases::compare::diff::{self, Sides};
use crate::cases::compare::element::Entry;
use crate::cases::compare::element_match::ElementMatch;
use crate::cases::compare::json::{Json, Value};
use crate::cases::compare::pattern::Pattern;
use crate::cases::compare::schema::Schema;
use crate::cases::compare::search::Search;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::printable::printable;

/// How many elements beyond the expected ones are kept to be shown.
const KEPT_BEYOND: usize = 64;
/// How many bytes are kept beyond the length of the longest expected element.
const KEPT_BYTES_BEYOND: usize = 4096;

/// What is expected of elements, with the contents of files.
#[derive(Default)]
pub(crate) struct Expectation {
    pub(crate) elements: Option<(List, Range<usize>)>,
    /// The file of expected elements, its framing and its present contents.
    pub(crate) file: Option<(PathBuf, OutputFraming, Vec<u8>)>,
    pub(crate) any_order: bool,
    pub(crate) count: Option<Amount<u64>>,
    pub(crate) contains: Vec<(Vec<u8>, Range<usize>)>,
    pub(crate) matches: Vec<Pattern>,
    pub(crate) schema: Option<(Arc<Schema>, Range<usize>)>,
    /// Whether to update the file instead of comparing with it.
    pub(crate) bless: bool,
}

/// A complete list of expected elements.
pub(crate) enum List {
    Entries(Vec<Entry>),
    /// The JSON that each element contains.
    Json(Vec<Value>),
}

impl List {
    fn len(&self) -> usize {
        match self {
            List::Entries(entries) => entries.len(),
            List::Json(values) => values.len(),
        }
    }

    /// The difference to the actual elements.
    fn difference(&self, got: &[Entry], any_order: bool) -> Vec<String> {
        fn difference(sides: &impl Sides, any_order: bool) -> Vec<String> {
            if any_order { diff::unordered(sides) } else { diff::ordered(sides) }
        }
        match self {
            List::Entries(expected) => difference(&ElementMatch { expected, got }, any_order),
            List::Json(expected) => difference(&Json::new(expected, got), any_order),
        }
    }
}

impl Expectation {
    /// A capture that keeps what is needed to compare the actual elements.
    pub(crate) fn capture(&self) -> Capture {
        Capture::new(self.kept(), self.search())
    }

    /// How many elements to keep for the comparison, and how many bytes of each.
    fn kept(&self) -> (usize, usize) {
        match (&self.elements, &self.file) {
            (_, Some((_, OutputFraming::Raw, _))) => (usize::MAX, usize::MAX),
            _ if self.bless => (usize::MAX, usize::MAX),
            (Some((List::Json(values), _)), _) => (values.len() + KEPT_BEYOND, usize::MAX),
            (Some((List::Entries(elements), _)), _) => {
                let longest = elements.iter().map(|element| element.bytes.len()).max().unwrap_or_default();
                (elements.len() + KEPT_BEYOND, longest + KEPT_BYTES_BEYOND)
            }
            (None, _) => (0, 0),
        }
    }

    /// What to search for in all elements.
    fn search(&self) -> Search {
        Search::new(
            self.contains.iter().map(|(needle, _)| needle.clone()).collect(),
            self.matches.iter().map(|pattern| pattern.regex.clone()).collect(),
            self.schema.as_ref().map(|(schema, _)| schema.clone()),
        )
    }

    /// Reports what differs from the expectation. `what` is an output or the log, and `file` is the file of the case.
    pub(crate) fn judge(&self, what: &str, file: &Path, collected: &Capture) -> Vec<Diagnostic> {
        let wrong = |message: String, span: &Range<usize>, text: String| {
            Diagnostic::error(codes::UNEXPECTED_OUTPUT, message).label(file, span.clone(), text)
        };
        let mut found = Vec::new();
        if let Some((elements, span)) = self.elements.as_ref().filter(|_| !self.bless) {
            let lines = self.difference(elements, collected);
            if !lines.is_empty() {
                let expected = format!("expected {}, got {}", counted(elements.len() as u64), collected.count);
                let text = format!("`-` expected, `+` actual\n{}", lines.join("\n"));
                let diagnostic = wrong(format!("{what} is not as expected"), span, expected).note(text);
                found.push(match &self.file {
                    Some(_) => {
                        diagnostic.help("if the actual output is right, `cargo torvyn test --bless` updates the file")
                    }
                    None => diagnostic,
                });
            }
        }
        if let Some(count) = self.count.as_ref().filter(|count| !count.contains(collected.count)) {
            let message = format!("{what} has {}", counted(collected.count));
            found.push(wrong(message, &count.span, format!("expected {count}")));
        }
        let search = &collected.search;
        let not_in = || format!("searched {}", counted(collected.count));
        for ((needle, span), _) in self.contains.iter().zip(&search.found).filter(|(_, found)| !**found) {
            let message = format!("no element of {what} contains {}", diff::shown(needle, 0));
            found.push(wrong(message, span, not_in()));
        }
        for (Pattern { regex, span }, _) in self.matches.iter().zip(&search.matched).filter(|(_, matched)| !**matched) {
            let message = format!("no element of {what} matches `{}`", printable(regex.as_str(), false));
            let diagnostic = wrong(message, span, not_in());
            found.push(match search.no_text {
                0 => diagnostic,
                1 => diagnostic.note("1 element is not UTF-8 and cannot match"),
                count => diagnostic.note(format!("{} are not UTF-8 and cannot match", counted(count))),
            });
        }
        if let Some((_, span)) = self.schema.as_ref().filter(|_| search.refused > 0) {
            let do_not = if search.refused == 1 { "does not" } else { "do not" };
            let message = format!("{what} has {} that {do_not} match the schema", counted(search.refused));
            found.push(wrong(message, span, format!("out of {}", counted(collected.count))).note(search.refusals()));
        }
        found
    }

    fn difference(&self, expected: &List, collected: &Capture) -> Vec<String> {
        let got = &collected.kept[..];
        let mut lines = match &self.file {
            Some((_, framing, bytes)) if is_encoded(*framing, bytes, collected) => Vec::new(),
            Some((_, OutputFraming::Raw, bytes)) => {
                let whole = Entry::plain(encode(got, OutputFraming::Raw));
                List::Entries(vec![Entry::plain(bytes.clone())]).difference(&[whole], false)
            }
            _ => expected.difference(got, self.any_order),
        };
        let not_kept = collected.count - got.len() as u64;
        if not_kept > 0 {
            lines.push(format!("... and {}", plural::counted(not_kept, "more element")));
        }
        lines
    }

    /// If the file of expected elements is to be updated: its path, its new contents, and whether these differ from the
    /// present ones.
    pub(crate) fn blessed(&self, collected: &Capture) -> Option<(&Path, Vec<u8>, bool)> {
        let (path, framing, bytes) = self.file.as_ref().filter(|_| self.bless)?;
        let same_in_any_order = self.any_order
            && self.elements.as_ref().is_some_and(|(all, _)| all.difference(&collected.kept, true).is_empty());
        let now = if same_in_any_order { bytes.clone() } else { encode(&collected.kept, *framing) };
        let is_new = now != *bytes || !path.exists();
        Some((path, now, is_new))
    }
}

/// Whether the encoded elements equal the bytes of the file.
fn is_encoded(framing: OutputFraming, bytes: &[u8], collected: &Capture) -> bool {
    collected.count == collected.kept.len() as u64 && encode(&collected.kept, framing) == bytes
}

/// A number of elements, for people.
pub(crate) fn counted(count: u64) -> String {
    plural::counted(count, "element")
}

/// Encodes elements as an output writes them.
fn encode(elements: &[Entry], framing: OutputFraming) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
        let element = &element.bytes;
        if framing == OutputFraming::LengthPrefixed {
            bytes.extend((element.len() as u32).to_be_bytes());
        }
        bytes.extend(element);
        if framing == OutputFraming::Lines {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// Decodes elements that an output has written. An incomplete element at the end counts as an element.
pub(crate) fn decode(bytes: &[u8], framing: OutputFraming) -> Vec<Vec<u8>> {
    match framing {
        OutputFraming::Raw => vec![bytes.to_vec()],
        OutputFraming::Lines => {
            let line = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
            bytes.split_inclusive(|byte| *byte == b'\n').map(line).collect()
        }
        OutputFraming::LengthPrefixed => {
            let (mut rest, mut elements) = (bytes, Vec::new());
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = (u32::from_be_bytes(*length) as usize).min(after.len());
                elements.push(after[..length].to_vec());
                rest = &after[length..];
            }
            if !rest.is_empty() {
                elements.push(rest.to_vec());
            }
            elements
        }
    }
}
