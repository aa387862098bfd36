//! Verdicts from the code of components that hold, slice, join and write piece by piece.

use std::fs;

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use super::{Project, assert_has};
use wat_guests::processor::Guest;

/// The project with component files, each built from the body of its `process`.
fn project(components: &[(&str, &str)]) -> Project {
    let project = Project::copy();
    for (file, process) in components {
        let guest = Guest { process, holds: true, ..Guest::default() };
        fs::write(project.root.join(file), guest.build()).unwrap();
    }
    project
}

#[test]
fn what_the_code_can_do_is_told_of_it() {
    let project = project(&[
        ("holds.wasm", "(call $take)"),
        ("joins.wasm", "(call $take) (call $join)"),
        ("slices.wasm", "(call $slice)"),
        ("pieces.wasm", "(call $begin_buffer) (call $append)"),
        ("peeks.wasm", "(call $take) (call $look_held)"),
        ("still.wasm", "(call $look_held) (call $join) (call $append)"),
    ]);
    let files = "holds.wasm joins.wasm slices.wasm pieces.wasm peeks.wasm still.wasm";
    assert_data_eq!(
        project.told(&format!("check {files}"), 0),
        str![[r#"

 stage        kind       world     verdict               proof       reads           writes
 holds.wasm   processor  windowed  handle-pass, retains  call-graph  0 (call-graph)  0 (call-graph)
 joins.wasm   processor  windowed  handle-pass, retains  call-graph  0 (call-graph)  0 (call-graph)
 slices.wasm  processor  windowed  handle-pass           call-graph  0 (call-graph)  0 (call-graph)
 pieces.wasm  processor  windowed  rewrite               none        0 (call-graph)  any number
 peeks.wasm   processor  windowed  read-only, retains    call-graph  any number      0 (call-graph)
 still.wasm   processor  windowed  handle-pass           call-graph  0 (call-graph)  0 (call-graph)

note: no stronger proof for `pieces.wasm`: a payload can be written piece by piece, any number of times
note: no stronger proof for `peeks.wasm`: held elements can be read through their lease in any call
     Checked 6 stages and 0 pipelines: no problems found

"#]]
    );
    let views = |file: &str| project.verdict(&format!("check {file}"), file)["views"]["max"].clone();
    let never = json!(0);
    for (file, expected) in [("holds.wasm", &never), ("joins.wasm", &Value::Null), ("slices.wasm", &Value::Null)] {
        assert_eq!(&views(file), expected, "{file}");
    }
}

#[test]
fn a_budget_of_no_leases_takes_a_proof() {
    let project = project(&[("joins.wasm", "(call $take) (call $join)"), ("still.wasm", "(call $join)")]);
    let pipeline = |file: &str, budget: &str| {
        let stage =
            format!("[[pipeline.main.stages]]\nname = \"s\"\ncomponent = \"{file}\"\nbudget = {{ {budget} }}\n");
        project.write("Torvyn.toml", &format!("[pipeline.main]\ninput = \"-\"\noutput = \"-\"\n\n{stage}"));
    };
    pipeline("joins.wasm", "leases = 0");
    assert_has(
        &project.told("check", 100),
        &[
            "error[over-budget-component]: `joins.wasm` can hold payloads, but its budget allows none",
            "leases = 0",
            "= note: `payload-lease.take` is called in `process`",
            "= help: do not hold payloads, or allow it: `leases = 1`",
        ],
    );
    pipeline("joins.wasm", "leases = 1000, lease-bytes = \"64MiB\"");
    project.run("check -D retains-without-lease-budget", 0);
    pipeline("joins.wasm", "reads = 1");
    assert_has(
        &project.told("check", 0),
        &[
            "warning[retains-without-lease-budget]: `joins.wasm` can hold payloads beyond the call",
            "--> Torvyn.toml:7:13",
            "= note: `payload-lease.take` is called in `process`",
            "= help: set a limit: `leases = 1000`",
        ],
    );
    pipeline("still.wasm", "leases = 0");
    project.run("check", 0);
}

#[test]
fn a_baseline_tells_that_a_stage_holds_or_multiplies_now() {
    let project = project(&[("stage.wasm", "")]);
    project.run("check stage.wasm --save-baseline copies.json", 0);
    let becomes = |process: &str, what: &str| {
        let guest = Guest { process, holds: true, ..Guest::default() };
        fs::write(project.root.join("stage.wasm"), guest.build()).unwrap();
        assert_has(&project.told("check stage.wasm --baseline copies.json", 100), &[what, "--> stage.wasm"]);
        // Programs get the component and no manifest: there is none.
        let lines = project.json("check stage.wasm --baseline copies.json", 100);
        let component = project.root.join("stage.wasm");
        let found = lines.iter().filter(|line| line["reason"] == "compiler-message").collect::<Vec<_>>();
        assert!(!found.is_empty());
        for line in found {
            assert_eq!(line["message"]["spans"][0]["file_name"], "stage.wasm");
            assert_eq!(line["manifest_path"], component.to_str().unwrap());
            assert_eq!((&line["target"]["kind"][0], &line["target"]["name"]), (&"component".into(), &"stage".into()));
        }
    };
    becomes("(call $take)", "`stage.wasm` is worse than in the baseline: it can now hold payloads beyond the call");
    becomes("(call $slice)", "elements made from one without a write: at most 0 before, now unbounded");
}

/// Only a stage that keeps nothing can have replicas, and a component file cannot say so itself.
#[test]
fn replicas_take_a_stage_without_state() {
    let project = project(&[("holds.wasm", "(call $take)"), ("slices.wasm", "(call $slice)")]);
    project.write("in.txt", "one\n");
    let pipeline = |stage: &str| {
        project.write("Torvyn.toml", &format!("[pipeline.main]\nstages = [{{ component = {stage} }}]\n"));
    };
    pipeline("'./holds.wasm', replicas = 2, stateless = true");
    let expected = [
        "error[replicas-with-state]: `holds` can hold elements beyond a call, so it cannot have replicas",
        "2 | stages = [{ component = './holds.wasm', replicas = 2, stateless = true }]",
        "help: remove `replicas`",
    ];
    assert_has(&project.told("check", 100), &expected);
    assert_has(&project.told("run --input in.txt --output out.txt", 101), &expected);

    pipeline("'./slices.wasm', replicas = 'auto'");
    let expected = [
        "error[replicas-with-state]: `slices` has replicas, but is not declared stateless",
        "help: write `stateless = true` beside `replicas`, if it keeps nothing from one element to the next; or remove \
         `replicas`",
    ];
    assert_has(&project.told("check", 100), &expected);

    pipeline("'./slices.wasm', replicas = 3, stateless = true, limits.memory = '1MiB'");
    let told = project.told("check", 0);
    assert_has(&told, &["replicas  memory", "slices  3         ≤ 3 MiB"]);
}
