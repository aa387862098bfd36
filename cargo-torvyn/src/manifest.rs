//! `Torvyn.toml`: the pipelines and the cases a person wrote, read with their places.
//!
//! The way from text to graph: [`Manifest::load`] → the text as TOML → each table through `table`, which reports what is
//! wrong and goes on → `feed` follows each `from` → [`Manifest::select`] → [`Pipeline::wire`] with the roles of the built
//! components. Nothing here builds or runs anything.

mod config;
mod feed;
mod input;
mod name;
mod on_failure;
mod output;
mod part;
mod pipeline;
mod pool;
mod runtime;
mod stage;
mod stamp;
#[cfg(test)]
pub(crate) mod tests;
mod wiring;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::cases::Case;
use crate::diagnostic::{Diagnostic, Diagnostics, Sources, quoted, suggestion};
use crate::table::{Field, Report, Table};
use crate::{code, document};
pub(crate) use config::read as read_config;
pub(crate) use input::Input;
pub(crate) use output::{NamedOutput, Output, read_framing as read_output_framing};
pub(crate) use part::{NoPart, Part};
pub(crate) use pipeline::Pipeline;
pub(crate) use pool::Pool;
pub(crate) use runtime::Runtime;
pub(crate) use stage::{ComponentRef, Stage};
pub(crate) use wiring::{WiredNode, Wiring};

/// The pipelines of a `Torvyn.toml`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// The file.
    pub(crate) path: PathBuf,
    /// At least one, in the order of the file.
    pub(crate) pipelines: Vec<Pipeline>,
    /// The index of the pipeline that is meant where none is named.
    pub(crate) default: Option<usize>,
    /// What goes for whichever pipeline runs.
    pub(crate) runtime: Runtime,
    /// The cases, in the order of the file.
    pub(crate) cases: Vec<Case>,
}

impl Manifest {
    /// Reads a file, whose text is kept in `sources` for the places of this and later diagnostics.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub(crate) fn load(path: &Path, sources: &mut Sources) -> Result<Self, Diagnostics> {
        let text = document::read(path, sources).map_err(with_help)?;
        Manifest::parse(&text, path)
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Diagnostics> {
        let mut report = Report { file: path, found: Diagnostics::default() };
        let document = document::parse(text, &mut report);
        let manifest = document.and_then(|document| Manifest::read(&document, &mut report));
        report.found.sort_by_place();
        manifest.filter(|_| report.found.is_empty()).ok_or(report.found)
    }

    fn read(document: &DeTable, report: &mut Report) -> Option<Self> {
        let table = Table::new("the manifest", 0..0, document, &["default", "pipeline", "runtime", "test"], report);
        let runtime = table.get("runtime").and_then(|field| Runtime::read(&field, report)).unwrap_or_default();
        let cases = table.get("test").map(|field| Case::read_all(&field, report)).unwrap_or_default();
        let fields = table.need("pipeline", report).map(|field| read_pipelines(&field, report))?;
        let pipelines: Vec<_> = fields.iter().filter_map(|field| Pipeline::read(field, report)).collect();

        let names: Vec<_> = fields.iter().map(|field| field.key).collect();
        let default = match table.get("default") {
            Some(field) => {
                let name = field.text(report)?;
                let default = names.iter().position(|known| *known == name);
                if default.is_none() {
                    report.found.push(unknown_pipeline(name, &names).label(report.file, field.span, ""));
                }
                default
            }
            None if names.len() == 1 => Some(0),
            None => names.iter().position(|name| *name == "main"),
        };
        Some(Manifest { path: report.file.to_path_buf(), pipelines, default, runtime, cases })
    }

    /// The pipeline of a name, or the default one.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, or no default.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<&Pipeline, Diagnostic> {
        let names: Vec<_> = self.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        let Some(name) = name else {
            let no_default = || {
                let help =
                    format!("name one of {}, or write one into {} as `default`", quoted(&names), self.path.display());
                Diagnostic::error(code::NO_DEFAULT_PIPELINE, "there are several pipelines and none is the default")
                    .help(help)
            };
            return self.default.map(|index| &self.pipelines[index]).ok_or_else(no_default);
        };
        let found = self.pipelines.iter().find(|pipeline| pipeline.name == name);
        found.ok_or_else(|| unknown_pipeline(name, &names))
    }
}

/// The pipelines in the order of the file, none where something else is wrong.
fn read_pipelines<'a>(field: &Field<'a>, report: &mut Report) -> Vec<Field<'a>> {
    let Some(entries) = field.value.as_table() else {
        field.wrong_type("a table", report);
        return Vec::new();
    };
    let fields = Field::all(entries);
    if fields.is_empty() {
        field.wrong(code::EMPTY, "there is no pipeline", "", report);
    }
    if let Some(unnamed) = fields.iter().find(|field| pipeline::KEYS.contains(&field.key) && !field.value.is_table()) {
        report.found.push(
            Diagnostic::error(code::WRONG_TYPE, "a pipeline needs a name")
                .label(report.file, unnamed.key_span.clone(), "in a pipeline without a name")
                .help("write the header as [pipeline.main]"),
        );
        return Vec::new();
    }
    fields
}

fn unknown_pipeline(name: &str, known: &[&str]) -> Diagnostic {
    Diagnostic::error(code::UNKNOWN_PIPELINE, format!("there is no pipeline `{name}`")).help(suggestion(
        name,
        "pipelines",
        known,
    ))
}

/// Says how to come by a manifest where there is none.
fn with_help(diagnostic: Diagnostic) -> Diagnostic {
    match diagnostic.code {
        code::NOT_FOUND => diagnostic.help("`cargo torvyn new NAME --template pipeline` makes one"),
        _ => diagnostic,
    }
}
