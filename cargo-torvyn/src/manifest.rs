//! `Torvyn.toml`: the pipelines and their settings, with places. `cases` reads the test cases in it.
//!
//! From text to graph: [`Manifest::load`] parses the text as TOML → each table is read through `toml_reader`, which reports
//! errors and continues → `from` resolves each `from` → [`Manifest::select`] → [`Pipeline::wire`] with the roles of the built
//! components. Nothing here builds or runs anything.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::config::document;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources, quoted, suggestion};

pub(crate) use config::read as read_config;
pub(crate) use output::NamedOutput;
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
mod replicas;
mod runtime;
mod stage;
mod stamp;
#[cfg(test)]
pub(crate) mod tests;
mod wiring;

/// Why a package of the workspace is not a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// What is missing, as a message.
    pub(crate) why: String,
    /// What to type.
    pub(crate) help: String,
}

/// The pipelines of a `Torvyn.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// The file.
    pub(crate) path: PathBuf,
    /// The valid pipelines, in file order.
    pub(crate) pipelines: Vec<Pipeline>,
    /// The name of the default pipeline.
    pub(crate) default: Option<String>,
    /// The pipelines with errors. The others can still be used.
    pub(crate) broken: Vec<Broken>,
    /// The settings for every pipeline.
    pub(crate) runtime: Runtime,
}

/// A pipeline or a case with errors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    /// The name, if known.
    pub(crate) name: Option<String>,
    /// The errors.
    pub(crate) found: Diagnostics,
}

impl Manifest {
    /// Reads a file and keeps its text in `sources` for this and later diagnostics. Errors within a pipeline are kept in
    /// `broken`.
    ///
    /// # Errors
    ///
    /// All errors in the file, if at least one of them is outside of the pipelines.
    pub(crate) fn load(path: &Path, sources: &mut Sources) -> Result<Self, Diagnostics> {
        Manifest::load_with(path, sources, |_, _| ()).map(|(manifest, _)| manifest)
    }

    /// Like [`Manifest::load`], with the test cases as `read_cases` reads them from `test`. The default if there is no `test`.
    ///
    /// # Errors
    ///
    /// As [`Manifest::load`], also those that `read_cases` reports.
    pub(crate) fn load_with<C: Default>(
        path: &Path,
        sources: &mut Sources,
        read_cases: impl FnOnce(&Field, &mut Report) -> C,
    ) -> Result<(Self, C), Diagnostics> {
        let text = document::read(path, sources).map_err(with_help)?;
        let mut report = Report { file: path, found: Diagnostics::default() };
        let read = document::parse(&text, &mut report).and_then(|document| {
            let cases = Field::find(&document, "test").map(|field| read_cases(&field, &mut report));
            Some((Manifest::read(&document, &mut report)?, cases.unwrap_or_default()))
        });
        match read {
            Some(read) if report.found.is_empty() => Ok(read),
            Some((manifest, _)) => {
                report.found.extend(manifest.pipeline_errors());
                report.found.sort_by_place();
                Err(report.found)
            }
            None => {
                report.found.sort_by_place();
                Err(report.found)
            }
        }
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    ///
    /// All errors in the file, also those within pipelines.
    #[cfg(test)]
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Diagnostics> {
        let mut report = Report { file: path, found: Diagnostics::default() };
        let document = document::parse(text, &mut report);
        let manifest = document.and_then(|document| Manifest::read(&document, &mut report));
        report.found.extend(manifest.iter().flat_map(Manifest::pipeline_errors));
        report.found.sort_by_place();
        manifest.filter(|_| report.found.is_empty()).ok_or(report.found)
    }

    /// The errors within pipelines.
    pub(crate) fn pipeline_errors(&self) -> Vec<Diagnostic> {
        self.broken.iter().flat_map(|broken| broken.found.iter().cloned()).collect()
    }

    fn read(document: &DeTable, report: &mut Report) -> Option<Self> {
        let table = Table::new("the manifest", 0..0, document, &["default", "pipeline", "runtime", "test"], report);
        let runtime = table.get("runtime").and_then(|field| Runtime::read(&field, report)).unwrap_or_default();
        let fields = table.need("pipeline", report).map(|field| read_pipelines(&field, report));
        let fields = fields.unwrap_or_default();
        let read = |field: &Field<'_>| {
            let name = Some(field.key.to_string());
            report.read_separately(|report| Pipeline::read(field, report)).map_err(|found| Broken { name, found })
        };
        let (pipelines, broken) = partition(fields.iter().map(read).collect());

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

    /// The pipeline with this name, or the default one.
    ///
    /// # Errors
    ///
    /// If there is no such pipeline or no default, and the errors within the pipeline.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<&Pipeline, Diagnostics> {
        let broken = self.broken.iter().filter_map(|broken| broken.name.as_deref());
        let names: Vec<_> = self.pipelines.iter().map(|pipeline| pipeline.name.as_str()).chain(broken).collect();
        let Some(name) = name.or(self.default.as_deref()) else {
            let help = format!("name one of {}, or set `default` in {}", quoted(&names), self.path.display());
            let message = "there are several pipelines, and none is the default";
            return Err(Diagnostic::error(codes::NO_DEFAULT_PIPELINE, message).help(help).into());
        };
        if let Some(broken) = self.broken.iter().find(|broken| broken.name.as_deref() == Some(name)) {
            return Err(broken.found.clone());
        }
        let found = self.pipelines.iter().find(|pipeline| pipeline.name == name);
        found.ok_or_else(|| unknown_pipeline(name, &names).into())
    }
}

/// Separates the values that could be read from those that could not.
pub(crate) fn partition<T>(read: Vec<Result<T, Broken>>) -> (Vec<T>, Vec<Broken>) {
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for one in read {
        match one {
            Ok(one) => good.push(one),
            Err(one) => broken.push(one),
        }
    }
    (good, broken)
}

/// The pipelines, in file order; empty if `pipeline` itself has an error.
fn read_pipelines<'a>(field: &Field<'a>, report: &mut Report) -> Vec<Field<'a>> {
    let Some(entries) = field.value.as_table() else {
        field.wrong_type("a table", report);
        return Vec::new();
    };
    let fields = Field::all(entries);
    if fields.is_empty() {
        field.wrong(codes::EMPTY, "no pipeline is declared", "", report);
    }
    if let Some(unnamed) = fields.iter().find(|field| pipeline::KEYS.contains(&field.key) && !field.value.is_table()) {
        report.found.push(
            Diagnostic::error(codes::WRONG_TYPE, "a pipeline needs a name")
                .label(report.file, unnamed.key_span.clone(), "key of a pipeline without a name")
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

/// Adds to a missing manifest how to create one.
fn with_help(diagnostic: Diagnostic) -> Diagnostic {
    match diagnostic.code {
        codes::NOT_FOUND => diagnostic.help("`cargo torvyn new NAME --template pipeline` creates one"),
        _ => diagnostic,
    }
}
