//! The input of a case: elements that the case lists, or an input of the kinds that pipelines have.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::endpoint::{self, Framing, Pull, Pulled};

use crate::cases::case::arrivals::{self, Arrivals};
use crate::cases::compare::element::{self, Entry};
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::{Input, input};
use crate::output::codes;
use crate::output::diagnostic::Diagnostics;

/// The `input` of a case.
#[derive(Debug, Clone)]
pub(crate) struct CaseInput {
    what: InputSpec,
    /// When its elements arrive.
    pub(crate) arrivals: Arrivals,
    /// Where it is written.
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone)]
enum InputSpec {
    Written(Vec<element::ElementSpec>),
    Input(Arc<dyn Input>),
}

/// The input of a case, ready to be opened any number of times.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Written(Arc<[Entry]>),
    Input(Arc<dyn Input>),
}

impl CaseInput {
    /// Reads `input`: a path or a table.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<CaseInput> {
        let span = field.span.clone();
        let (what, arrivals) = match field.value {
            DeValue::String(_) => {
                let path = report.folder().join(field.text(report)?);
                (InputSpec::Input(input::file(path, Framing::default())), Arrivals::AtOnce)
            }
            DeValue::Table(_) => {
                let kinds = [&["lines", "elements"], &input::repeatable_kinds()[..]].concat();
                let options = input::options();
                let table = field.table("the input of a case", &[&kinds[..], &options, &["every"]].concat(), report)?;
                let what = table.need_one(&kinds, report)?;
                if matches!(what.key, "lines" | "elements") {
                    options.iter().for_each(|key| table.exclude(key, &what, report));
                }
                let elements = (what.key == "elements").then_some(&what);
                let arrivals = Arrivals::read(&table, elements, report);
                let what = match what.key {
                    "lines" => InputSpec::Written(element::ElementSpec::read_lines(&what, report)?),
                    "elements" => InputSpec::Written(element::ElementSpec::read_all(&what, &[arrivals::KEY], report)?),
                    _ => InputSpec::Input(read_repeatable(&table, report)?),
                };
                (what, arrivals?)
            }
            _ => {
                field.wrong_type("a path or a table", report);
                return None;
            }
        };
        Some(CaseInput { what, arrivals, span })
    }

    /// The files and folders that the input is read from.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        match &self.what {
            InputSpec::Written(written) => written.iter().filter_map(|element| element.payload.path()).collect(),
            InputSpec::Input(input) => input.path().into_iter().collect(),
        }
    }

    /// Prepares the input: files of elements are read now, other inputs are opened by each run. `file` is the file of the
    /// case.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub(crate) fn source(&self, file: &Path) -> Result<Source, Diagnostics> {
        match &self.what {
            InputSpec::Written(written) => {
                let elements: Result<Vec<_>, _> = written.iter().map(|element| element.entry(file)).collect();
                Ok(Source::Written(elements?.into()))
            }
            InputSpec::Input(input) => match input.check() {
                Some(wrong) => Err(wrong.label(file, self.span.clone(), "").into()),
                None => Ok(Source::Input(input.clone())),
            },
        }
    }
}

/// Reads an input of the kinds that pipelines have. A case reads it from its beginning to its end, every time.
fn read_repeatable(table: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let input = input::read(table, report)?;
    for field in table.fields().iter().filter(|field| !input.is_repeatable() && input::TAIL_KEYS.contains(&field.key)) {
        let message = format!("the input of a case cannot have `{}`", field.key);
        field.wrong(codes::UNKNOWN_KEY, message, "", report).help = Some("remove the key".to_string());
    }
    Some(input)
}

/// The input of a flow that delivers the elements that a case lists.
pub(crate) struct ElementInput {
    elements: Arc<[Entry]>,
    next: usize,
}

impl ElementInput {
    pub(crate) fn new(elements: Arc<[Entry]>) -> Self {
        ElementInput { elements, next: 0 }
    }
}

impl endpoint::Input for ElementInput {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let mut bytes = 0;
        let left = self.elements[self.next..].iter().take(pull.max_elements);
        let fitting = left.take_while(|element| {
            let fits = bytes < pull.max_bytes;
            bytes += element.bytes.len();
            fits
        });
        let batch: Vec<_> = fitting.collect();
        let mut block = pull.pool.take(batch.iter().map(|element| element.bytes.len()).sum());
        for element in &batch {
            block.append(&element.bytes).map_err(io::Error::other)?;
        }
        let payloads = block.freeze();
        let mut from = 0;
        for Entry { bytes, metadata, .. } in &batch {
            pull.give_with(payloads.slice(from, bytes.len()).unwrap_or_default(), metadata.clone());
            from += bytes.len();
        }
        self.next += batch.len();
        Ok(if self.next < self.elements.len() { Pulled::More } else { Pulled::End })
    }

    fn gives_deadlines(&self) -> bool {
        self.elements.iter().any(|element| element.metadata.deadline.is_some())
    }
}
