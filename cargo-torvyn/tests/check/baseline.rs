//! Saved baselines, and later results compared with them.

use std::fs;

use snapbox::{assert_data_eq, str};

use super::{Project, assert_has};

#[test]
fn a_stage_that_lost_handle_pass_is_told_with_the_import_and_the_line() {
    let project = Project::built();
    assert_has(
        &project.told("check --built -p router --save-baseline copies.json", 0),
        &["Saved the baseline `copies.json`"],
    );
    project.run("check --built -p router --baseline copies.json", 0);

    project.router_in_wide_world("inspector", "Inspector");
    project.router_reads();
    project.edit("router/Cargo.toml", "reads = 0", "reads = 1");
    assert_data_eq!(
        project.told("check --built -p router --baseline copies.json", 100),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected
error[worse-than-baseline]: `router` is worse than in the baseline: it was `handle-pass` and is now `read-only`
  --> router/Cargo.toml:7:9
   |
 7 | world = "inspector"
   |         ^^^^^^^^^^^ this stage
   |
  ::: router/src/lib.rs:21:21
   |
21 |         if !element.read()?.contains(&b'#') {
   |                     ---- calls `payload-read.read`
   |
   = note: new import since the baseline: `payload-read.read`
   = note: `payload-read.read` is called through `read` (wit/src/batch.rs:[..]), then `read_range` (wit/src/batch.rs:[..]), then `read` (wit/src/host/component.rs:[..]), then `read` (wit/src/bindings.rs:[..])
   = help: undo the change, or save a new baseline with `--save-baseline`

 stage   kind       world      verdict    proof    reads          writes
 router  processor  inspector  read-only  bounded  ≤ 1 (bounded)  0 (contract)

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );

    // Saving and comparing in one command does not hide the difference.
    project.run("check --built -p router --baseline copies.json --save-baseline copies.json", 100);
    project.run("check --built -p router --baseline copies.json", 0);
}

#[test]
fn pipelines_and_worlds_are_compared_without_a_build() {
    let project = Project::copy();
    project.run("check --save-baseline copies.json", 0);
    project.edit("inspector/Cargo.toml", "reads = 1", "reads = 2");
    project.edit("transform/Cargo.toml", "reads = 1", "reads = 3");
    let told = project.told("check --baseline copies.json -A over-budget-pipeline", 100);
    assert_has(
        &told,
        &[
            "`inspector` is worse than in the baseline: reads of one element: at most 1 before, now 2",
            "`transform` is worse than in the baseline: reads of one element: at most 1 before, now 3",
            "`main` is worse than in the baseline: copies on the worst path: at most 2 before, now 4",
            "`find` is worse than in the baseline: copies on the worst path: at most 1 before, now 2",
        ],
    );
    project.run("check --baseline copies.json -A over-budget-pipeline -W worse-than-baseline", 0);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let project = Project::copy();
    project.run("check -p router --save-baseline copies.json", 0);
    let refused = |args: &str, texts: &[&str]| assert_has(&project.told(args, 101), texts);
    // Before anything is built, because there is nothing to build.
    project.write("router/src/lib.rs", "this does not compile");
    refused("check --built --baseline copies.json", &["was made without `--built`", "help: remove `--built`"]);
    refused("check -p sink --baseline copies.json", &["none of the checked stages", "it contains `router`"]);
    let built =
        fs::read_to_string(project.root.join("copies.json")).unwrap().replace("\"built\": false", "\"built\": true");
    project.write("built.json", &built);
    refused("check --baseline built.json", &["was made with `--built`", "help: add `--built`"]);
    project.write("broken.json", "{");
    refused(
        "check --baseline broken.json",
        &["`broken.json` is not a baseline of `check`", "--save-baseline broken.json"],
    );
    project.write("later.json", &built.replace("\"version\": 2", "\"version\": 3"));
    refused("check --baseline later.json", &["expected version 2, found 3"]);
    refused("check --baseline none.json", &["cannot read the baseline `none.json`", "--save-baseline none.json"]);
    refused("check --save-baseline no/copies.json", &["cannot write the baseline `no/copies.json`", "No such file"]);
    assert!(!project.told("check --save-baseline no/copies.json", 101).contains(".tmp"));
    let before = std::fs::read(project.root.join("Torvyn.toml")).unwrap();
    let told = project.told("check --save-baseline ./Torvyn.toml", 2);
    assert!(told.contains("(the baseline) and `Torvyn.toml` (the manifest) are the same file"), "{told}");
    assert_eq!(std::fs::read(project.root.join("Torvyn.toml")).unwrap(), before);
    // Nor is any other file that is not a baseline.
    for file in ["router/src/lib.rs", "router/Cargo.toml", "wit/Cargo.toml", "wit/types.wit", "README.md"] {
        let before = fs::read(project.root.join(file)).unwrap();
        let told = project.told(&format!("check --save-baseline {file}"), 2);
        assert!(told.contains(&format!("`{file}` exists and is not a baseline")), "{told}");
        assert_eq!(fs::read(project.root.join(file)).unwrap(), before, "{file}");
    }
}
