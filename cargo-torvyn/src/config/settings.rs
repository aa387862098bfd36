//! The settings of a stage in its `Cargo.toml`: `[package.metadata.torvyn]` with its world, budget, lint levels, WIT folder and
//! whether it is stateless, and what it inherits from `[workspace.metadata.torvyn]`.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::config::budget::Budget;
use crate::config::document;
use crate::config::lint_levels::Levels;
use crate::config::spanned::{Declared, Declarer};
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostics, Sources};

#[cfg(test)]
pub(crate) mod tests;

/// The keys of `[package.metadata.torvyn]`.
const KEYS: &[&str] = &["world", "budget", "lints", "wit", "stateless"];
/// The key that inherits a table from the workspace.
const WORKSPACE: &str = "workspace";
/// The default WIT folder.
const WIT: &str = "wit";

/// The settings of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The `Cargo.toml` of the package.
    pub(crate) file: PathBuf,
    /// The place of `[package.metadata.torvyn]`; empty if there is none.
    pub(crate) span: Range<usize>,
    /// The declared world.
    pub(crate) world: Option<Declared<String>>,
    /// The copy budget, including inherited limits.
    pub(crate) budget: Budget,
    /// The lint levels, including inherited ones.
    pub(crate) levels: Levels,
    /// The WIT folder, if `wit` is set.
    pub(crate) wit: Option<Declared<PathBuf>>,
    /// Whether it keeps nothing from one element to the next, so that several instances can take turns.
    pub(crate) stateless: bool,
}

/// The settings that the stages of a workspace can inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkspaceSettings {
    /// The `Cargo.toml` of the workspace.
    pub(crate) file: PathBuf,
    /// The budget, if the workspace declares one.
    pub(crate) budget: Option<Budget>,
    /// The lint levels, if the workspace sets any.
    pub(crate) levels: Option<Levels>,
}

impl WorkspaceSettings {
    /// Reads the `Cargo.toml` of the workspace, which may also be that of a package. Errors go to `found`; settings with
    /// errors are left unset.
    pub(crate) fn load(file: &Path, sources: &mut Sources, found: &mut Diagnostics) -> WorkspaceSettings {
        match document::read(file, sources) {
            Ok(text) => WorkspaceSettings::parse(&text, file, found),
            Err(diagnostic) => {
                found.push(diagnostic);
                WorkspaceSettings { file: file.to_path_buf(), ..WorkspaceSettings::default() }
            }
        }
    }

    /// Like [`WorkspaceSettings::load`], from the text of the file.
    fn parse(text: &str, file: &Path, found: &mut Diagnostics) -> WorkspaceSettings {
        let mut report = Report { file, found: Diagnostics::default() };
        let document = document::parse(text, &mut report).unwrap_or_default();
        let table = find_torvyn_table(&document, WORKSPACE)
            .and_then(|field| field.table("`workspace.metadata.torvyn`", &["budget", "lints"], &mut report));
        let field = |key| table.as_ref().and_then(|table| table.get(key));
        let budget = field("budget").and_then(|field| {
            let table = field.table("`budget`", Budget::KEYS, &mut report)?;
            Some(Budget::read(&table, Declarer::Workspace, &mut report))
        });
        let levels = field("lints")
            .and_then(|field| Some(Levels::read(&field.entries(&mut report)?, Declarer::Workspace, &mut report)));
        found.extend(into_sorted(report));
        WorkspaceSettings { file: file.to_path_buf(), budget, levels }
    }

    /// The lint levels of pipelines, which are those of the workspace.
    pub(crate) fn pipeline_levels(&self) -> Levels {
        self.levels.clone().unwrap_or_default()
    }

    /// Reports that a table is inherited which the workspace does not have.
    fn report_missing(&self, key: &str, field: &Field, report: &mut Report) {
        let message = format!("`{key}` is inherited from the workspace, which does not declare it");
        let help = format!("add [workspace.metadata.torvyn.{key}] to {}", self.file.display());
        field.wrong(codes::NOT_IN_WORKSPACE, message, "", report).help = Some(help);
    }
}

impl Settings {
    /// Reads the `Cargo.toml` of a package of the workspace. Errors go to `found`; settings with errors are left unset.
    pub(crate) fn load(
        file: &Path,
        workspace: &WorkspaceSettings,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Settings {
        let text = document::read(file, sources).unwrap_or_else(|diagnostic| {
            found.extend(new_errors(workspace, file, diagnostic.into()));
            String::new()
        });
        Settings::parse(&text, file, workspace, found)
    }

    /// Like [`Settings::load`], from the text of the file.
    fn parse(text: &str, file: &Path, workspace: &WorkspaceSettings, found: &mut Diagnostics) -> Settings {
        let mut report = Report { file, found: Diagnostics::default() };
        let document = document::parse(text, &mut report).unwrap_or_default();
        found.extend(new_errors(workspace, file, std::mem::take(&mut report.found)));

        let field = find_torvyn_table(&document, "package");
        let table = field.and_then(|field| field.table("`package.metadata.torvyn`", KEYS, &mut report));
        let settings = Settings {
            file: file.to_path_buf(),
            span: table.as_ref().map(|table| table.span.clone()).unwrap_or_default(),
            world: table.as_ref().and_then(|table| read_world(table, &mut report)),
            budget: table.as_ref().map(|table| read_budget(table, workspace, &mut report)).unwrap_or_default(),
            levels: table.as_ref().map(|table| read_levels(table, workspace, &mut report)).unwrap_or_default(),
            wit: table.as_ref().and_then(|table| read_wit(table, &mut report)),
            stateless: table.as_ref().is_some_and(|table| read_stateless(table, &mut report)),
        };
        found.extend(into_sorted(report));
        settings
    }

    /// The WIT folder: the value of `wit`, or else `wit` beside the `Cargo.toml` of the package or of the workspace.
    pub(crate) fn wit_folder(&self, workspace: &WorkspaceSettings) -> Option<PathBuf> {
        let named = self.wit.as_ref().map(|wit| wit.value.clone());
        let beside = |file: &Path| Some(file.with_file_name(WIT)).filter(|folder| folder.is_dir());
        named.or_else(|| beside(&self.file)).or_else(|| beside(&workspace.file))
    }
}

fn read_world(table: &Table, report: &mut Report) -> Option<Declared<String>> {
    let field = table.get("world")?;
    Some(field.declared(field.text(report)?.to_string(), Declarer::Package, report))
}

fn read_stateless(table: &Table, report: &mut Report) -> bool {
    table.get("stateless").and_then(|field| field.only_true(report)).is_some()
}

fn read_wit(table: &Table, report: &mut Report) -> Option<Declared<PathBuf>> {
    let field = table.get("wit")?;
    let folder = report.folder().join(field.text(report)?);
    let wrong = match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => return Some(field.declared(folder, Declarer::Package, report)),
        Ok(_) => document::not_a_directory(&folder),
        Err(error) => document::unreadable(&folder, &error),
    };
    report.found.push(wrong.label(report.file, field.span, ""));
    None
}

fn read_budget(table: &Table, workspace: &WorkspaceSettings, report: &mut Report) -> Budget {
    let known = [Budget::KEYS, &[WORKSPACE]].concat();
    let Some(table) = table.get("budget").and_then(|field| field.table("`budget`", &known, report)) else {
        return Budget::default();
    };
    let own = Budget::read(&table, Declarer::Package, report);
    let Some(field) = table.get(WORKSPACE).filter(|field| field.only_true(report).is_some()) else {
        return own;
    };
    match &workspace.budget {
        Some(inherited) => own.or(inherited),
        None => {
            workspace.report_missing("budget", &field, report);
            own
        }
    }
}

fn read_levels(table: &Table, workspace: &WorkspaceSettings, report: &mut Report) -> Levels {
    let Some(fields) = table.get("lints").and_then(|field| field.entries(report)) else {
        return Levels::default();
    };
    let (inherit, own): (Vec<_>, Vec<_>) = fields.into_iter().partition(|field| field.key == WORKSPACE);
    let own = Levels::read(&own, Declarer::Package, report);
    let Some(field) = inherit.first().filter(|field| field.only_true(report).is_some()) else {
        return own;
    };
    match &workspace.levels {
        Some(inherited) => own.or(inherited),
        None => {
            workspace.report_missing("lints", field, report);
            own
        }
    }
}

/// `metadata.torvyn` in a table of a `Cargo.toml`. Cargo validates the tables around it.
fn find_torvyn_table<'a>(document: &'a DeTable<'a>, parent: &str) -> Option<Field<'a>> {
    let parent = document.get(parent)?.get_ref().as_table()?;
    Field::find(parent.get("metadata")?.get_ref().as_table()?, "torvyn")
}

/// Errors of a whole file, unless it is the file of the workspace: then they have already been reported.
fn new_errors(workspace: &WorkspaceSettings, file: &Path, found: Diagnostics) -> Diagnostics {
    if workspace.file == file { Diagnostics::default() } else { found }
}

/// The errors of a report, in the order of their places.
fn into_sorted(mut report: Report) -> Diagnostics {
    report.found.sort_by_place();
    report.found
}
