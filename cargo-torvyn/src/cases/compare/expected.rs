//! What a case expects of the elements of an output, or of the lines that stages print, as it is written. `expectation`
//! compares it with the actual elements.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::base::regular_file;
use torvyn_runtime::endpoint::OutputFraming;

use crate::cases::compare::amount::Amount;
use crate::cases::compare::element::{ElementSpec, Entry};
use crate::cases::compare::expectation::{self, Expectation, List};
use crate::cases::compare::json::{self, Value};
use crate::cases::compare::literal::Literal;
use crate::cases::compare::pattern::Pattern;
use crate::cases::compare::schema::Schema;
use crate::config::document;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::output::framing;
use crate::output::diagnostic::Diagnostics;

/// What is expected of elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    elements: Option<Elements>,
    any_order: bool,
    count: Option<Amount<u64>>,
    contains: Vec<(Literal, Range<usize>)>,
    matches: Vec<Pattern>,
    schema: Option<(PathBuf, Range<usize>)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Elements {
    what: ElementsSpec,
    span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum ElementsSpec {
    Written(Vec<ElementSpec>),
    File { path: PathBuf, framing: OutputFraming },
    Json(Vec<Value>),
}

impl Expected {
    /// The files of expected elements, and the files that they refer to.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        self.file().into_iter().chain(self.read_paths()).collect()
    }

    /// The file of expected elements.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self.elements.as_ref().map(|elements| &elements.what) {
            Some(ElementsSpec::File { path, .. }) => Some(path),
            _ => None,
        }
    }

    /// The files that `--bless` never writes: all but the file of expected elements.
    pub(crate) fn read_paths(&self) -> Vec<&Path> {
        let elements = match self.elements.as_ref().map(|elements| &elements.what) {
            Some(ElementsSpec::Written(written)) => {
                written.iter().filter_map(|element| element.payload.path()).collect()
            }
            Some(ElementsSpec::File { .. } | ElementsSpec::Json(_)) | None => Vec::new(),
        };
        let contains = self.contains.iter().filter_map(|(literal, _)| literal.path());
        let schema = self.schema.iter().map(|(path, _)| path.as_path());
        elements.into_iter().chain(contains).chain(schema).collect()
    }

    const KEYS: [&str; 10] =
        ["lines", "elements", "json", "file", "as", "any-order", "count", "contains", "matches", "schema"];
    const LOG_KEYS: [&str; 5] = ["lines", "any-order", "count", "contains", "matches"];
    /// The keys that list the expected elements.
    const LISTS: [&str; 4] = ["lines", "elements", "json", "file"];

    /// Reads the table of an output.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<Expected> {
        Expected::read_keys(field, "what is expected of an output", &Expected::KEYS, report)
    }

    /// Reads the table of dead letters. Its additional key `reason` is left to the caller, who gets the table.
    pub(crate) fn read_letters<'a>(field: &Field<'a>, report: &mut Report) -> Option<(Expected, Table<'a>)> {
        let keys = [&Expected::KEYS[..], &["reason"]].concat();
        let table = field.table("what is expected of dead letters", &keys, report)?;
        Some((Expected::read_table(&table, &keys, report)?, table))
    }

    /// Reads the table of what stages print.
    pub(crate) fn read_log(field: &Field, report: &mut Report) -> Option<Expected> {
        Expected::read_keys(field, "what is expected of the log", &Expected::LOG_KEYS, report)
    }

    fn read_keys(field: &Field, what: &'static str, keys: &[&str], report: &mut Report) -> Option<Expected> {
        let table = field.table(what, keys, report)?;
        Expected::read_table(&table, keys, report)
    }

    fn read_table(table: &Table, keys: &[&str], report: &mut Report) -> Option<Expected> {
        let is_written = |key: &&&str| table.get(key).is_some();
        let elements = match Expected::LISTS.iter().filter(is_written).count() {
            0 => None,
            _ => Some(table.need_one(&Expected::LISTS, report)?),
        };
        let framing = match (table.get("as"), &elements) {
            (None, _) => OutputFraming::default(),
            (Some(field), Some(elements)) if elements.key == "file" => framing::read_value(&field, report)?,
            (Some(_), Some(elements)) => {
                table.exclude("as", elements, report);
                return None;
            }
            (Some(_), None) => {
                table.report_missing(&["file"], report);
                return None;
            }
        };
        let what = match &elements {
            None => None,
            Some(field) => Some(Elements {
                what: match field.key {
                    "lines" => ElementsSpec::Written(ElementSpec::read_lines(field, report)?),
                    "elements" => ElementsSpec::Written(ElementSpec::read_all(field, &[], report)?),
                    "json" => ElementsSpec::Json(json::read(field, report)?),
                    _ => ElementsSpec::File { path: report.folder().join(field.text(report)?), framing },
                },
                span: field.span.clone(),
            }),
        };
        let any_order = table.get("any-order");
        if let Some(field) = &any_order {
            field.only_true(report)?;
            if what.is_none() {
                let known: Vec<_> = Expected::LISTS.into_iter().filter(|key| keys.contains(key)).collect();
                table.report_missing(&known, report);
            }
            if let Some(framing) = table.get("as").filter(|_| framing == OutputFraming::Raw) {
                table.exclude("any-order", &framing, report);
                return None;
            }
        }
        let contains = match table.get("contains") {
            Some(field) if matches!(field.value, DeValue::Array(_)) => field.nonempty_items(report)?,
            field => field.into_iter().collect(),
        };
        let contains = contains.iter().map(|item| Some((Literal::read(item, report)?, item.span.clone())));
        Some(Expected {
            elements: what,
            any_order: any_order.is_some(),
            contains: contains.collect::<Option<_>>()?,
            matches: match table.get("matches") {
                Some(field) => Pattern::read_all(&field, report)?,
                None => Vec::new(),
            },
            schema: match table.get("schema") {
                Some(field) => Some((report.folder().join(field.text(report)?), field.span)),
                None => None,
            },
            count: match table.get("count") {
                Some(field) => Some(Amount::read(&field, report)?),
                None => None,
            },
        })
    }

    /// Loads the files of the expectation. `file` is the file of the case. With `bless`, files of elements will be updated
    /// and need not exist.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub(crate) fn load(&self, file: &Path, bless: bool) -> Result<Expectation, Diagnostics> {
        let mut wanted = Expectation {
            any_order: self.any_order,
            count: self.count.clone(),
            matches: self.matches.clone(),
            ..Expectation::default()
        };
        if let Some((path, span)) = &self.schema {
            wanted.schema = Some((Arc::new(Schema::load(path, file, span)?), span.clone()));
        }
        for (literal, span) in &self.contains {
            wanted.contains.push((literal.bytes(file)?, span.clone()));
        }
        let Some(Elements { what, span }) = &self.elements else { return Ok(wanted) };
        let elements = match what {
            ElementsSpec::Json(values) => List::Json(values.clone()),
            ElementsSpec::Written(written) => {
                List::Entries(written.iter().map(|element| element.entry(file)).collect::<Result<_, _>>()?)
            }
            ElementsSpec::File { path, framing } => {
                let bytes = match regular_file::read(path) {
                    Err(error) if !bless || path.is_dir() => {
                        let wrong = document::unreadable(path, &error).label(file, span.clone(), "");
                        return Err(wrong
                            .help("create it from the actual output with `cargo torvyn test --bless`")
                            .into());
                    }
                    read => read.unwrap_or_default(),
                };
                let elements =
                    List::Entries(expectation::decode(&bytes, *framing).into_iter().map(Entry::plain).collect());
                wanted.bless = bless;
                wanted.file = Some((path.clone(), *framing, bytes));
                elements
            }
        };
        wanted.elements = Some((elements, span.clone()));
        Ok(wanted)
    }
}
