//! What the built components prove.

use std::fs;

use serde_json::json;
use snapbox::{assert_data_eq, str};

use super::{Project, assert_has};

#[test]
fn components_prove_what_worlds_cannot() {
    let project = Project::built();
    assert_data_eq!(
        project.told("check --built", 0),
        str![[r#"

 stage      kind       world          verdict      proof     reads          writes
 inspector  processor  inspector      read-only    bounded   ≤ 1 (bounded)  0 (contract)
 router     processor  router         handle-pass  contract  0 (contract)   0 (contract)
 sink       sink       metadata-sink  handle-pass  contract  0 (contract)   0 (contract)
 source     source     data-source    rewrite      contract  0 (contract)   1 (contract)
 transform  processor  transform      rewrite      enforced  ≤ 1 (bounded)  ≤ 1 (enforced)

 pipeline  copies  path                                 total  amplification
 main      ≤ 2     input → router → transform → output  ≤ 2    any
 count     ≤ 3     source → transform → sink            ≤ 3    ≥ 1.00×
 find      ≤ 1     input → find → output                ≤ 1    ≤ 1.00×

     Checked 5 stages and 3 pipelines: no problems found

"#]]
    );
    let lines = project.json("check --built", 0);
    assert!(lines.iter().any(|line| line["reason"] == "compiler-artifact"), "cargo's own lines come through");
    let verdict = |package: &str| lines.iter().find(|line| line["package"] == package).unwrap();
    assert_eq!(verdict("inspector")["reads"], json!({"max": 1, "exact": false, "proof": "bounded"}));
    assert_eq!(verdict("transform")["reads"], json!({"max": 1, "exact": false, "proof": "bounded"}));
    assert_eq!(verdict("transform")["writes"], json!({"max": 1, "exact": false, "proof": "enforced"}));
    assert_eq!(verdict("sink")["reads"], json!({"max": 0, "exact": true, "proof": "contract"}));
    assert_eq!((&verdict("sink")["verdict"], &verdict("sink")["proof"]), (&json!("handle-pass"), &json!("contract")));
    assert_eq!(lines.last().unwrap()["built"], true);
}

#[test]
fn a_read_that_slips_in_is_found_at_its_line_and_gone_when_it_is_taken_out() {
    let project = Project::built();
    project.router_in_wide_world("transform", "Transform");
    project.edit("Torvyn.toml", "copies = 2", "copies = 3");
    assert_data_eq!(
        project.told("check --built -p router", 0),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected
warning[wide-world]: world `transform` imports `payload-read`, `payload-write`, which `router` never uses
 --> router/Cargo.toml:7:9
  |
7 | world = "transform"
  |         ^^^^^^^^^^^ wider than the code
  |
  = help: declare the world `router`, which proves as much without a build

 stage   kind       world      verdict      proof      reads          writes
 router  processor  transform  handle-pass  component  0 (component)  0 (component)

     Checked 1 stage and 0 pipelines: 1 warning

"#]]
    );
    let verdict = project.verdict("check --built -p router", "router");
    assert_eq!((&verdict["verdict"], &verdict["proof"]), (&json!("handle-pass"), &json!("component")));

    project.router_reads();
    assert_data_eq!(
        project.told("check --built -p router -A wide-world", 100),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected
error[over-budget-component]: `router` can read an element once, but its budget allows none
  --> router/Cargo.toml:12:1
   |
12 | reads = 0
   | ^^^^^^^^^ the budget
   |
  ::: router/src/lib.rs:21:21
   |
21 |         if !element.read()?.contains(&b'#') {
   |                     ---- calls `payload-read.read`
   |
   = note: `payload-read.read` is called through `read` (wit/src/batch.rs:[..]), then `read_range` (wit/src/batch.rs:[..]), then `read` (wit/src/host/component.rs:[..]), then `read` (wit/src/bindings.rs:[..])
   = help: do not read payloads, or allow it: `reads = 1`

 stage   kind       world      verdict    proof    reads          writes
 router  processor  transform  read-only  bounded  ≤ 1 (bounded)  0 (component)

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );

    project.edit("router/src/lib.rs", "!element.read()?.contains(&b'#')", "element.size() > 0");
    project.run("check --built -p router", 0);
}

#[test]
fn a_component_that_is_not_of_its_world_is_found() {
    let project = Project::built();
    project.edit("router/src/lib.rs", "Router", "Inspector");
    project.router_reads();
    project.edit("router/Cargo.toml", "reads = 0", "reads = 1");
    assert_data_eq!(
        project.told("check --built -p router", 100),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected
error[not-of-world]: the component of `router` imports `payload-read`, but world `router` does not
  --> router/Cargo.toml:7:9
   |
 7 | world = "router"
   |         ^^^^^^^^ the declared world
   |
  ::: router/src/lib.rs:21:21
   |
21 |         if !element.read()?.contains(&b'#') {
   |                     ---- calls `payload-read.read`
   |
   = note: `payload-read.read` is called through `read` (wit/src/batch.rs:[..]), then `read_range` (wit/src/batch.rs:[..]), then `read` (wit/src/host/component.rs:[..]), then `read` (wit/src/bindings.rs:[..])
   = help: declare the world that fits the component: `world = "inspector"`; or write the stage for the declared world

 stage   kind       world   verdict    proof    reads          writes
 router  processor  router  read-only  bounded  ≤ 1 (bounded)  0 (contract)

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );
}

#[test]
fn a_payload_that_the_library_reads_for_the_stage_is_told_by_the_ends_of_its_chain() {
    let project = Project::built();
    project.edit("inspector/Cargo.toml", "reads = 1", "reads = 0");
    let told = project.told("check --built -p inspector", 100);
    assert_has(
        &told,
        &[
            "`inspector` can read an element once, but its budget allows none",
            "--> inspector/Cargo.toml:12:1",
            "::: inspector/src/lib.rs:",
            "torvyn_guest::export!(Find: PayloadProcessor<Inspector>);",
            "calls `payload-read.read-all`",
            "more, then `process_with_payloads` (wit/src/export.rs:",
        ],
    );
    let longest = told.lines().map(str::len).max().unwrap();
    assert!(longest < 500, "a line of {longest} bytes:\n{told}");
}

#[test]
fn what_is_shipped_says_in_which_export_it_copies() {
    let project = Project::built();
    project.run("build -p inspector --artifact-dir dist", 0);
    let told = project.told("check dist/inspector.wasm", 0);
    assert_has(&told, &["dist/inspector.wasm  processor  inspector  read-only  bounded  ≤ 1 (bounded)  0 (component)"]);

    // The same without a project around it, as after deployment.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(project.root.join("dist/inspector.wasm"), elsewhere.path().join("find.wasm")).unwrap();
    let manifest = "[pipeline.main]\nstages = [{ component = './find.wasm', budget = { reads = 0 } }]\n";
    fs::write(elsewhere.path().join("Torvyn.toml"), manifest).unwrap();
    let check = super::torvyn(elsewhere.path(), &["check"]);
    assert_eq!(check.status.code(), Some(100));
    assert_data_eq!(
        super::told(&check),
        str![[r#"
error[over-budget-component]: `./find.wasm` can read an element once, but its budget allows none
 --> Torvyn.toml:2:51
  |
2 | stages = [{ component = './find.wasm', budget = { reads = 0 } }]
  |                                                   ^^^^^^^^^ the budget
  |
  = note: `payload-read.read-all` is called in `torvyn:streaming/processor@0.2.0#process`
  = help: do not read payloads, or allow it: `reads = 1`

 stage        kind       world      verdict    proof    reads          writes
 ./find.wasm  processor  inspector  read-only  bounded  ≤ 1 (bounded)  0 (component)

 pipeline  copies  path                   total  amplification
 main      ≤ 1     input → find → output  ≤ 1    ≤ 1.00×

     Checked 1 stage and 1 pipeline: 1 error

"#]]
    );
}

#[test]
fn what_the_host_gives_nothing_in_is_told_from_the_component() {
    let project = Project::built();
    project.edit(
        "inspector/src/lib.rs",
        "    fn new(config: &Config) -> Result<Self, Failure> {",
        "    fn new(config: &Config) -> Result<Self, Failure> {\n        let _ = std::fs::read_to_string(\"needle\");",
    );
    let told = project.told("check --built -p inspector", 0);
    assert_has(
        &told,
        &["warning[ungranted-import]: `inspector` imports `wasi:filesystem/", "but the host grants it nothing there"],
    );
    project.told("check --built -p inspector -D ungranted-import", 100);
}

#[test]
fn a_package_has_to_start_within_the_limits_of_each_pipeline() {
    let project = Project::built();
    let stage = "{ component = \"router\", limits = { memory = \"1MiB\" } }";
    project.edit("Torvyn.toml", "[\"router\", \"transform\"]", &format!("[{stage}, \"transform\"]"));
    let texts =
        ["error[bad-component]: `router` cannot start: ", "`limits.memory`", "`limits = { memory = \"2MiB\" }`"];
    assert_has(&project.told("check --built", 100), &texts);
    project.edit("Torvyn.toml", "1MiB", "2MiB");
    project.run("check --built", 0);
}
