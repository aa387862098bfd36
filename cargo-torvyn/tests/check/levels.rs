//! Levels of lints, and errors in the tables that set them.

use super::{Project, assert_has};

/// A project whose router has a finding, and no pipelines.
fn project(package: &str, workspace: &str) -> Project {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    project.append("router/Cargo.toml", package);
    project.append("Cargo.toml", workspace);
    project.write("Torvyn.toml", "");
    std::fs::remove_file(project.root.join("Torvyn.toml")).unwrap();
    project
}

const PACKAGE: &str = "\n[package.metadata.torvyn.lints]\nover-budget-contract = \"warn\"\n";
const INHERITS: &str = "\n[package.metadata.torvyn.lints]\nworkspace = true\n";
const ERROR: &str = "error[over-budget-contract]";
const WARNING: &str = "warning[over-budget-contract]";

#[test]
fn the_nearest_level_holds_and_is_named() {
    let of_package = project(PACKAGE, "");
    let set = "`over-budget-contract` is set to `warn` in router/Cargo.toml";
    assert_has(&of_package.told("check", 0), &[WARNING, set, "1 warning"]);
    assert_has(&of_package.told("check -D warnings", 100), &[ERROR, "`--deny warnings` is set on the command line"]);
    assert_has(&of_package.told("check -D over-budget-contract", 100), &[ERROR, "`--deny over-budget-contract`"]);
    assert_has(&of_package.told("check -A over-budget-contract", 0), &["no problems found"]);
    assert_has(&of_package.told("check -A warnings", 0), &["no problems found"]);

    let workspace = |level: &str| format!("\n[workspace.metadata.torvyn.lints]\nover-budget-contract = \"{level}\"\n");
    assert_has(&project(INHERITS, &workspace("allow")).told("check", 0), &["no problems found"]);
    let warned = project(INHERITS, &workspace("warn")).told("check", 0);
    assert_has(&warned, &[WARNING, "`over-budget-contract` is set to `warn` in Cargo.toml"]);
    // Nothing is inherited unless it is asked for.
    assert_has(&project("", &workspace("allow")).told("check", 100), &[ERROR]);
    assert_has(&project(PACKAGE, &workspace("allow")).told("check", 0), &[WARNING]);
    assert_has(&project("", "").told("check -W over-budget-contract", 0), &[WARNING]);
}

#[test]
fn a_budget_is_inherited_and_labelled_where_it_stands() {
    let project = project("", "\n[workspace.metadata.torvyn.budget]\nreads = 0\n");
    project.edit("router/Cargo.toml", "reads = 0", "workspace = true");
    let told = project.told("check -p router", 100);
    assert_has(&told, &[ERROR, "--> Cargo.toml:18:1", "18 | reads = 0", "::: router/Cargo.toml:7:9"]);
}

#[test]
fn quiet_leaves_warnings_out_and_keeps_errors() {
    let project = project(PACKAGE, "");
    assert_eq!(project.told("check --quiet", 0), "");
    let told = project.told("check --quiet -D warnings", 100);
    assert!(told.starts_with(ERROR) && !told.contains("Checked"), "{told}");
}

#[test]
fn names_that_mean_nothing_are_told_the_nearest() {
    let told = project("", "").told("check -D over-bugdet-contract", 2);
    assert_has(
        &told,
        &["invalid value 'over-bugdet-contract' for '--deny <CODE>'", "did you mean `over-budget-contract`?"],
    );

    let project = project(&PACKAGE.replace("over-budget", "over-bugdet"), "");
    project.edit("router/Cargo.toml", "writes = 0", "write = 0");
    project.edit("router/Cargo.toml", "reads = 0", "reads = -1");
    let told = project.told("check -p router", 100);
    assert_has(
        &told,
        &[
            "error[unknown-lint]: unknown lint `over-bugdet-contract`\n  --> router/Cargo.toml:22:1",
            "did you mean `over-budget-contract`?",
            "error[unknown-key]: unknown key `write` in `budget`\n  --> router/Cargo.toml:13:1",
            "did you mean `writes`? the keys are `reads`, `writes`, `read-bytes`, `leases`, `lease-bytes`, `workspace`",
            "error[bad-number]: `reads` must be from 0 to 4294967295\n  --> router/Cargo.toml:12:9",
        ],
    );
}

#[test]
fn a_table_that_the_workspace_has_not_is_told_where_to_write() {
    let told = project(INHERITS, "").told("check -p router", 100);
    assert_has(
        &told,
        &[
            "error[not-in-workspace]",
            "--> router/Cargo.toml:22:13",
            "add [workspace.metadata.torvyn.lints] to Cargo.toml",
        ],
    );
}
