//! The documented cases of other stream processors, in `tests/suite`, run as a user runs them.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_tests::{command, said, target, torvyn};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn suite() -> PathBuf {
    root().join("tests/suite")
}

/// The names of all cases.
fn names() -> Vec<String> {
    let listed = torvyn(&suite(), &["test", "--list"]);
    assert!(listed.status.success(), "{}", said(&listed));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn the_suite_passes() {
    let output = torvyn(&suite(), &["test", "--locked", "--no-fail-fast"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let all = names().len();
    assert!(said.contains(&format!("{all} cases: {all} passed")), "{said}");
}

#[test]
fn the_readme_has_a_row_for_each_case() {
    let page = fs::read_to_string(root().join("tests/suite/README.md")).unwrap();
    let tables = page.split("| case |").skip(1).map(|rest| rest.split("\n\n").next().unwrap());
    let first = |row: &str| row.strip_prefix("| ")?.split(" |").next().map(str::to_string);
    let mut rows: Vec<_> = tables.flat_map(|table| table.lines().skip(2).filter_map(first)).collect();
    rows.retain(|name| name != "–");
    let mut names = names();
    rows.sort_unstable();
    names.sort_unstable();
    assert_eq!(rows, names);
}

/// Like a test of a user who has installed `cargo-torvyn`: the program is on the path.
#[test]
fn cases_are_run_from_code() {
    let program = Path::new(env!("CARGO_BIN_EXE_cargo-torvyn")).parent().unwrap();
    let before = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([program.to_path_buf()].into_iter().chain(env::split_paths(&before))).unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "in_a_process_of_its_own"]).env("PATH", path).env("CARGO_TARGET_DIR", target());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
}

#[test]
#[ignore = "it is run by `cases_are_run_from_code`"]
fn in_a_process_of_its_own() {
    torvyn_testing::cases(suite().join("Torvyn.toml")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let stage = command(folder.path(), &["new", "upper", "--template", "transform", "--vcs", "none"]).output().unwrap();
    assert!(stage.status.success(), "{}", said(&stage));
    let manifest = folder.path().join("upper/Torvyn.toml");
    let text = fs::read_to_string(&manifest).unwrap().replace("\"ONE\"", "\"One\"");
    fs::write(&manifest, text).unwrap();
    let report = format!("{:?}", torvyn_testing::cases(&manifest).unwrap_err());
    assert!(report.starts_with("cases of `") && report.contains("error[unexpected-output]"), "{report}");
    assert!(report.contains("-  \"One\"") || report.contains("- \"One\""), "{report}");
}
