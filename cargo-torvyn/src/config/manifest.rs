//! `Torvyn.toml`: the pipelines and the cases a person wrote, read with their places.
//!
//! The way from text to graph: [`Manifest::load`] → the text as TOML → each table through `table`, which reports what is
//! wrong and goes on → `feed` follows each `from` → [`Manifest::select`] → [`Pipeline::wire`] with the roles of the built
//! components. Nothing here builds or runs anything.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::config::document;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources, quoted, suggestion};

pub(crate) use config::read as read_config;
pub(crate) use input::Input;
pub(crate) use output::{NamedOutput, Output, read_framing as read_output_framing};
pub(crate) use part::{NoPart, Part};
pub(crate) use pipeline::Pipeline;
pub(crate) use pool::Pool;
pub(crate) use runtime::Runtime;
pub(crate) use stage::{ComponentRef, Stage};
pub(crate) use wiring::{WiredNode, Wiring};

mod config;
mod feed;
mod from;
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

/// Why a package of the workspace is not a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// What it is, and what is missing.
    pub(crate) why: String,
    /// What to type.
    pub(crate) help: String,
}

/// The pipelines of a `Torvyn.toml`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// The file.
    pub(crate) path: PathBuf,
    /// In the order of the file, without those that are broken.
    pub(crate) pipelines: Vec<Pipeline>,
    /// The name of the pipeline that is meant where none is named.
    pub(crate) default: Option<String>,
    /// Pipelines with something wrong in them. The others can be used all the same.
    pub(crate) broken: Vec<Broken>,
    /// What goes for whichever pipeline runs.
    pub(crate) runtime: Runtime,
}

/// A pipeline or a case with something wrong in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    /// Its name, as far as it has one.
    pub(crate) name: Option<String>,
    /// What is wrong.
    pub(crate) found: Diagnostics,
}

impl Manifest {
    /// Reads a file, whose text is kept in `sources` for the places of this and later diagnostics. What is wrong in one
    /// pipeline is kept with it. Its cases are read by `cases`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it, where something is that is in no pipeline.
    pub(crate) fn load(path: &Path, sources: &mut Sources) -> Result<Self, Diagnostics> {
        let text = document::read(path, sources).map_err(with_help)?;
        let mut report = Report { file: path, found: Diagnostics::default() };
        let document = document::parse(&text, &mut report);
        let manifest = document.and_then(|document| Manifest::read(&document, &mut report));
        match manifest {
            Some(manifest) if report.found.is_empty() => Ok(manifest),
            Some(manifest) => {
                report.found.extend(manifest.wrong());
                report.found.sort_by_place();
                Err(report.found)
            }
            None => {
                report.found.sort_by_place();
                Err(report.found)
            }
        }
    }

    /// Reads the text of the file `path`, in which nothing may be wrong.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    #[cfg(test)]
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Diagnostics> {
        let mut report = Report { file: path, found: Diagnostics::default() };
        let document = document::parse(text, &mut report);
        let manifest = document.and_then(|document| Manifest::read(&document, &mut report));
        report.found.extend(manifest.iter().flat_map(Manifest::wrong));
        report.found.sort_by_place();
        manifest.filter(|_| report.found.is_empty()).ok_or(report.found)
    }

    /// What is wrong in its pipelines.
    pub(crate) fn wrong(&self) -> Vec<Diagnostic> {
        self.broken.iter().flat_map(|broken| broken.found.iter().cloned()).collect()
    }

    fn read(document: &DeTable, report: &mut Report) -> Option<Self> {
        let table = Table::new("the manifest", 0..0, document, &["default", "pipeline", "runtime", "test"], report);
        let runtime = table.get("runtime").and_then(|field| Runtime::read(&field, report)).unwrap_or_default();
        let fields = table.need("pipeline", report).map(|field| read_pipelines(&field, report));
        let fields = fields.unwrap_or_default();
        let read = |field: &Field<'_>| {
            let name = Some(field.key.to_string());
            report.alone(|report| Pipeline::read(field, report)).map_err(|found| Broken { name, found })
        };
        let (pipelines, broken) = sorted(fields.iter().map(read).collect());

        let names: Vec<_> = fields.iter().map(|field| field.key).collect();
        let default = match table.get("default") {
            Some(field) => {
                let name = field.text(report);
                if let Some(name) = name.filter(|name| !names.contains(name)) {
                    report.found.push(unknown_pipeline(name, &names).label(report.file, field.span, ""));
                }
                name
            }
            None if names.len() == 1 => Some(names[0]),
            None => names.into_iter().find(|name| *name == "main"),
        };
        let (path, default) = (report.file.to_path_buf(), default.map(str::to_string));
        Some(Manifest { path, pipelines, broken, default, runtime })
    }

    /// The pipeline of a name, or the default one.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, or no default; and what is wrong with it.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<&Pipeline, Diagnostics> {
        let broken = self.broken.iter().filter_map(|broken| broken.name.as_deref());
        let names: Vec<_> = self.pipelines.iter().map(|pipeline| pipeline.name.as_str()).chain(broken).collect();
        let Some(name) = name.or(self.default.as_deref()) else {
            let help =
                format!("name one of {}, or write one into {} as `default`", quoted(&names), self.path.display());
            let message = "there are several pipelines and none is the default";
            return Err(Diagnostic::error(codes::NO_DEFAULT_PIPELINE, message).help(help).into());
        };
        if let Some(broken) = self.broken.iter().find(|broken| broken.name.as_deref() == Some(name)) {
            return Err(broken.found.clone());
        }
        let found = self.pipelines.iter().find(|pipeline| pipeline.name == name);
        found.ok_or_else(|| unknown_pipeline(name, &names).into())
    }
}

/// What could be read, and what could not.
pub(crate) fn sorted<T>(read: Vec<Result<T, Broken>>) -> (Vec<T>, Vec<Broken>) {
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for one in read {
        match one {
            Ok(one) => good.push(one),
            Err(one) => broken.push(one),
        }
    }
    (good, broken)
}

/// The pipelines in the order of the file, none where something else is wrong.
fn read_pipelines<'a>(field: &Field<'a>, report: &mut Report) -> Vec<Field<'a>> {
    let Some(entries) = field.value.as_table() else {
        field.wrong_type("a table", report);
        return Vec::new();
    };
    let fields = Field::all(entries);
    if fields.is_empty() {
        field.wrong(codes::EMPTY, "there is no pipeline", "", report);
    }
    if let Some(unnamed) = fields.iter().find(|field| pipeline::KEYS.contains(&field.key) && !field.value.is_table()) {
        report.found.push(
            Diagnostic::error(codes::WRONG_TYPE, "a pipeline needs a name")
                .label(report.file, unnamed.key_span.clone(), "in a pipeline without a name")
                .help("write the header as [pipeline.main]"),
        );
        return Vec::new();
    }
    fields
}

fn unknown_pipeline(name: &str, known: &[&str]) -> Diagnostic {
    Diagnostic::error(codes::UNKNOWN_PIPELINE, format!("there is no pipeline `{name}`")).help(suggestion(
        name,
        "pipelines",
        known,
    ))
}

/// Says how to come by a manifest where there is none.
fn with_help(diagnostic: Diagnostic) -> Diagnostic {
    match diagnostic.code {
        codes::NOT_FOUND => diagnostic.help("`cargo torvyn new NAME --template pipeline` makes one"),
        _ => diagnostic,
    }
}
