//! Cases under schedules that are chosen by seeds.

use std::fs;

use serde_json::Value;

use crate::{expect, folder, said, torvyn};

/// The schedule decides which of two paths is first at the output; each path keeps its order.
const FORK: &str = r#"
[pipeline.fork]
stages = [
    { name = "a", component = "COMPONENTS/router.wasm", from = "input" },
    { name = "b", component = "COMPONENTS/transform.wasm", from = "input" },
]
output = { stdout = true, from = ["a", "b"] }

[[test]]
name = "it's in order"
pipeline = "fork"
input.lines = ["x", "y", "z"]
expect.output.lines = ["x", "y", "z", "X", "Y", "Z"]

[[test]]
name = "any order"
pipeline = "fork"
input.lines = ["x", "y", "z"]
expect.output = { lines = ["x", "X", "y", "Y", "z", "Z"], any-order = true }
"#;

#[test]
fn a_case_under_many_schedules_counts_once() {
    let folder = folder(FORK);
    let several = ["--schedules", "50", "--seed", "7"];
    let tried = "Trying 50 schedules per case, seeds 7 to 56";
    expect(folder.path(), &[&several[..], &["any"]].concat(), 0, &[tried, "Pass", "any order", "1 case: 1 passed"]);
    let failed = expect(
        folder.path(),
        &[&several[..], &["--no-fail-fast"]].concat(),
        100,
        &["Fail", "it's in order", "it failed with seed ", "Pass", "any order", "2 cases: 1 passed, 1 failed"],
    );
    let said = said(&failed);
    let help = r"help: cargo torvyn test --exact 'it'\''s in order' --seed ";
    let (_, rest) = said.split_once(help).unwrap_or_else(|| panic!("{said}"));
    let seed = rest.split_whitespace().next().unwrap();
    assert!((7..57).contains(&seed.parse().unwrap()), "{seed}");

    // An expected failure happens in the same way each time, and the output for programs has it.
    let again = ["test", "--exact", "it's in order", "--seed", seed, "--message-format", "json", "--junit", "r.xml"];
    let runs: Vec<Value> = (0..3)
        .map(|_| {
            let output = torvyn(folder.path(), &again);
            assert_eq!(output.status.code(), Some(100));
            let text = String::from_utf8(output.stdout).unwrap();
            serde_json::from_str(text.lines().next().unwrap()).unwrap()
        })
        .collect();
    assert_eq!(runs[0]["seed"], seed.parse::<u64>().unwrap());
    assert!(runs.iter().all(|run| run["findings"] == runs[0]["findings"]), "{runs:?}");
    let report = fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(report.contains(&format!("<property name=\"seed\" value=\"{seed}\"/>")), "{report}");
}

#[test]
fn a_seed_that_nobody_names_is_told() {
    let folder = folder(FORK);
    expect(folder.path(), &["any", "--schedules", "3"], 0, &["Trying 3 schedules per case, seeds "]);
    expect(
        folder.path(),
        &["any", "--seed", "18446744073709551615", "--schedules", "2"],
        0,
        &["18446744073709551615 to 0"],
    );
}

#[test]
fn a_case_has_a_seed_of_its_own() {
    let case = FORK.replace("name = \"any order\"", "name = \"any order\"\nseed = 7");
    let output = torvyn(folder(&case).path(), &["test", "any", "--message-format", "json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["seed"], &line["outcome"]), (&7.into(), &"passed".into()));
}

#[test]
fn schedules_that_make_no_sense_are_usage() {
    let folder = folder(FORK);
    for (args, text) in [
        (&["--schedules", "0"][..], "0 is not in 1.."),
        (&["--schedules", "2", "--bless"], "cannot be used with"),
        (&["--seed", "2", "--bless"], "cannot be used with"),
    ] {
        expect(folder.path(), args, 2, &[text]);
    }
}
