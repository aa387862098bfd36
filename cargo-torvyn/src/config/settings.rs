//! What a stage says about itself in its `Cargo.toml`, `[package.metadata.torvyn]`, and what it takes over from the
//! workspace, `[workspace.metadata.torvyn]`: its world, its budget, the levels of lints, and where its WIT is.

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

/// The keys of a package.
const KEYS: &[&str] = &["world", "budget", "lints", "wit"];
/// The key that takes a table over from the workspace.
const WORKSPACE: &str = "workspace";
/// The folder of WIT where none is named.
const WIT: &str = "wit";

/// What a stage says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The `Cargo.toml` of the package.
    pub(crate) file: PathBuf,
    /// `[package.metadata.torvyn]` in it; empty where there is none.
    pub(crate) span: Range<usize>,
    /// The world that it is written for.
    pub(crate) world: Option<Declared<String>>,
    /// What it may copy, with what it inherits.
    pub(crate) budget: Budget,
    /// The levels of lints, with those it inherits.
    pub(crate) levels: Levels,
    /// The folder of its WIT, where one is named.
    pub(crate) wit: Option<Declared<PathBuf>>,
}

/// What the stages of a workspace can inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkspaceSettings {
    /// The `Cargo.toml` of the workspace.
    pub(crate) file: PathBuf,
    /// None where the workspace declares none.
    pub(crate) budget: Option<Budget>,
    /// None where the workspace sets none.
    pub(crate) levels: Option<Levels>,
}

impl WorkspaceSettings {
    /// Reads the `Cargo.toml` of the workspace; it may be that of a package. What is wrong goes to `found`, and the rest
    /// is as if it were not written.
    pub(crate) fn load(file: &Path, sources: &mut Sources, found: &mut Diagnostics) -> WorkspaceSettings {
        match document::read(file, sources) {
            Ok(text) => WorkspaceSettings::parse(&text, file, found),
            Err(diagnostic) => {
                found.push(diagnostic);
                WorkspaceSettings { file: file.to_path_buf(), ..WorkspaceSettings::default() }
            }
        }
    }

    /// As [`WorkspaceSettings::load`], from the text of the file.
    fn parse(text: &str, file: &Path, found: &mut Diagnostics) -> WorkspaceSettings {
        let mut report = Report { file, found: Diagnostics::default() };
        let document = document::parse(text, &mut report).unwrap_or_default();
        let table = torvyn(&document, WORKSPACE)
            .and_then(|field| field.table("`workspace.metadata.torvyn`", &["budget", "lints"], &mut report));
        let field = |key| table.as_ref().and_then(|table| table.get(key));
        let budget = field("budget").and_then(|field| {
            let table = field.table("`budget`", Budget::KEYS, &mut report)?;
            Some(Budget::read(&table, Declarer::Workspace, &mut report))
        });
        let levels = field("lints")
            .and_then(|field| Some(Levels::read(&field.entries(&mut report)?, Declarer::Workspace, &mut report)));
        found.extend(sorted(report));
        WorkspaceSettings { file: file.to_path_buf(), budget, levels }
    }

    /// The levels of what is found in a pipeline: those of the workspace.
    pub(crate) fn pipeline_levels(&self) -> Levels {
        self.levels.clone().unwrap_or_default()
    }

    /// Reports that a table is to be inherited and is not there.
    fn missing(&self, key: &str, field: &Field, report: &mut Report) {
        let message = format!("`{key}` is taken over from the workspace, which has none");
        let help = format!("write [workspace.metadata.torvyn.{key}] into {}", self.file.display());
        field.wrong(codes::NOT_IN_WORKSPACE, message, "", report).help = Some(help);
    }
}

impl Settings {
    /// Reads the `Cargo.toml` of a package of the workspace. What is wrong goes to `found`, and the rest is as if it were
    /// not written.
    pub(crate) fn load(
        file: &Path,
        workspace: &WorkspaceSettings,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Settings {
        let text = document::read(file, sources).unwrap_or_else(|diagnostic| {
            found.extend(new_in(workspace, file, diagnostic.into()));
            String::new()
        });
        Settings::parse(&text, file, workspace, found)
    }

    /// As [`Settings::load`], from the text of the file.
    fn parse(text: &str, file: &Path, workspace: &WorkspaceSettings, found: &mut Diagnostics) -> Settings {
        let mut report = Report { file, found: Diagnostics::default() };
        let document = document::parse(text, &mut report).unwrap_or_default();
        found.extend(new_in(workspace, file, std::mem::take(&mut report.found)));

        let field = torvyn(&document, "package");
        let table = field.and_then(|field| field.table("`package.metadata.torvyn`", KEYS, &mut report));
        let settings = Settings {
            file: file.to_path_buf(),
            span: table.as_ref().map(|table| table.span.clone()).unwrap_or_default(),
            world: table.as_ref().and_then(|table| read_world(table, &mut report)),
            budget: table.as_ref().map(|table| read_budget(table, workspace, &mut report)).unwrap_or_default(),
            levels: table.as_ref().map(|table| read_levels(table, workspace, &mut report)).unwrap_or_default(),
            wit: table.as_ref().and_then(|table| read_wit(table, &mut report)),
        };
        found.extend(sorted(report));
        settings
    }

    /// The folder of its WIT: the one that is named, or else `wit` beside its `Cargo.toml` or that of the workspace.
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
            workspace.missing("budget", &field, report);
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
            workspace.missing("lints", field, report);
            own
        }
    }
}

/// `metadata.torvyn` of a table of a `Cargo.toml`. What stands before it is cargo's.
fn torvyn<'a>(document: &'a DeTable<'a>, of: &str) -> Option<Field<'a>> {
    let of = document.get(of)?.get_ref().as_table()?;
    Field::of(of.get("metadata")?.get_ref().as_table()?, "torvyn")
}

/// What is wrong with the whole of a file, unless it was told of the workspace already, which is in the same one.
fn new_in(workspace: &WorkspaceSettings, file: &Path, found: Diagnostics) -> Diagnostics {
    if workspace.file == file { Diagnostics::default() } else { found }
}

fn sorted(mut report: Report) -> Diagnostics {
    report.found.sort_by_place();
    report.found
}
