//! Tests of the settings of packages and workspaces: valid ones and their meaning, invalid ones and their errors.

use std::collections::BTreeSet;

use super::*;
use crate::config::lint::{Level, Lint};

const WIDE_WORLD: Lint = Lint { code: "wide-world", level: Level::Warn };
const WHOLE_READ: Lint = Lint { code: "whole-read", level: Level::Warn };

/// The settings of a package in a workspace, and the errors in both.
fn read(workspace: &str, package: &str) -> (Settings, Diagnostics) {
    let mut found = Diagnostics::default();
    let workspace = WorkspaceSettings::parse(workspace, Path::new("Cargo.toml"), &mut found);
    (Settings::parse(package, Path::new("a/Cargo.toml"), &workspace, &mut found), found)
}

fn read_valid(workspace: &str, package: &str) -> Settings {
    let (settings, found) = read(workspace, package);
    assert!(found.is_empty(), "{}", found.render(&Sources::default(), false));
    settings
}

/// A workspace, a package, and the codes with the texts of their primary labels.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("", "[package.metadata.torvyn]\nwrold = 'router'", &[(codes::UNKNOWN_KEY, "wrold")]),
    ("", "[package.metadata.torvyn]\nstateless = false", &[(codes::UNKNOWN_VALUE, "false")]),
    ("", "[package.metadata.torvyn]\nstateless = 'yes'", &[(codes::WRONG_TYPE, "'yes'")]),
    ("", "[package.metadata.torvyn]\nworld = 1", &[(codes::WRONG_TYPE, "1")]),
    ("", "[package.metadata.torvyn]\nworld = ''", &[(codes::EMPTY, "''")]),
    ("", "[package.metadata]\ntorvyn = 'router'", &[(codes::WRONG_TYPE, "'router'")]),
    ("", "[package.metadata.torvyn]\nbudget = 1\nlints = 2", &[(codes::WRONG_TYPE, "1"), (codes::WRONG_TYPE, "2")]),
    (
        "",
        "[package.metadata.torvyn.budget]\nread = 1\nreads = -1",
        &[(codes::UNKNOWN_KEY, "read"), (codes::BAD_NUMBER, "-1")],
    ),
    ("", "[package.metadata.torvyn.budget]\nread-bytes = '4KB'", &[(codes::BAD_SIZE, "'4KB'")]),
    ("", "[package.metadata.torvyn.budget]\nreads = 4294967296", &[(codes::BAD_NUMBER, "4294967296")]),
    ("", "[package.metadata.torvyn.lints]\nwide-word = 'deny'", &[(codes::UNKNOWN_LINT, "wide-word")]),
    ("", "[package.metadata.torvyn.lints]\nwide-world = 'forbid'", &[(codes::UNKNOWN_VALUE, "'forbid'")]),
    ("", "[package.metadata.torvyn]\nbudget.workspace = true", &[(codes::NOT_IN_WORKSPACE, "true")]),
    ("", "[package.metadata.torvyn]\nlints.workspace = true", &[(codes::NOT_IN_WORKSPACE, "true")]),
    ("", "[package.metadata.torvyn]\nlints.workspace = false", &[(codes::UNKNOWN_VALUE, "false")]),
    ("", "[package.metadata.torvyn]\nwit = 'absent'", &[(codes::NOT_FOUND, "'absent'")]),
    ("", "[package\n", &[(codes::SYNTAX, "")]),
    ("[workspace.metadata.torvyn]\nworld = 'router'", "", &[(codes::UNKNOWN_KEY, "world")]),
    ("[workspace.metadata.torvyn.budget]\nworkspace = true", "", &[(codes::UNKNOWN_KEY, "workspace")]),
    ("[workspace.metadata.torvyn.lints]\nworkspace = true", "", &[(codes::UNKNOWN_LINT, "workspace")]),
];

/// Checks the table above and returns its codes.
pub(crate) fn codes() -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    for (workspace, package, expected) in CASES {
        let (_, found) = read(workspace, package);
        let text = |label: &crate::output::diagnostic::Label| match label.file.parent() {
            Some(folder) if folder == Path::new("a") => &package[label.span.clone()],
            _ => &workspace[label.span.clone()],
        };
        let covered: Vec<_> = found.iter().map(|found| (found.code, text(&found.labels[0]))).collect();
        assert_eq!(covered, *expected, "\n{workspace}\n{package}");
        codes.extend(found.iter().map(|diagnostic| diagnostic.code));
    }
    codes
}

#[test]
fn reads_the_settings_of_a_package() {
    let text = "[package.metadata.torvyn]\nworld = 'transform'\n[package.metadata.torvyn.budget]\n\
                reads = 1\nwrites = 0\nread-bytes = '4KiB'\nleases = 0\nlease-bytes = '1MiB'\n\
                [package.metadata.torvyn.lints]\nwide-world = 'deny'\n";
    let settings = read_valid("", text);
    let declared = |value, entry: &str| {
        let start = text.find(entry).unwrap();
        let end = start + entry.len();
        let span = start + entry.find("= ").unwrap() + 2..end;
        Some(Declared { value, by: Declarer::Package, file: "a/Cargo.toml".into(), span, entry: start..end })
    };
    assert_eq!(settings.budget.reads, declared(1, "reads = 1"));
    assert_eq!(settings.budget.writes, declared(0, "writes = 0"));
    assert_eq!(settings.budget.leases, declared(0, "leases = 0"));
    assert_eq!(settings.budget.read_bytes.as_ref().map(|bytes| bytes.value), Some(4096));
    assert_eq!(settings.budget.lease_bytes.as_ref().map(|bytes| bytes.value), Some(1 << 20));
    let limits = settings.budget.limits();
    assert_eq!((limits.leases, limits.lease_bytes), (Some(0), Some(1 << 20)));
    assert_eq!(settings.world.map(|world| world.value).as_deref(), Some("transform"));
    assert_eq!(&text[settings.span], "[package.metadata.torvyn]");
    assert_eq!(settings.levels.level(WIDE_WORLD), Level::Deny);
    assert_eq!(settings.budget.limits().read_bytes, Some(4096));
}

#[test]
fn inherits_from_the_workspace() {
    let workspace = "[workspace.metadata.torvyn]\nbudget = { reads = 2, writes = 3 }\n\
                     lints = { wide-world = 'allow', whole-read = 'deny' }";
    let package = "[package.metadata.torvyn]\nbudget = { workspace = true, reads = 1 }\n\
                   lints = { workspace = true, wide-world = 'warn' }";
    let settings = read_valid(workspace, package);
    let (reads, writes) = (settings.budget.reads.unwrap(), settings.budget.writes.unwrap());
    assert_eq!((reads.value, reads.by), (1, Declarer::Package));
    assert_eq!((writes.value, writes.by, writes.file.to_str()), (3, Declarer::Workspace, Some("Cargo.toml")));
    assert_eq!(&workspace[writes.entry], "writes = 3");
    let level = |lint| settings.levels.level(lint);
    assert_eq!((level(WIDE_WORLD), level(WHOLE_READ)), (Level::Warn, Level::Deny));

    // Inheritance must be explicit.
    let silent = read_valid(workspace, "[package.metadata.torvyn]\nworld = 'router'");
    assert!(silent.budget.is_empty());
    assert_eq!(silent.levels, Levels::default());
    assert_eq!(read_valid(workspace, "[package]\nname = 'a'").span, 0..0);
}

#[test]
fn matches_the_guide() {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src/reference/manifest.md");
    let chapter = fs::read_to_string(chapter).unwrap();
    let (_, section) = chapter.split_once("\n## In a Cargo.toml\n").unwrap();
    let blocks: Vec<_> = section.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [workspace, package] = blocks[..] else { panic!("{blocks:?}") };
    let settings = read_valid(workspace, package);
    assert_eq!(settings.world.unwrap().value, "transform");
    let limits = settings.budget.limits();
    assert_eq!((limits.reads, limits.writes), (Some(1), Some(1)));
    assert_eq!(settings.levels.level(WIDE_WORLD), Level::Deny);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), KEYS);
}

#[test]
fn reports_errors_of_a_root_package_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Cargo.toml");
    for (text, expected) in [("[package\n", codes::SYNTAX), ("[package.metadata.torvyn]\nx = 1", codes::UNKNOWN_KEY)] {
        fs::write(&file, text).unwrap();
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let workspace = WorkspaceSettings::load(&file, &mut sources, &mut found);
        Settings::load(&file, &workspace, &mut sources, &mut found);
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [expected]);
        assert_eq!(sources.text(&file), Some(text));
    }
}

#[test]
fn finds_the_wit_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["wit", "a/src", "b/wit", "b/other"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    fs::write(path("Cargo.toml"), "[workspace]").unwrap();
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let workspace = WorkspaceSettings::load(&path("Cargo.toml"), &mut sources, &mut found);
    let mut wit = |package: &str, text: &str| {
        let file = path(package).join("Cargo.toml");
        fs::write(&file, text).unwrap();
        Settings::load(&file, &workspace, &mut sources, &mut found).wit_folder(&workspace).unwrap()
    };
    assert_eq!(wit("a", ""), path("wit"));
    assert_eq!(wit("b", ""), path("b/wit"));
    assert_eq!(wit("b", "[package.metadata.torvyn]\nwit = 'other'"), path("b/other"));
    assert!(found.is_empty());
}

#[test]
fn renders_an_unknown_lint() {
    let text = "[package.metadata.torvyn.lints]\nwhole-reads = \"deny\"\n";
    let (_, found) = read("", text);
    let mut sources = Sources::default();
    sources.add("a/Cargo.toml", text);
    let shown = found.render(&sources, false);
    let expected = "\
error[unknown-lint]: unknown lint `whole-reads`
 --> a/Cargo.toml:2:1
  |
2 | whole-reads = \"deny\"
  | ^^^^^^^^^^^
  |
  = help: did you mean `whole-read`? the lints are `";
    assert!(shown.starts_with(expected), "{shown}");
}

/// The errors in the Torvyn tables of a `Cargo.toml` of both a workspace and a package.
pub(crate) fn wrong(text: &str) -> Diagnostics {
    let workspace = "[workspace.metadata.torvyn]\nbudget = {}\nlints = {}";
    let mut found = read(workspace, text).1;
    found.extend(read(text, "").1);
    found
}
