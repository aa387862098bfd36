//! The input of a pipeline in the host: where elements come from that no source component makes.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::endpoint::Framing;

use super::stamp;
use crate::config::toml_reader::{Field, Report, Table};
use crate::config::{document, ranges};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The input of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file.
    File {
        /// The path of the file.
        path: PathBuf,
        /// How it is split into elements.
        framing: Framing,
    },
    /// The files of a folder, one element each.
    Dir {
        /// The path of the folder.
        path: PathBuf,
    },
    /// Standard input.
    Stdin {
        /// How it is split into elements.
        framing: Framing,
    },
    /// Elements that the host generates.
    Generate {
        /// Number of elements.
        count: u64,
        /// Payload bytes of each element, from the smallest to the largest.
        sizes: RangeInclusive<usize>,
        /// The seed of their bytes and sizes; none if all elements are identical.
        seed: Option<u64>,
    },
}

impl Input {
    /// The input for a path on the command line, where `-` is standard input. It keeps the framing of the input that it
    /// replaces.
    pub(crate) fn from_argument(argument: &Path, replaced: Option<&Input>) -> Self {
        let framing = match replaced {
            Some(Input::File { framing, .. } | Input::Stdin { framing }) => *framing,
            Some(Input::Dir { .. } | Input::Generate { .. }) | None => Framing::default(),
        };
        Input::at(argument, Path::new(""), framing)
    }

    /// Checks the file or folder of the input. The diagnostic has no place.
    pub(crate) fn check_path(&self) -> Option<Diagnostic> {
        match self {
            Input::File { path, .. } => document::check_path(path, false),
            Input::Dir { path } => document::check_path(path, true),
            Input::Stdin { .. } | Input::Generate { .. } => None,
        }
    }

    /// The path of the file or folder, if the input is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Input::File { path, .. } | Input::Dir { path } => Some(path),
            Input::Stdin { .. } | Input::Generate { .. } => None,
        }
    }

    fn at(path: &Path, folder: &Path, framing: Framing) -> Self {
        if path == Path::new("-") { Input::Stdin { framing } } else { Input::File { path: folder.join(path), framing } }
    }

    /// Reads `input`: where elements come from, and their deadline and trace.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<(Self, Stamp)> {
        match field.value {
            DeValue::String(_) => {
                let path = Path::new(field.text(report)?);
                Some((Input::at(path, report.folder(), Framing::default()), Stamp::default()))
            }
            DeValue::Table(_) => {
                let known = ["file", "dir", "stdin", "generate", "as", "size", "keep-newline", "deadline", "trace"];
                let table = field.table("an input", &known, report)?;
                let stamp = stamp::read(&table, report);
                Input::read_table(&table, report).map(|input| (input, stamp))
            }
            _ => {
                field.wrong_type("a path or a table", report);
                None
            }
        }
    }

    /// Reads a table with one of the keys `file`, `dir`, `stdin` and `generate`.
    pub(crate) fn read_table(table: &Table, report: &mut Report) -> Option<Self> {
        let field = table.need_one(&["file", "dir", "stdin", "generate"], report)?;
        match field.key {
            "file" | "stdin" => {
                let framing = read_framing(table, report);
                if field.key == "stdin" {
                    field.only_true(report)?;
                    return Some(Input::Stdin { framing: framing? });
                }
                let path = report.folder().join(field.text(report)?);
                Some(Input::File { path, framing: framing? })
            }
            "dir" => {
                FRAMING_KEYS.iter().for_each(|key| table.exclude(key, &field, report));
                let path = report.folder().join(field.text(report)?);
                Some(Input::Dir { path })
            }
            _ => {
                FRAMING_KEYS.iter().for_each(|key| table.exclude(key, &field, report));
                let generate = field.table("`generate`", &["count", "size", "seed"], report)?;
                let count = generate.need("count", report).and_then(|field| field.count(&ranges::GENERATED, report));
                let seed = match generate.get("seed") {
                    Some(field) => field.count(&ranges::ANY, report).map(Some),
                    None => Some(None),
                };
                let sizes = generate.need("size", report).and_then(|field| read_sizes(&field, &generate, report));
                Some(Input::Generate { count: count?, sizes: sizes?, seed: seed? })
            }
        }
    }
}

/// Reads the size of generated elements: one for all, or a range from which a seed chooses.
fn read_sizes(field: &Field, generate: &Table, report: &mut Report) -> Option<RangeInclusive<usize>> {
    if !matches!(field.value, DeValue::Table(_)) {
        let size = field.size(&ranges::GENERATED_BYTES, report)?;
        return Some(size..=size);
    }
    let range = field.table("a range", &["min", "max"], report)?;
    let min: Option<usize> = range.need("min", report).and_then(|field| field.size(&ranges::GENERATED_BYTES, report));
    let max_field = range.need("max", report)?;
    let (min, max) = (min?, max_field.size(&ranges::GENERATED_BYTES, report)?);
    if min > max {
        max_field.wrong(codes::BAD_SIZE, "`max` is less than `min`", "", report);
        return None;
    }
    generate.need("seed", report)?;
    Some(min..=max)
}

/// The keys that say how bytes are split into elements.
const FRAMING_KEYS: [&str; 3] = ["as", "size", "keep-newline"];

fn read_framing(table: &Table, report: &mut Report) -> Option<Framing> {
    let keep_newline = table.get("keep-newline").is_some_and(|field| field.only_true(report).is_some());
    let lines = Framing::Lines { keep_newline };
    let Some(field) = table.get("as") else {
        // A size without `as` can only mean chunks; require the explicit `as`.
        return match table.get("size") {
            Some(_) => table.need("as", report).and(None),
            None => Some(lines),
        };
    };
    let name = field.choice(&["lines", "chunks", "length-prefixed", "whole"], report)?;
    if name != "lines" {
        table.exclude("keep-newline", &field, report);
    }
    let framing = match name {
        "chunks" => return table.need("size", report)?.size(&ranges::CHUNK_BYTES, report).map(Framing::Chunks),
        "lines" => lines,
        "length-prefixed" => Framing::LengthPrefixed,
        _ => Framing::Whole,
    };
    table.exclude("size", &field, report);
    Some(framing)
}
