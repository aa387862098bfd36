//! The outputs of a pipeline in the host: where elements go that no sink component takes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use torvyn_runtime::endpoint::OutputFraming;
use torvyn_runtime::pipeline::graph::Merge;

use super::feed::{self, Feed};
use super::name;
use crate::config::toml_reader::{Field, Report, Table};

/// Where the host writes the elements of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// A file, which is replaced.
    File {
        /// The path of the file.
        path: PathBuf,
        /// How elements are written one after another.
        framing: OutputFraming,
    },
    /// Standard output.
    Stdout {
        /// How elements are written one after another.
        framing: OutputFraming,
    },
    /// Nowhere: elements are dropped.
    Discard,
}

/// An output of a pipeline, with its name in the graph and its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedOutput {
    /// Unique in the pipeline.
    pub(crate) name: String,
    /// Where elements are written.
    pub(crate) output: Output,
    /// The inputs of the output, which are merged.
    pub(crate) from: Vec<Feed>,
    /// Which input is taken from next.
    pub(crate) merge: Merge,
    /// The place in the manifest; none for an output that the manifest does not declare.
    pub(super) span: Option<Range<usize>>,
}

impl Output {
    /// The output for a path on the command line, where `-` is standard output. It keeps the framing of the output that it
    /// replaces.
    pub(crate) fn from_argument(argument: &Path, replaced: Option<&Output>) -> Self {
        let framing = match replaced {
            Some(Output::File { framing, .. } | Output::Stdout { framing }) => *framing,
            Some(Output::Discard) | None => OutputFraming::default(),
        };
        Output::at(argument, Path::new(""), framing)
    }

    fn at(path: &Path, folder: &Path, framing: OutputFraming) -> Self {
        if path == Path::new("-") {
            Output::Stdout { framing }
        } else {
            Output::File { path: folder.join(path), framing }
        }
    }

    fn read(table: &Table, report: &mut Report) -> Option<Self> {
        let field = table.need_one(&["file", "stdout", "discard"], report)?;
        if field.key == "discard" {
            table.exclude("as", &field, report);
            return field.only_true(report).map(|()| Output::Discard);
        }
        let framing = match table.get("as") {
            Some(field) => read_framing(&field, report),
            None => Some(OutputFraming::default()),
        };
        if field.key == "stdout" {
            field.only_true(report)?;
            return Some(Output::Stdout { framing: framing? });
        }
        let path = report.folder().join(field.text(report)?);
        Some(Output::File { path, framing: framing? })
    }
}

/// Reads `as`: how elements are written one after another.
pub(crate) fn read_framing(field: &Field, report: &mut Report) -> Option<OutputFraming> {
    Some(match field.choice(&["lines", "length-prefixed", "raw"], report)? {
        "lines" => OutputFraming::Lines,
        "length-prefixed" => OutputFraming::LengthPrefixed,
        _ => OutputFraming::Raw,
    })
}

/// An output as written in the manifest: its `from` is resolved once all stages are known.
pub(super) struct Written<'a> {
    pub(super) output: NamedOutput,
    pub(super) from: Option<Field<'a>>,
}

impl<'a> Written<'a> {
    /// Reads `output`: a path, a table, or an array of these.
    pub(super) fn read_all(field: &Field<'a>, report: &mut Report) -> Vec<Self> {
        match field.value {
            DeValue::Array(_) => {
                let items = field.items(report).unwrap_or_default();
                items.iter().enumerate().filter_map(|(index, item)| Written::read(index, item, report)).collect()
            }
            _ => Written::read(0, field, report).into_iter().collect(),
        }
    }

    fn read(index: usize, field: &Field<'a>, report: &mut Report) -> Option<Self> {
        let default_name =
            if index == 0 { name::OUTPUT.to_string() } else { format!("{}-{}", name::OUTPUT, index + 1) };
        let named = |name, output, merge, span| NamedOutput { name, output, from: Vec::new(), merge, span: Some(span) };
        match field.value {
            DeValue::String(_) => {
                let output = Output::at(Path::new(field.text(report)?), report.folder(), OutputFraming::default());
                Some(Written { output: named(default_name, output, Merge::default(), field.span.clone()), from: None })
            }
            DeValue::Table(_) => {
                let table =
                    field.table("an output", &["name", "from", "merge", "file", "stdout", "discard", "as"], report)?;
                let output = Output::read(&table, report);
                let merge = feed::read_merge(&table, report).unwrap_or_default();
                let (name, span) = match table.get("name") {
                    Some(field) => {
                        let name = field.text(report)?;
                        name::check(name, &field.span, &[name::INPUT], report);
                        (name.to_string(), field.span)
                    }
                    None => (default_name, table.span.clone()),
                };
                Some(Written { output: named(name, output?, merge, span), from: table.get("from") })
            }
            _ => {
                field.wrong_type("a path, a table or an array of these", report);
                None
            }
        }
    }
}
