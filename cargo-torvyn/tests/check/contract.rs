//! What the declared worlds prove, without a build.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use super::{Project, assert_has, said, told, torvyn};

#[test]
fn a_stage_of_each_template_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (template, row) in [
        ("router", "lone   processor  router  handle-pass  contract  0 (contract)  0 (contract)"),
        ("inspector", "lone   processor  inspector  read-only  enforced  ≤ 1 (enforced)  0 (contract)"),
        ("transform", "lone   processor  transform  rewrite  enforced  ≤ 1 (enforced)  ≤ 1 (enforced)"),
        ("source", "lone   source  data-source  rewrite  contract  0 (contract)  1 (contract)"),
        ("sink", "lone   sink  metadata-sink  handle-pass  contract  0 (contract)  0 (contract)"),
    ] {
        let new = torvyn(folder.path(), &["new", "lone", "-t", template, "--vcs", "none"]);
        assert!(new.status.success(), "{}", said(&new));
        let check = torvyn(&folder.path().join("lone"), &["check"]);
        assert_eq!(check.status.code(), Some(0), "{}", said(&check));
        assert_has(&told(&check), &[row, "no problems found"]);
        assert!(check.stdout.is_empty(), "what is for people is on stderr");
        fs::remove_dir_all(folder.path().join("lone")).unwrap();
    }
}

#[test]
fn the_project_of_the_template_is_within_its_budgets() {
    let project = Project::copy();
    assert_data_eq!(
        project.told("check", 0),
        str![[r#"

 stage      kind       world          verdict      proof     reads           writes
 inspector  processor  inspector      read-only    enforced  ≤ 1 (enforced)  0 (contract)
 router     processor  router         handle-pass  contract  0 (contract)    0 (contract)
 sink       sink       metadata-sink  handle-pass  contract  0 (contract)    0 (contract)
 source     source     data-source    rewrite      contract  0 (contract)    1 (contract)
 transform  processor  transform      rewrite      enforced  ≤ 1 (enforced)  ≤ 1 (enforced)

 pipeline  copies  path                                 total  amplification
 main      ≤ 2     input → router → transform → output  ≤ 2    any
 count     ≤ 3     source → transform → sink            ≤ 3    ≥ 1.00×
 find      ≤ 1     input → find → output                ≤ 1    ≤ 1.00×

     Checked 5 stages and 3 pipelines: no problems found

"#]]
    );
}

fn bound(max: u32, exact: bool, proof: &str) -> Value {
    json!({"max": max, "exact": exact, "proof": proof})
}

#[test]
fn programs_are_told_of_each_stage_and_pipeline_and_last_the_summary() {
    let lines = Project::copy().json("check", 0);
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    let expected = [["stage-verdict"; 5].as_slice(), &["pipeline-verdict"; 3], &["check-summary"]].concat();
    assert_eq!(reasons, expected);

    let (never, enforced) = (bound(0, true, "contract"), bound(1, false, "enforced"));
    let (none, most) = (|| never.clone(), || enforced.clone());
    let stage = |package: &str, kind: &str, world: &str, verdict: &str, proof: &str, reads: Value, writes: Value| {
        json!({
            "reason": "stage-verdict", "package": package, "kind": kind,
            "world": format!("torvyn:streaming/{world}@0.2.0"), "verdict": verdict, "proof": proof,
            "reads": reads, "writes": writes, "pieces": none(), "views": none(), "retains": false,
            "attributes": kind != "source", "capabilities": [], "weaker": [],
        })
    };
    assert_eq!(
        lines[..5],
        [
            stage("inspector", "processor", "inspector", "read-only", "enforced", most(), none()),
            stage("router", "processor", "router", "handle-pass", "contract", none(), none()),
            stage("sink", "sink", "metadata-sink", "handle-pass", "contract", none(), none()),
            stage("source", "source", "data-source", "rewrite", "contract", none(), bound(1, true, "contract")),
            stage("transform", "processor", "transform", "rewrite", "enforced", most(), most()),
        ]
    );
    let pipeline = &lines[5];
    assert_eq!(
        (&pipeline["pipeline"], &pipeline["copies"], &pipeline["total"]),
        (&json!("main"), &json!(2), &json!(2))
    );
    assert_eq!(pipeline["path"], json!(["input", "router", "transform", "output"]));
    assert_eq!(pipeline["amplification"], json!({"min": 0.0, "max": null}));
    assert_eq!(pipeline["edges"][1]["written"], false);
    assert_eq!(pipeline["edges"][2]["written"], true);
    let summary = &lines[8];
    assert_eq!((&summary["built"], &summary["stages"], &summary["pipelines"]), (&json!(false), &json!(5), &json!(3)));
    assert_eq!((&summary["errors"], &summary["warnings"]), (&json!(0), &json!(0)));
    assert!(summary["analysis_ns"].as_u64().unwrap() > 0);
}

#[test]
fn a_world_that_can_do_more_than_the_budget_is_found() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    project.edit("Torvyn.toml", "copies = 2", "copies = 9");
    assert_data_eq!(
        project.told("check", 100),
        str![[r#"
error[over-budget-contract]: world `inspector` lets `router` read payloads, but its budget allows none
  --> router/Cargo.toml:12:1
   |
 7 | world = "inspector"
   |         ----------- the world
...
12 | reads = 0
   | ^^^^^^^^^ the budget
   |
  ::: wit/worlds.wit:13:10
   |
13 |   import payload-read;
   |          ------------ `payload-read` is imported here
   |
   = help: declare the world `router`, or check the component, which may use less than its world allows: `cargo torvyn check --built`

error[over-budget-pipeline]: an element of pipeline `main` can be copied any number of times on its path, but its budget allows 9
  --> Torvyn.toml:11:1
   |
 6 | stages = ["router", "transform"]
   |           --------  ----------- 1 read and 1 write
   |           |
   |           any number of reads
...
11 | copies = 9
   | ^^^^^^^^^^ the budget
   |
   = note: the path is input → router → transform → output
   = help: give `router` a bound that the host can enforce: `reads = 1`

 stage      kind       world          verdict      proof     reads           writes
 inspector  processor  inspector      read-only    enforced  ≤ 1 (enforced)  0 (contract)
 router     processor  inspector      read-only    contract  any number      0 (contract)
 sink       sink       metadata-sink  handle-pass  contract  0 (contract)    0 (contract)
 source     source     data-source    rewrite      contract  0 (contract)    1 (contract)
 transform  processor  transform      rewrite      enforced  ≤ 1 (enforced)  ≤ 1 (enforced)

 pipeline  copies      path                                 total       amplification
 main      any number  input → router → transform → output  any number  any
 count     ≤ 3         source → transform → sink            ≤ 3         ≥ 1.00×
 find      ≤ 1         input → find → output                ≤ 1         ≤ 1.00×

     Checked 5 stages and 3 pipelines: 2 errors

"#]]
    );
}

#[test]
fn the_world_that_is_named_keeps_the_whole_budget() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"transform\"");
    let told = project.told("check -p router", 100);
    assert_has(
        &told,
        &["lets `router` read payloads", "lets `router` write payloads", "`payload-read` is included here"],
    );
    assert_eq!(told.matches("declare the world `router`, or check the component").count(), 2, "{told}");
    project.edit("router/Cargo.toml", "reads = 0", "reads = 2");
    assert_has(&project.told("check -p router", 100), &["declare the world `inspector`, or check the component"]);
    project.edit("router/Cargo.toml", "writes = 0", "writes = 1");
    project.run("check -p router", 0);
}

/// In the world `windowed`, a stage that can hold can also read, write and multiply.
#[test]
fn a_world_that_can_hold_is_held_against_a_budget_of_leases() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"windowed\"");
    project.edit("router/Cargo.toml", "reads = 0\nwrites = 0", "reads = 1\nwrites = 1");
    assert_data_eq!(
        project.told("check -p router", 0),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected
warning[retains-without-lease-budget]: `router` can hold payloads beyond the call, but its budget does not limit leases
  --> wit/worlds.wit:61:10
   |
61 |   import payload-lease;
   |          ^^^^^^^^^^^^^ imported here
   |
   = help: set a limit: `leases = 1000`

 stage   kind       world     verdict           proof     reads           writes
 router  processor  windowed  rewrite, retains  enforced  ≤ 1 (enforced)  ≤ 1 (enforced)

     Checked 1 stage and 0 pipelines: 1 warning

"#]]
    );
    let verdict = project.verdict("check -p router", "router");
    assert_eq!((&verdict["retains"], &verdict["views"]["max"]), (&json!(true), &Value::Null));
    assert_eq!(verdict["pieces"], bound(0, true, "enforced"));

    project.edit("router/Cargo.toml", "writes = 1", "writes = 1\nleases = 1000");
    project.run("check -p router -D retains-without-lease-budget", 0);
    project.edit("router/Cargo.toml", "leases = 1000", "leases = 0");
    assert_has(
        &project.told("check -p router", 100),
        &[
            "error[over-budget-contract]: world `windowed` lets `router` hold payloads, but its budget allows none",
            "14 | leases = 0\n   | ^^^^^^^^^^ the budget",
            "`payload-lease` is imported here",
            "help: check the component",
        ],
    );
    project.edit("router/Cargo.toml", "reads = 1\nwrites = 1", "reads = 0\nwrites = 0");
    let told = project.told("check -p router", 100);
    assert_eq!(told.matches("declare the world `chunker`, or check the component").count(), 3, "{told}");
    project.edit("router/Cargo.toml", "leases = 0", "leases = 9");
    let told = project.told("check -p router", 100);
    assert_eq!(told.matches("declare the world `holder`, or check the component").count(), 2, "{told}");
    project.edit("router/Cargo.toml", "leases = 9", "leases = 0");

    // The stages after it may receive any number of elements for each of its own.
    project.edit("router/Cargo.toml", "reads = 0\nwrites = 0\nleases = 0", "reads = 1\nwrites = 1\nleases = 1000");
    project.edit("Torvyn.toml", "copies = 2", "copies = 4");
    let lines = project.json("check", 0);
    let main = lines.iter().find(|line| line["pipeline"] == "main").unwrap();
    assert_eq!((&main["copies"], &main["total"]), (&json!(4), &Value::Null));
    assert_eq!(main["edges"][1]["elements"], Value::Null);
}

/// In the world `holder`, it neither reads nor writes, but multiplies.
#[test]
fn a_world_that_only_holds_proves_a_handle_pass() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"holder\"");
    project.edit("router/Cargo.toml", "writes = 0", "writes = 0\nleases = 1000");
    assert_data_eq!(
        project.told("check -p router", 0),
        str![[r#"
note: pipelines `main`, `count`, `find` are not checked: not all of their stages are selected

 stage   kind       world   verdict               proof     reads         writes
 router  processor  holder  handle-pass, retains  contract  0 (contract)  0 (contract)

     Checked 1 stage and 0 pipelines: no problems found

"#]]
    );
    let verdict = project.verdict("check -p router", "router");
    assert_eq!((&verdict["retains"], &verdict["views"]["max"]), (&json!(true), &Value::Null));
}

#[test]
fn an_unchanged_project_is_checked_at_once() {
    let project = Project::copy();
    project.run("check", 0);
    let began = Instant::now();
    project.run("check", 0);
    let took = began.elapsed();
    assert!(took.as_secs_f64() < 1.0, "{took:?}");
}
