//! What a case expects of the elements of an output, or of the lines that stages print, and whether that is what came.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use torvyn_runtime::endpoint::OutputFraming;

use super::amount::Amount;
use super::collected::Collected;
use super::diff;
use super::literal::Literal;
use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document;
use crate::manifest::read_output_framing;
use crate::table::{Field, Report};

/// Elements beyond the expected ones that are kept, to be shown.
const KEPT_BEYOND: usize = 64;

/// What is expected of elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    elements: Option<Elements>,
    any_order: bool,
    count: Option<Amount<u64>>,
    contains: Vec<(Literal, Range<usize>)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Elements {
    what: What,
    span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Written(Vec<Literal>),
    File { path: PathBuf, framing: OutputFraming },
}

/// What is expected, with the bytes of all files in it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    elements: Option<(Vec<Vec<u8>>, Range<usize>)>,
    /// The file that the elements are to be in, and all that is in it now.
    file: Option<(PathBuf, OutputFraming, Vec<u8>)>,
    any_order: bool,
    count: Option<Amount<u64>>,
    contains: Vec<(Vec<u8>, Range<usize>)>,
    /// Whether the file is written anew instead of compared.
    bless: bool,
}

impl Expected {
    /// The files that are compared with, or that elements are in.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let elements = match self.elements.as_ref().map(|elements| &elements.what) {
            Some(What::Written(literals)) => literals.iter().filter_map(Literal::path).collect(),
            Some(What::File { path, .. }) => vec![path.as_path()],
            None => Vec::new(),
        };
        let contains = self.contains.iter().filter_map(|(literal, _)| literal.path());
        elements.into_iter().chain(contains).collect()
    }

    const KEYS: [&str; 7] = ["lines", "elements", "file", "as", "any-order", "count", "contains"];

    /// Reads the table of an output.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Expected> {
        Expected::read_keys(field, "what is expected of an output", &Expected::KEYS, report)
    }

    /// Reads the table of what stages print.
    pub(super) fn read_log(field: &Field, report: &mut Report) -> Option<Expected> {
        Expected::read_keys(field, "what is expected of the log", &["lines", "any-order", "count", "contains"], report)
    }

    fn read_keys(field: &Field, what: &'static str, keys: &[&str], report: &mut Report) -> Option<Expected> {
        let table = field.table(what, keys, report)?;
        let is_written = |key: &&&str| table.get(key).is_some();
        let elements = match ["lines", "elements", "file"].iter().filter(is_written).count() {
            0 => None,
            _ => Some(table.need_one(&["lines", "elements", "file"], report)?),
        };
        let framing = match (table.get("as"), &elements) {
            (None, _) => OutputFraming::default(),
            (Some(field), Some(elements)) if elements.key == "file" => read_output_framing(&field, report)?,
            (Some(_), Some(elements)) => {
                table.exclude("as", elements, report);
                return None;
            }
            (Some(_), None) => {
                table.missing(&["file"], report);
                return None;
            }
        };
        let what = match &elements {
            None => None,
            Some(field) => Some(Elements {
                what: match field.key {
                    "lines" => What::Written(Literal::read_lines(field, report)?),
                    "elements" => What::Written(Literal::read_all(field, report)?),
                    _ => What::File { path: report.folder().join(field.text(report)?), framing },
                },
                span: field.span.clone(),
            }),
        };
        let any_order = table.get("any-order");
        if let Some(field) = &any_order {
            field.only_true(report)?;
            if what.is_none() {
                table.missing(&["lines", "elements", "file"], report);
            }
        }
        let contains = match table.get("contains") {
            Some(field) if matches!(field.value, DeValue::Array(_)) => field.items(report)?,
            field => field.into_iter().collect(),
        };
        let contains = contains.iter().map(|item| Some((Literal::read(item, report)?, item.span.clone())));
        Some(Expected {
            elements: what,
            any_order: any_order.is_some(),
            contains: contains.collect::<Option<_>>()?,
            count: match table.get("count") {
                Some(field) => Some(Amount::read(&field, report)?),
                None => None,
            },
        })
    }

    /// With the bytes of its files. `file` is the one that the case is in; with `bless` the files of elements need not be
    /// there, and will be written anew.
    ///
    /// # Errors
    ///
    /// The files that cannot be read.
    pub(super) fn wanted(&self, file: &Path, bless: bool) -> Result<Wanted, Diagnostics> {
        let mut wanted = Wanted { any_order: self.any_order, count: self.count.clone(), ..Wanted::default() };
        for (literal, span) in &self.contains {
            wanted.contains.push((literal.bytes(file)?, span.clone()));
        }
        let Some(Elements { what, span }) = &self.elements else { return Ok(wanted) };
        let elements = match what {
            What::Written(literals) => literals.iter().map(|literal| literal.bytes(file)).collect::<Result<_, _>>()?,
            What::File { path, framing } => {
                let bytes = match fs::read(path) {
                    Err(error) if !bless || path.is_dir() => {
                        let wrong = document::unreadable(path, &error).label(file, span.clone(), "");
                        return Err(wrong.help("`cargo torvyn test --bless` writes what comes out").into());
                    }
                    read => read.unwrap_or_default(),
                };
                let elements = cut(&bytes, *framing);
                wanted.bless = bless;
                wanted.file = Some((path.clone(), *framing, bytes));
                elements
            }
        };
        wanted.elements = Some((elements, span.clone()));
        Ok(wanted)
    }
}

impl Wanted {
    /// How many elements have to be kept to compare them, or all.
    pub(super) fn kept(&self) -> Option<usize> {
        match (&self.elements, &self.file) {
            (_, Some((_, OutputFraming::Raw, _))) => None,
            _ if self.bless => None,
            (Some((elements, _)), _) => Some(elements.len() + KEPT_BEYOND),
            (None, _) => Some(0),
        }
    }

    /// The texts that elements have to contain.
    pub(super) fn needles(&self) -> Vec<Vec<u8>> {
        self.contains.iter().map(|(needle, _)| needle.clone()).collect()
    }

    /// What is not as expected. `what` is an output or the log, and `file` that of the case.
    pub(super) fn judge(&self, what: &str, file: &Path, collected: &Collected) -> Vec<Diagnostic> {
        let wrong = |message: String, span: &Range<usize>, text: String| {
            Diagnostic::error(code::UNEXPECTED_OUTPUT, message).label(file, span.clone(), text)
        };
        let mut found = Vec::new();
        if let Some((elements, span)) = self.elements.as_ref().filter(|_| !self.bless) {
            let lines = self.difference(elements, collected);
            if !lines.is_empty() {
                let expected = format!("expected {}, {} came", counted(elements.len() as u64), collected.count);
                let text = format!("`-` was expected, `+` came\n{}", lines.join("\n"));
                let diagnostic = wrong(format!("{what} is not as expected"), span, expected).note(text);
                found.push(match &self.file {
                    Some(_) => {
                        diagnostic.help("where it is right, `cargo torvyn test --bless` writes it into the file")
                    }
                    None => diagnostic,
                });
            }
        }
        if let Some(count) = self.count.as_ref().filter(|count| !count.holds(collected.count)) {
            let message = format!("{what} has {}", counted(collected.count));
            found.push(wrong(message, &count.span, format!("expected {count}")));
        }
        for ((needle, span), _) in self.contains.iter().zip(&collected.found).filter(|(_, found)| !**found) {
            let message = format!("no element of {what} contains {}", diff::shown(needle, 0));
            found.push(wrong(message, span, format!("not in {}", counted(collected.count))));
        }
        found
    }

    fn difference(&self, expected: &[Vec<u8>], collected: &Collected) -> Vec<String> {
        let got = &collected.kept[..];
        let mut lines = match &self.file {
            Some((_, framing, bytes)) if is_framed(*framing, bytes, collected) => Vec::new(),
            Some((_, OutputFraming::Raw, bytes)) => diff::ordered(std::slice::from_ref(bytes), &[got.concat()]),
            _ if self.any_order => diff::unordered(expected, got),
            _ if expected == got => Vec::new(),
            _ => diff::ordered(expected, got),
        };
        let not_kept = collected.count - got.len() as u64;
        if not_kept > 0 {
            lines.push(format!("... and {} more came", counted(not_kept)));
        }
        lines
    }

    /// The file to write anew, and what into it, where it is to be and differs.
    pub(super) fn blessed(&self, collected: &Collected) -> Option<(&Path, Vec<u8>)> {
        let (path, framing, bytes) = self.file.as_ref().filter(|_| self.bless)?;
        let same_in_any_order = self.any_order
            && self.elements.as_ref().is_some_and(|(all, _)| diff::unordered(all, &collected.kept).is_empty());
        let now = framed(&collected.kept, *framing);
        (now != *bytes && !same_in_any_order || !path.exists()).then_some((path, now))
    }
}

/// Whether the elements, written down, are the bytes of the file.
fn is_framed(framing: OutputFraming, bytes: &[u8], collected: &Collected) -> bool {
    collected.count == collected.kept.len() as u64 && framed(&collected.kept, framing) == bytes
}

/// A number of elements, for people.
pub(super) fn counted(count: u64) -> String {
    if count == 1 { "1 element".to_string() } else { format!("{count} elements") }
}

/// Elements one after another, as an output writes them.
fn framed(elements: &[Vec<u8>], framing: OutputFraming) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
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

/// The elements that were written so; a part of one at the end is one.
fn cut(bytes: &[u8], framing: OutputFraming) -> Vec<Vec<u8>> {
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
