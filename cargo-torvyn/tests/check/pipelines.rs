//! `check` and `run` compare pipelines with their budgets.

use std::fs;

use serde_json::json;
use snapbox::{assert_data_eq, str};

use super::{Project, assert_has, target};

const PIPELINES: &str = r#"[pipeline.main]
stages = ["router", "transform"]

[pipeline.main.budget]
copies = 1
amplification = 1.5

[pipeline.find]
stages = [{ name = "find", component = "inspector", config = { needle = "ERROR" } }]

[pipeline.find.budget]
amplification = 0.5
"#;

const IO: &str = "--input in.txt --output out.txt";

#[test]
fn what_is_over_the_budget_of_a_pipeline_is_found_with_the_stages_that_copy() {
    let project = Project::copy();
    project.write("Torvyn.toml", PIPELINES);
    assert_data_eq!(
        project.told("check -W unproven-budget -p inspector -p router -p transform", 100),
        str![[r#"
warning[unproven-budget]: nothing proves that `inspector` keeps its budget of reads; the host counts them
  --> inspector/Cargo.toml:12:1
   |
12 | reads = 1
   | ^^^^^^^^^
   |
   = note: `--warn unproven-budget` is set on the command line
   = help: the component may prove it: `cargo torvyn check --built`

warning[unproven-budget]: nothing proves that `transform` keeps its budget of reads; the host counts them
  --> transform/Cargo.toml:12:1
   |
12 | reads = 1
   | ^^^^^^^^^
   |
   = note: `--warn unproven-budget` is set on the command line
   = help: the component may prove it: `cargo torvyn check --built`

warning[unproven-budget]: nothing proves that `transform` keeps its budget of writes; the host counts them
  --> transform/Cargo.toml:13:1
   |
13 | writes = 1
   | ^^^^^^^^^^
   |
   = note: `--warn unproven-budget` is set on the command line
   = help: the component may prove it: `cargo torvyn check --built`

error[over-budget-pipeline]: an element of pipeline `main` can be copied 2 times on its path, but its budget allows 1
 --> Torvyn.toml:5:1
  |
2 | stages = ["router", "transform"]
  |                     ----------- 1 read and 1 write
...
5 | copies = 1
  | ^^^^^^^^^^ the budget
  |
  = note: the path is input → router → transform → output
  = help: copy less on the path, or allow it: `copies = 2`

warning[unproven-budget]: nothing proves that `main` keeps its amplification budget
 --> Torvyn.toml:6:1
  |
2 | stages = ["router", "transform"]
  |                     ----------- 1 read and 1 write
...
6 | amplification = 1.5
  | ^^^^^^^^^^^^^^^^^^^ the budget
  |
  = note: `--warn unproven-budget` is set on the command line
  = note: a stage writes payloads whose sizes are known only when it runs; `run` checks the budget at its end

error[over-budget-pipeline]: the amplification of `find` can be up to 1.00×, but its budget allows 0.50×
  --> Torvyn.toml:12:1
   |
 9 | stages = [{ name = "find", component = "inspector", config = { needle = "ERROR" } }]
   |                                        ----------- 1 read
...
12 | amplification = 0.5
   | ^^^^^^^^^^^^^^^^^^^ the budget
   |
   = help: copy less, or allow it: `amplification = 1.0`

 stage      kind       world      verdict      proof     reads           writes
 inspector  processor  inspector  read-only    enforced  ≤ 1 (enforced)  0 (contract)
 router     processor  router     handle-pass  contract  0 (contract)    0 (contract)
 transform  processor  transform  rewrite      enforced  ≤ 1 (enforced)  ≤ 1 (enforced)

 pipeline  copies  path                                 total  amplification
 main      ≤ 2     input → router → transform → output  ≤ 2    any
 find      ≤ 1     input → find → output                ≤ 1    ≤ 1.00×

     Checked 3 stages and 2 pipelines: 2 errors, 4 warnings

"#]]
    );
}

#[test]
fn a_pipeline_without_a_bound_names_the_stage_that_has_none() {
    let project = Project::copy();
    project.edit("transform/Cargo.toml", "reads = 1\n", "");
    let told = project.told("check", 100);
    assert_has(
        &told,
        &[
            "pipeline `main` can be copied any number of times on its path, but its budget allows 2",
            "give `transform` a bound that the host can enforce: `reads = 1`",
        ],
    );
}

#[test]
fn an_amplification_that_nothing_proves_is_compared_when_the_flow_has_ended() {
    let project = Project::built();
    project.write("Torvyn.toml", &PIPELINES.replace("copies = 1", "copies = 2"));
    project.write("in.txt", "an ERROR\nall is well\n");
    let told = project.told(&format!("run main {IO}"), 100);
    assert_has(
        &told,
        &["error[over-budget-pipeline]: the amplification of `main` was 2.00×, but its budget allows 1.50×", ":6:1"],
    );
    assert_eq!(fs::read_to_string(project.root.join("out.txt")).unwrap(), "AN ERROR\nALL IS WELL\n");
    project.run(&format!("run main {IO} --ignore-budget"), 0);

    fs::remove_file(project.root.join("out.txt")).unwrap();
    let told = project.told(&format!("run find {IO}"), 100);
    assert_has(
        &told,
        &["can be up to 1.00×, but its budget allows 0.50×", "is over its copy budget", "--ignore-budget"],
    );
    assert!(!project.root.join("out.txt").exists(), "nothing ran");
    project.run(&format!("run find {IO} --ignore-budget"), 0);
    assert_eq!(fs::read_to_string(project.root.join("out.txt")).unwrap(), "an ERROR\n");
}

#[test]
fn the_budget_that_a_pipeline_gives_a_stage_holds_for_packages_and_files() {
    let project = Project::built();
    project.run("build -p inspector", 0);
    fs::copy(target().join("wasm32-wasip2/release/inspector.wasm"), project.root.join("find.wasm")).unwrap();
    let stage = |component: &str, budget: &str| {
        format!(
            "[{{ name = 'find', component = '{component}', config = {{ needle = 'ERROR' }}, budget = {{ {budget} }} }}]"
        )
    };
    let manifest = format!(
        "[pipeline.package]\nstages = {}\n[pipeline.file]\nstages = {}\n[pipeline.bytes]\nstages = {}\n",
        stage("inspector", "reads = 0"),
        stage("./find.wasm", "reads = 0"),
        stage("./find.wasm", "read-bytes = 1"),
    );
    project.write("Torvyn.toml", &manifest);
    project.write("in.txt", "x\nan ERROR\n");

    let contract = project.told("check -p inspector", 100);
    assert_has(
        &contract,
        &[
            "error[over-budget-contract]: world `inspector` lets `inspector` read payloads, but its budget allows none",
            "--> Torvyn.toml:2:",
            "error[over-budget-component]: `./find.wasm` can read an element once, but its budget allows none",
            "--> Torvyn.toml:4:",
            " ./find.wasm  processor  inspector  read-only  bounded   ≤ 1 (bounded)",
            "Checked 2 stages and 3 pipelines: 2 errors",
        ],
    );
    let lines = project.json("check -p inspector", 100);
    let verdicts = lines.iter().filter(|line| line["reason"] == "stage-verdict").map(|line| &line["package"]);
    assert_eq!(verdicts.collect::<Vec<_>>(), ["inspector", "./find.wasm"]);

    for (pipeline, place) in [("package", "Torvyn.toml:2:"), ("file", "Torvyn.toml:4:")] {
        let told = project.told(&format!("run {pipeline} {IO}"), 100);
        assert_has(
            &told,
            &["can read an element once, but its budget allows none", place, "calls `payload-read.read-all`"],
        );
        assert!(!project.root.join("out.txt").exists(), "nothing ran");
    }
    let told = project.told(&format!("run bytes {IO}"), 101);
    assert_has(
        &told,
        &[
            "stage `find` failed in `process` at element 1",
            "budget-exceeded: 8 bytes read of element 1, at most 1 allowed",
        ],
    );
    let told = project.run(&format!("run bytes {IO} --ignore-budget --message-format json"), 0);
    let summary: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let elements = json!({"in": 2, "out": 1, "dropped": 1, "skipped": 0, "dead_letters": 0, "due": 0, "late": 0});
    assert_eq!(summary["elements"], elements);
}

#[test]
fn what_is_wrong_with_a_stage_of_a_pipeline_is_told_in_its_manifest() {
    let project = Project::copy();
    project.write("core.wasm", "\0asm\x01\0\0\0");
    project.write(
        "Torvyn.toml",
        "[pipeline.a]\nstages = [\"./core.wasm\"]\n[pipeline.b]\nstages = [\"./none.wasm\", \"ruoter\"]\n",
    );
    let told = project.told("check", 100);
    assert_has(
        &told,
        &[
            "found a core WebAssembly module",
            "--> Torvyn.toml:2:11",
            "`./none.wasm` does not exist",
            "there is no package `ruoter` in the workspace",
            "did you mean `router`?",
            "5 stages and 0 pipelines: 3 errors",
        ],
    );
}

#[test]
fn what_is_wrong_with_a_budget_is_told_at_its_key() {
    let project = Project::copy();
    project.edit("Torvyn.toml", "copies = 2", "copy = 2\ncopies = -2\namplification = -1");
    let told = project.told("check", 100);
    assert_has(
        &told,
        &[
            "error[unknown-key]: unknown key `copy` in the `budget` of a pipeline\n  --> Torvyn.toml:11:1",
            "error[bad-number]: `copies` must be from 0 to 4294967295\n  --> Torvyn.toml:12:10",
            "error[bad-number]: `amplification` must be from 0 to 1000000000\n  --> Torvyn.toml:13:17",
        ],
    );
}

/// A pipeline of one stage that reads each element once, with these further keys, and a budget of one copy.
fn under(stage: &str) -> String {
    format!(
        "[pipeline.main]\nstages = [{{ component = \"inspector\"{stage} }}]\n\n\
         [pipeline.main.budget]\ncopies = 1\namplification = 1.0\n"
    )
}

#[test]
fn a_policy_for_failures_is_in_the_bounds() {
    let project = Project::copy();
    project.write("Torvyn.toml", &under(", on-failure = { retry = 2, then = \"skip\" }"));
    let told = project.told("check -p inspector", 100);
    assert_has(
        &told,
        &[
            "an element of pipeline `main` can be copied 4 times on its path, but its budget allows 1",
            "1 read in each of 4 calls",
            "= note: `inspector` can copy an element in 4 calls: 1 with others, 1 alone and 2 retries\n",
            "= help: copy less on the path, lend `inspector` one element per call (`batch = 1`), or allow it: `copies = 4`\n",
            "the amplification of `main` can be up to 4.00×, but its budget allows 1.00×",
            "= help: copy less, lend `inspector` one element per call (`batch = 1`), or allow it: `amplification = 4.0`\n",
            "pipeline  stage      on failure            batch  reads",
            "main      inspector  2 retries, then skip  256    ≤ 4 (enforced, with 2 retries)  0 (contract)\n",
        ],
    );
    let lines = project.json("check -p inspector", 100);
    let line = lines.iter().find(|line| line["reason"] == "pipeline-verdict").unwrap();
    assert_eq!((&line["copies"], &line["total"], &line["amplification"]["max"]), (&4.into(), &4.into(), &4.0.into()));
    let expected = json!([{
        "stage": "inspector", "retries": 2, "then": "skip", "batch": 256, "calls": 4,
        "reads": { "max": 4, "exact": false, "proof": "enforced" },
        "writes": { "max": 0, "exact": true, "proof": "contract" },
    }]);
    assert_eq!(line["repeated"], expected);

    project.write("Torvyn.toml", &under(", batch = 1, on-failure = { retry = 1 }"));
    let told = project.told("check -p inspector", 100);
    let help = "= help: copy less on the path, or allow it: `copies = 2`\n";
    assert_has(&told, &["can be copied 2 times", "can copy an element in 2 calls: 1 alone and 1 retry\n", help]);

    // With one element per call, which is skipped at the first failure, reads are the same as without a policy.
    project.write("Torvyn.toml", &under(", batch = 1, on-failure = \"skip\""));
    assert_has(&project.told("check -p inspector", 0), &["main      inspector  skip        1      ≤ 1 (enforced)"]);
    project.write("Torvyn.toml", &under(", batch = 1"));
    assert!(!project.told("check -p inspector", 0).contains("on failure"));
}
