//! The output for programs, however a command ends: every command, in each of its formats, with every failure that can
//! be caused from outside. Each line of JSON has the keys that the guide lists for its `reason`, the last line is the
//! summary, and its failures have the expected code, which `explain` knows.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{FAULTS, command, faulty, folder_with_input, project, said, target, torvyn};
use serde_json::{Value, json};

/// A pipeline of one stage that goes wrong as it is told.
const UPPER: &str =
    "[pipeline.main]\ninput = 'input.txt'\noutput = 'output.txt'\nstages = ['COMPONENTS/transform.wasm']\n";

/// A case that passes, and one that fails.
const CASES: &str = "\n[[test]]\nname = 'passes'\npipeline = 'main'\ninput.lines = ['a']\nexpect.output.lines = ['A']\n\
                     [[test]]\nname = 'differs'\npipeline = 'main'\ninput.lines = ['a']\nexpect.output.lines = ['B']\n";

/// The reasons and keys of the lines of JSON, from the table of the guide.
fn documented(reason: &str) -> BTreeSet<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src/reference/json.md");
    let guide = fs::read_to_string(guide).unwrap();
    let row = guide.lines().find(|row| row.starts_with(&format!("| `{reason}` |")));
    let row = row.unwrap_or_else(|| panic!("`{reason}` is not in the guide"));
    row.split('|').nth(3).unwrap().split('`').skip(1).step_by(2).map(str::to_string).collect()
}

/// Keys that another section of the guide documents, or that are cargo's.
fn has_a_section(reason: &str) -> bool {
    ["stage-verdict", "pipeline-verdict"].contains(&reason)
        || ["compiler-message", "compiler-artifact", "build-script-executed", "build-finished"].contains(&reason)
}

/// The keys of an object in a summary.
#[track_caller]
fn assert_keys(what: &str, object: &Value) {
    let keys: BTreeSet<_> = object.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, documented(what), "{what}: {object}");
}

/// The summary among lines of JSON. Asserts that each line is as the guide says.
#[track_caller]
fn summary(output: &Output, expected: &str) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.ends_with('\n'), "{text:?}\n{}", said(output));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (last, before) = lines.split_last().unwrap();
    for line in before {
        let reason = line["reason"].as_str().unwrap_or_else(|| panic!("{line}"));
        assert_ne!(reason, expected, "one summary, at the end: {text}");
        if !has_a_section(reason) {
            let keys: BTreeSet<_> = line.as_object().unwrap().keys().filter(|key| *key != "reason").cloned().collect();
            assert_eq!(keys, documented(reason), "{reason}");
        }
        for finding in line["findings"].as_array().into_iter().flatten() {
            assert_keys("finding", finding);
        }
    }
    assert_eq!(last["reason"], expected, "{text}");
    assert_eq!(last["exit_code"].as_i64(), output.status.code().map(i64::from), "{text}");
    let outcome = match output.status.code().unwrap() {
        0 => "succeeded",
        2 => "usage-error",
        4 => "nothing-selected",
        96 => "setup-missing",
        100 => "findings",
        101 => "failed",
        129 => "hung-up",
        130 => "interrupted",
        143 => "terminated",
        other => panic!("{other}"),
    };
    assert_eq!(last["outcome"], outcome);
    let failures = last["failures"].as_array().unwrap();
    if ["hung-up", "interrupted", "terminated"].contains(&outcome) {
        // What was finished before the signal came did not fail.
        assert!(failures.iter().all(|failure| failure["code"] == "interrupted"), "{last}");
        assert!(failures.is_empty() || !last["elements"].is_object(), "{last}");
    } else {
        assert!(failures.is_empty() == (outcome == "succeeded"), "{last}");
    }
    for failure in failures {
        assert_keys("failure", failure);
    }
    // If the arguments are invalid, nothing else is known.
    let keys: BTreeSet<_> = last.as_object().unwrap().keys().filter(|key| *key != "reason").cloned().collect();
    let own = match (outcome, last["elements"].is_object()) {
        ("usage-error", _) if keys.len() == 3 => ["outcome", "exit_code", "failures"].map(str::to_string).into(),
        (_, true) => keys.clone(),
        _ => documented(expected),
    };
    assert_eq!(keys, own, "{expected}");
    last.clone()
}

fn codes(summary: &Value) -> Vec<&str> {
    let failures = summary["failures"].as_array().unwrap();
    failures.iter().map(|failure| failure["code"].as_str().unwrap()).collect()
}

/// Asserts that the text is a SARIF log, and returns its run.
#[track_caller]
fn sarif(output: &Output) -> Value {
    let log: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)));
    assert_eq!((&log["version"], log["runs"].as_array().unwrap().len()), (&json!("2.1.0"), 1));
    let run = log["runs"][0].clone();
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["exitCode"].as_i64(), output.status.code().map(i64::from));
    let is_done = [Some(0), Some(100)].contains(&output.status.code());
    assert_eq!(invocation["executionSuccessful"], is_done);
    assert_eq!(invocation["toolExecutionNotifications"].as_array().unwrap().is_empty(), is_done, "{invocation}");
    assert!(run["results"].is_array());
    run
}

/// The JUnit report. Asserts that its tags and totals are consistent, which is as much as can be checked without a
/// parser.
#[track_caller]
fn junit(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"cargo-torvyn\" tests=\"";
    assert!(text.starts_with(head) && text.ends_with("</testsuites>\n"), "{text}");
    let mut open = Vec::new();
    for tag in text.split('<').skip(2).map(|rest| rest.split('>').next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{text}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?}\n{text}");
    let count = |attribute: &str, tag: &str| -> usize {
        let tag = text.split('<').find(|rest| rest.starts_with(tag)).unwrap();
        tag.split(&format!(" {attribute}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    for (attribute, element) in
        [("tests", "testcase "), ("errors", "error "), ("failures", "failure "), ("skipped", "skipped/")]
    {
        let elements = text.split('<').filter(|rest| rest.starts_with(element)).count();
        let counted = count(attribute, "testsuites ");
        // A case with several differences is one failure.
        let is_counted = if attribute == "failures" { counted <= elements } else { counted == elements };
        assert!(is_counted, "{attribute}\n{text}");
        assert!(text.split('<').any(|rest| rest.starts_with("testsuite ") && rest.contains(" timestamp=\"20")));
    }
    text
}

#[test]
fn a_stage_that_fails_is_told_with_its_place_its_elements_and_its_causes() {
    for (how, at, code, _) in FAULTS {
        let folder = folder_with_input(&faulty(how, at));
        let output = torvyn(folder.path(), &["run", "--message-format", "json"]);
        let summary = summary(&output, "run-summary");
        assert_eq!((codes(&summary), &summary["pipeline"]), (vec![code], &json!("main")), "{how} in {at}");
        let failure = &summary["failures"][0];
        assert_eq!((&failure["stage"], &failure["call"]), (&json!("faulty"), &json!(at)), "{failure}");
        assert_eq!(failure["place"], json!({ "file": "Torvyn.toml", "line": 7, "column": 13 }));
        assert_eq!(failure["message"], "pipeline `main` failed");
        assert!(failure["causes"].as_array().unwrap().len() >= 2, "{failure}");
        assert_eq!(failure["elements"].is_object(), at == "process", "{failure}");
        // People see the same code, and can look it up.
        assert!(said(&output).contains(&format!("error[{code}]: pipeline `main` failed")), "{}", said(&output));
        assert!(torvyn(folder.path(), &["explain", code]).status.success());
    }
    let folder = folder_with_input(&faulty("fail", "process"));
    let output = torvyn(folder.path(), &["run", "--message-format", "json"]);
    assert_eq!(summary(&output, "run-summary")["failures"][0]["elements"], json!({ "first": 1000, "last": 1000 }));
}

#[test]
fn every_way_a_run_fails_ends_with_its_summary() {
    let full = UPPER.replace("'output.txt'", "'/dev/full'");
    let missing = UPPER.replace("'output.txt'", "'missing/output.txt'");
    let absent = UPPER.replace("'input.txt'", "'absent.txt'");
    let budget = faulty("", "") + "budget = { reads = 0 }\n";
    let source = "[pipeline.main]\nstages = ['./none.wasm']\n";
    let cycle = "[pipeline.main]\nstages = [{ name = 'a', component = 'COMPONENTS/router.wasm', from = 'b' }, \
                 { name = 'b', component = 'COMPONENTS/router.wasm', from = 'a' }]\n";
    let letters = faulty("fail", "process") + "on-failure = { dead-letter = '/dev/full' }\n";
    let table: &[(&str, &[&str], i32, &[&str])] = &[
        (UPPER, &[], 0, &[]),
        (UPPER, &["--nope"], 2, &["usage"]),
        (UPPER, &["--input"], 2, &["usage"]),
        (UPPER, &["--output", "-"], 2, &["usage"]),
        (UPPER, &["--records", "input.txt"], 2, &["same-file"]),
        (UPPER, &["--records", "missing/r.jsonl"], 101, &["result-not-written"]),
        (UPPER, &["--trace", "/dev/full"], 101, &["result-not-written"]),
        (UPPER, &["other"], 101, &["unknown-pipeline"]),
        (UPPER, &["--input", "input.txt", "--output", "input.txt"], 101, &["same-file"]),
        (UPPER, &["--input", "."], 101, &["is-a-directory"]),
        (UPPER, &["--manifest-path", "/nowhere/Cargo.toml"], 101, &["not-found"]),
        (&full, &[], 101, &["output-failed"]),
        (&missing, &[], 101, &["output-failed"]),
        (&absent, &[], 101, &["not-found"]),
        (&budget, &[], 100, &["over-budget-component", "over-budget"]),
        (&letters, &[], 101, &["dead-letter-failed"]),
        (source, &[], 101, &["not-found"]),
        (cycle, &[], 101, &["cycle"]),
        ("[pipeline.main\n", &[], 101, &["syntax"]),
        ("[pipeline.main]\nstage = ['a']\n", &[], 101, &["missing-key", "unknown-key"]),
        ("[pipeline.main]\nstages = ['a']\n", &[], 101, &["no-project"]),
    ];
    for (manifest, args, code, expected) in table {
        let folder = folder_with_input(manifest);
        let args = [&["run", "--message-format", "json"][..], args].concat();
        let output = torvyn(folder.path(), &args);
        assert_eq!(output.status.code(), Some(*code), "{args:?}\n{manifest}\n{}", said(&output));
        let summary = summary(&output, "run-summary");
        let mut codes = codes(&summary);
        codes.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(codes, expected, "{args:?}\n{manifest}\n{summary}");
        assert_eq!(summary["elements"].is_object(), *code == 0, "{summary}");
    }
}

#[test]
fn every_way_a_bench_fails_ends_with_its_summary() {
    let stdin = UPPER.replace("'input.txt'", "'-'");
    let undeclared = UPPER.replace("input = 'input.txt'\n", "");
    let absent = UPPER.replace("'input.txt'", "'absent.txt'");
    let fails = faulty("trap", "process");
    let budget = faulty("", "") + "budget = { reads = 0 }\n";
    let table: &[(&str, &[&str], i32, &[&str])] = &[
        (UPPER, &["--rounds", "1", "--warm-up", "0"], 0, &[]),
        (UPPER, &["--rounds", "0"], 2, &["usage"]),
        (UPPER, &["--rounds", "-1"], 2, &["usage"]),
        (UPPER, &["--warm-up", "1001"], 2, &["usage"]),
        (UPPER, &["--generate", "0x64"], 2, &["usage"]),
        (UPPER, &["--generate", "1x99GiB"], 2, &["usage"]),
        (UPPER, &["--generate", "1x1", "--input", "input.txt"], 2, &["usage"]),
        (UPPER, &["--tolerance", "1"], 2, &["usage"]),
        (UPPER, &["--rounds", "4", "--save-baseline", "b.json"], 2, &["usage"]),
        (UPPER, &["--input", "-"], 2, &["usage"]),
        (UPPER, &["--input", "/dev/null"], 2, &["usage"]),
        (&stdin, &[], 2, &["usage"]),
        (&undeclared, &[], 2, &["usage"]),
        (UPPER, &["--report", "/dev/stdout"], 2, &["usage"]),
        (UPPER, &["--report", "Torvyn.toml"], 2, &["same-file"]),
        (UPPER, &["--report", "input.txt"], 2, &["same-file"]),
        (UPPER, &["--report", "output.txt"], 2, &["same-file"]),
        (UPPER, &["--save-baseline", "input.txt"], 2, &["same-file"]),
        (UPPER, &["--report", "r.html", "--save-baseline", "r.html"], 2, &["same-file"]),
        (UPPER, &["--report", "other.txt"], 2, &["result-not-written"]),
        (UPPER, &["--report", "missing/r.html"], 101, &["result-not-written"]),
        (UPPER, &["--baseline", "missing.json"], 101, &["bad-baseline"]),
        (UPPER, &["--baseline", "other.txt"], 101, &["bad-baseline"]),
        (UPPER, &["other"], 101, &["unknown-pipeline"]),
        (UPPER, &["--input", "empty.txt"], 101, &["command-failed"]),
        (&absent, &[], 101, &["not-found"]),
        (&fails, &["--warm-up", "0"], 101, &["stage-trap"]),
        (&budget, &[], 100, &["over-budget-component", "over-budget"]),
        ("[pipeline.main\n", &[], 101, &["syntax"]),
    ];
    for (manifest, args, code, expected) in table {
        let folder = folder_with_input(manifest);
        for (name, content) in [("output.txt", "before"), ("other.txt", "{\"a\": 1}"), ("empty.txt", "")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let args = [&["bench", "--message-format", "json"][..], args].concat();
        let output = torvyn(folder.path(), &args);
        assert_eq!(output.status.code(), Some(*code), "{args:?}\n{manifest}\n{}", said(&output));
        let summary = summary(&output, "bench-summary");
        assert_eq!(codes(&summary), *expected, "{args:?}\n{manifest}\n{summary}");
        assert_eq!(summary["measured"].is_object(), *code == 0, "{summary}");
        // Nothing of the user has changed, and nothing is left.
        assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap(), "before");
        assert_eq!(fs::read_to_string(folder.path().join("other.txt")).unwrap(), "{\"a\": 1}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "{args:?}");
    }
}

#[test]
fn a_pipeline_that_became_slower_is_a_failure_of_a_bench() {
    let folder = folder_with_input(UPPER);
    let bench = |args: &[&str]| {
        let output = torvyn(folder.path(), &[&["bench", "--alone", "--message-format", "json"], args].concat());
        summary(&output, "bench-summary")
    };
    assert_eq!(codes(&bench(&["--save-baseline", "b.json"])), [""; 0]);
    let path = folder.path().join("b.json");
    let mut baseline: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for time in baseline["ns_per_element"].as_array_mut().unwrap() {
        *time = json!(time.as_f64().unwrap() / 1000.0);
    }
    fs::write(&path, baseline.to_string()).unwrap();
    let slower = bench(&["--baseline", "b.json"]);
    assert_eq!((codes(&slower), &slower["exit_code"]), (vec!["slower-than-baseline"], &json!(100)));
    assert_eq!(slower["comparison"]["verdict"], "slower");
    assert!(slower["measured"].is_object());
}

#[test]
fn elements_beside_json_are_refused() {
    let folder = folder_with_input(&UPPER.replace("output = 'output.txt'\n", ""));
    let run = |args: &str| {
        let script = format!("\"$0\" run --message-format json {args}");
        let mut sh = Command::new("sh");
        sh.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-torvyn")]).current_dir(folder.path());
        let sh = sh.stdin(Stdio::null()).output().unwrap();
        (sh.status.code(), String::from_utf8_lossy(&sh.stdout).into_owned(), said(&sh))
    };
    for args in [
        "",
        "--output -",
        "--output /dev/stdout",
        "--output /proc/self/fd/1",
        "--output out.json > out.json",
        "--output out.txt --records /dev/stdout",
        "--output out.txt --trace /dev/fd/1",
        "--output ./link > out.json",
    ] {
        fs::write(folder.path().join("out.json"), "").unwrap();
        std::os::unix::fs::symlink("out.json", folder.path().join("link")).ok();
        let (code, stdout, said) = run(args);
        let text =
            if args.contains('>') { fs::read_to_string(folder.path().join("out.json")).unwrap() } else { stdout };
        assert_eq!(code, Some(2), "{args}: {said}");
        let summary: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{args}: {text}"));
        assert_eq!((&summary["failures"][0]["code"], &summary["outcome"]), (&json!("usage"), &json!("usage-error")));
        assert!(said.contains("both write to standard output") && said.contains("help: "), "{args}: {said}");
    }
    assert_eq!(run("--output /dev/null > /dev/null").0, Some(0));
    assert_eq!(run("--output /dev/null").0, Some(0));
    // Nothing else may be written to where a log, a report or findings go.
    fs::write(folder.path().join("Torvyn.toml"), "").unwrap();
    for args in [["test", "--junit"], ["check", "--save-baseline"]] {
        let output = torvyn(folder.path(), &[args[0], "--message-format", "json", args[1], "/dev/stdout"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(codes(&summary(&output, &format!("{}-summary", args[0]))), ["usage"]);
    }
}

#[test]
fn every_way_cases_fail_ends_with_the_summary_and_a_report() {
    let cases = UPPER.to_string() + CASES;
    let fails = faulty("fail", "process")
        + "[[test]]\nname = 'fails'\npipeline = 'main'\ninput.lines = ['poison']\nexpect.output.count = 1\n";
    let nowhere = "[pipeline.main]\nstages = ['./none.wasm']\n".to_string() + CASES;
    let table: &[(&str, &[&str], i32, &[&str])] = &[
        (&cases, &["passes"], 0, &[]),
        (&cases, &["--list"], 0, &[]),
        (&cases, &["--no-fail-fast"], 100, &["unexpected-output"]),
        (&cases, &["differs", "--retries", "1"], 100, &["unexpected-output"]),
        (&fails, &[], 100, &["unexpected-failure"]),
        (&cases, &["nobody"], 4, &["nothing-selected"]),
        (UPPER, &[], 4, &["nothing-selected"]),
        (&cases, &["--nope"], 2, &["usage"]),
        (&cases, &["--seed", "x"], 2, &["usage"]),
        (&nowhere, &[], 101, &["not-found"]),
        ("[[test]]\nname = 'a'\n", &[], 101, &["missing-key"]),
        ("[pipeline.main\n", &[], 101, &["syntax"]),
    ];
    for (manifest, args, code, expected) in table {
        let folder = folder_with_input(manifest);
        let junit_args = if args.contains(&"--list") { &[][..] } else { &["--junit", "report.xml"] };
        let args = [&["test", "--message-format", "json"][..], junit_args, args].concat();
        let output = torvyn(folder.path(), &args);
        assert_eq!(output.status.code(), Some(*code), "{args:?}\n{manifest}\n{}", said(&output));
        let summary = summary(&output, "test-summary");
        assert_eq!(codes(&summary), *expected, "{args:?}\n{manifest}\n{summary}");
        for failure in summary["failures"].as_array().unwrap().iter().filter(|_| *code == 100) {
            let place = &failure["place"];
            assert_eq!((&place["file"], place["line"].is_u64()), (&json!("Torvyn.toml"), true), "{failure}");
            assert!(failure["case"].is_string(), "{failure}");
        }
        if !junit_args.is_empty() {
            let report = junit(&folder.path().join("report.xml"));
            assert_eq!(report.contains("<error "), !matches!(code, 0 | 100), "{report}");
        }
    }
    // What is no report is not replaced by one of a failure.
    let folder = folder_with_input(&cases);
    let manifest = fs::read(folder.path().join("Torvyn.toml")).unwrap();
    let output = torvyn(folder.path(), &["test", "--nope", "--message-format", "json", "--junit", "Torvyn.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(codes(&summary(&output, "test-summary")), ["usage", "result-not-written"]);
    assert_eq!(fs::read(folder.path().join("Torvyn.toml")).unwrap(), manifest);
    // For people the report is the same.
    let folder = folder_with_input("[pipeline.main\n");
    assert_eq!(torvyn(folder.path(), &["test", "--junit", "report.xml"]).status.code(), Some(101));
    assert!(junit(&folder.path().join("report.xml")).contains("type=\"syntax\""));
    let nowhere = torvyn(folder.path(), &["test", "--message-format", "json", "--junit", "missing/report.xml"]);
    assert_eq!(codes(&summary(&nowhere, "test-summary")), ["syntax", "result-not-written"]);
}

#[test]
fn findings_of_cases_have_spans_and_the_failure_of_the_flow() {
    let manifest = faulty("trap", "process")
        + "[[test]]\nname = 'fails'\npipeline = 'main'\ninput.lines = ['poison']\nexpect.output.count = 1\n";
    let folder = folder_with_input(&manifest);
    let output = torvyn(folder.path(), &["test", "--message-format", "json"]);
    let summary = summary(&output, "test-summary");
    let text = String::from_utf8(output.stdout).unwrap();
    let case: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let span = &case["findings"][0]["spans"][0];
    let line = manifest.lines().position(|line| line == "name = 'fails'").unwrap() + 1;
    assert_eq!(
        (&span["file_name"], &span["line_start"], &span["is_primary"]),
        (&json!("Torvyn.toml"), &json!(line), &json!(true))
    );
    assert_eq!(span["text"][0]["text"], "name = 'fails'");
    assert_eq!((&case["failure"]["code"], &case["failure"]["stage"]), (&json!("stage-trap"), &json!("faulty")));
    assert_keys("failure", &case["failure"]);
    let failure = &summary["failures"][0];
    assert_eq!((&failure["case"], &failure["stage"]), (&json!("fails"), &json!("faulty")));
    assert_eq!(failure["elements"], json!({ "first": 0, "last": 0 }));
    assert!(!failure["causes"].as_array().unwrap().is_empty(), "{failure}");
}

/// A copy of the project whose router does not compile, in the folder `logs` of a repository.
fn broken(args: &[&str]) -> Output {
    broken_seen_from("", args)
}

/// The same, from a subfolder.
fn broken_seen_from(below: &str, args: &[&str]) -> Output {
    let temp = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").args(["-r", project().to_str().unwrap()]).arg(temp.path().join("logs")).status();
    assert!(copied.unwrap().success());
    let root = temp.path().join("logs");
    let path = root.join("router/src/lib.rs");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("element.size()", "element.sise()")).unwrap();
    fs::create_dir(temp.path().join(".git")).unwrap();
    fs::write(temp.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    // A macro prints what it likes: no line of ours.
    command(&root.join(below), args).env("CARGO_TARGET_DIR", target().join("broken")).output().unwrap()
}

#[test]
fn errors_of_the_compiler_are_failures_with_their_places() {
    for (args, reason) in [
        (&["build", "-p", "router"][..], "build-summary"),
        (&["check", "--built", "-p", "router"], "check-summary"),
        (&["run", "--output", "out.txt"], "run-summary"),
        (&["test"], "test-summary"),
    ] {
        let output = broken(&[args, &["--message-format", "json"]].concat());
        assert_eq!(output.status.code(), Some(101), "{}", said(&output));
        let summary = summary(&output, reason);
        assert_eq!(codes(&summary), ["build-failed", "build-failed"], "{summary}");
        let error = &summary["failures"][0];
        assert!(error["message"].as_str().unwrap().starts_with("E0599: no method named `sise`"), "{error}");
        assert_eq!((&error["place"]["file"], error["place"]["line"].is_u64()), (&json!("router/src/lib.rs"), true));
        // The program prints the error unless it passes cargo's messages on.
        let is_passed_on = String::from_utf8_lossy(&output.stdout).contains("compiler-message");
        assert_eq!(said(&output).contains("no method named `sise`"), !is_passed_on, "{}", said(&output));
    }
    let output = broken(&["check", "--built", "-p", "router", "--message-format", "sarif"]);
    let run = sarif(&output);
    assert_eq!(run["results"], json!([]));
    let notification = &run["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notification["descriptor"]["id"], "build-failed");
    let place = &notification["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "logs/router/src/lib.rs");
    assert!(said(&output).contains("no method named `sise`"), "{}", said(&output));
    // In whichever folder the command runs, the compiler names files relative to the workspace.
    for (args, file) in [
        (&["build", "--message-format", "json"][..], "src/lib.rs"),
        (&["run", "--output", "out.txt", "--message-format", "json"], "src/lib.rs"),
        (&["check", "--built", "--message-format", "json"], "router/src/lib.rs"),
        (&["check", "--built", "--message-format", "sarif"], "logs/router/src/lib.rs"),
        (
            &["check", "--built", "--message-format", "sarif", "--manifest-path", "../router/Cargo.toml"],
            "logs/router/src/lib.rs",
        ),
    ] {
        let output = broken_seen_from("router", args);
        let found = if args.contains(&"sarif") {
            let notification = sarif(&output)["invocations"][0]["toolExecutionNotifications"][0].clone();
            notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
        } else {
            summary(&output, &format!("{}-summary", args[0]))["failures"][0]["place"]["file"].clone()
        };
        assert_eq!(found, file, "{args:?}");
    }
}

#[test]
fn every_way_a_check_fails_ends_with_its_summary_and_a_log() {
    let component = target().join("wasm32-wasip2/release/router.wasm");
    project();
    let component = component.to_str().unwrap();
    let nothing = tempfile::tempdir().unwrap();
    fs::write(nothing.path().join("bad.json"), "{}").unwrap();
    let plain = tempfile::tempdir().unwrap();
    fs::create_dir(plain.path().join("src")).unwrap();
    fs::write(plain.path().join("src/lib.rs"), "").unwrap();
    fs::write(plain.path().join("Cargo.toml"), "[package]\nname = 'plain'\nedition = '2024'\n").unwrap();
    let table: &[(&Path, &[&str], i32, &[&str])] = &[
        (project(), &["-p", "router"], 0, &[]),
        (project(), &["-p", "nobody"], 101, &["unknown-package"]),
        (plain.path(), &["-p", "plain"], 101, &["package-not-a-stage"]),
        (plain.path(), &[], 4, &["nothing-selected"]),
        (project(), &["--nope"], 2, &["usage"]),
        (project(), &["--deny"], 2, &["usage"]),
        (project(), &["--manifest-path", "Torvyn.toml"], 101, &["bad-project"]),
        (nothing.path(), &[], 101, &["no-project"]),
        (nothing.path(), &[component], 0, &[]),
        (nothing.path(), &["none.wasm"], 100, &["bad-component"]),
        (nothing.path(), &[component, "--baseline", "none.json"], 101, &["bad-baseline"]),
        (nothing.path(), &[component, "--baseline", "bad.json"], 101, &["bad-baseline"]),
        (nothing.path(), &[component, "--save-baseline", "missing/b.json"], 101, &["result-not-written"]),
    ];
    for (folder, args, code, expected) in table {
        let run = |format| torvyn(folder, &[&["check", "--message-format", format][..], args].concat());
        let output = run("json");
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {}", said(&output));
        let summary = summary(&output, "check-summary");
        assert_eq!(codes(&summary), *expected, "{args:?}: {summary}");

        let output = run("sarif");
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {}", said(&output));
        let log = sarif(&output);
        let notifications = log["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().iter();
        let ids = notifications.map(|notification| &notification["descriptor"]["id"]);
        let ids = ids.chain(log["results"].as_array().unwrap().iter().map(|result| &result["ruleId"]));
        assert_eq!(ids.filter_map(Value::as_str).collect::<Vec<_>>(), *expected, "{args:?}");
    }
}

#[test]
fn every_way_a_build_fails_ends_with_its_summary() {
    let nothing = tempfile::tempdir().unwrap();
    let table: &[(&Path, &[&str], i32, &[&str])] = &[
        (project(), &["-p", "router"], 0, &[]),
        (project(), &["-p", "nobody"], 101, &["unknown-package"]),
        (project(), &["--nope"], 2, &["usage"]),
        (project(), &["-p", "router", "--artifact-dir", "Torvyn.toml"], 101, &["result-not-written"]),
        (project(), &["-p", "router", "--profile", "nobody"], 101, &["build-failed"]),
        (nothing.path(), &[], 101, &["no-project"]),
    ];
    for (folder, args, code, expected) in table {
        let output = torvyn(folder, &[&["build", "--message-format", "json"][..], args].concat());
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {}", said(&output));
        let summary = summary(&output, "build-summary");
        assert_eq!(
            (codes(&summary), summary["components"].as_u64()),
            (expected.to_vec(), (*args != ["--nope"]).then_some(u64::from(*code == 0)))
        );
    }
}

#[test]
fn a_machine_without_tools_is_told() {
    let folder = folder_with_input("[pipeline.main]\nstages = ['a']\n");
    fs::write(folder.path().join("Cargo.toml"), "[package]\nname = 'a'\n").unwrap();
    for (args, reason) in [("build", "build-summary"), ("check", "check-summary"), ("run", "run-summary")] {
        let mut command = command(folder.path(), &[args, "--message-format", "json"]);
        let output = command.env("CARGO", "/nowhere/cargo").env("PATH", "/nowhere").output().unwrap();
        assert_eq!(output.status.code(), Some(96), "{}", said(&output));
        assert_eq!(codes(&summary(&output, reason)), ["setup-missing"]);
    }
}

#[test]
fn a_run_that_is_interrupted_ends_with_its_account() {
    let folder = folder_with_input(UPPER);
    for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let mut run = command(folder.path(), &["run", "--input", "-", "--message-format", "json"]);
        let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = "abc\n".repeat(100_000);
        run.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
        let began = Instant::now();
        while rustix::io::ioctl_fionread(run.stdin.as_ref().unwrap()).unwrap() > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "it does not read");
            thread::sleep(Duration::from_millis(10));
        }
        let sent = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let summary = summary(&output, "run-summary");
        assert_eq!((&summary["elements"]["in"], &summary["cancelled"]), (&json!(100_000), &json!(true)));
        assert_eq!((codes(&summary), &summary["cut_off"]), (vec![], &Value::Null));
    }
}

#[test]
fn a_command_that_is_interrupted_before_it_is_done_says_so() {
    let folder = folder_with_input(UPPER);
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let mut run = command(folder.path(), &["run", "--output", "fifo", "--message-format", "json"]);
        let mut run = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(run.stderr.take().unwrap()).lines();
        assert!(told.any(|line| line.unwrap().contains("Waiting")), "nobody reads the FIFO");
        let sent = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let summary = summary(&output, "run-summary");
        assert_eq!(codes(&summary), ["interrupted"], "{summary}");
        assert_eq!(summary["failures"][0]["message"], format!("interrupted by SIG{signal}"));
    }
}

/// A command that waits because another program keeps the target folder locked ends within its time or at a second
/// signal, and the output for programs is complete even then.
#[test]
fn a_command_that_does_not_end_in_time_is_ended_with_its_summary() {
    project();
    let target = tempfile::tempdir().unwrap();
    fs::create_dir(target.path().join("torvyn")).unwrap();
    let locked = fs::File::create(target.path().join("torvyn/lock")).unwrap();
    locked.lock().unwrap();
    let report = target.path().join("report.xml");
    let junit_args = ["test", "--message-format", "json", "--junit", report.to_str().unwrap()];
    for (args, signals, code) in [
        (&["run", "--message-format", "json", "--output", "/dev/null"][..], &["TERM"][..], 143),
        (&["run", "--message-format", "json", "--output", "/dev/null"], &["INT", "INT"], 130),
        (&["build", "--message-format", "json", "--quiet"], &["HUP", "INT"], 130),
        (&["check", "--built", "--message-format", "json"], &["INT"], 130),
        (&["check", "--built", "--message-format", "sarif"], &["TERM", "TERM"], 143),
        (&junit_args, &["TERM"], 143),
        (&["build"], &["TERM"], 143),
    ] {
        let is_quiet = args.contains(&"--quiet");
        let mut run = command(project(), args);
        let run = run.env("CARGO_TARGET_DIR", target.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = run.spawn().unwrap();
        let mut told = BufReader::new(run.stderr.take().unwrap());
        if is_quiet {
            thread::sleep(Duration::from_secs(2));
        } else {
            let mut lines = told.by_ref().lines();
            assert!(lines.any(|line| line.unwrap().contains("waiting for another build")), "{args:?}");
        }
        let began = Instant::now();
        for signal in signals {
            let sent = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap();
            assert!(sent.success());
            thread::sleep(Duration::from_millis(100));
        }
        let mut output = run.wait_with_output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{args:?}: {:?}", began.elapsed());
        told.read_to_end(&mut output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        let (name, why) = match signals {
            [_, last] => (last, "a second signal came"),
            _ => (&signals[0], "did not end in time"),
        };
        for text in [&format!("error: interrupted by SIG{name}"), why] {
            assert!(said(&output).contains(text), "{args:?} does not say {text:?}: {}", said(&output));
        }
        if args.contains(&"json") {
            let summary = summary(&output, &format!("{}-summary", args[0]));
            assert_eq!(codes(&summary), ["interrupted"], "{summary}");
        } else if args.contains(&"sarif") {
            let run = sarif(&output);
            assert_eq!(run["invocations"][0]["toolExecutionNotifications"][0]["descriptor"]["id"], "interrupted");
        } else {
            assert!(output.stdout.is_empty());
        }
    }
    assert!(junit(&report).contains("type=\"interrupted\""));
}

#[test]
fn a_reader_that_has_read_enough_changes_nothing() {
    let folder = folder_with_input(&(UPPER.to_string() + CASES));
    let mut test =
        command(folder.path(), &["test", "--no-fail-fast", "--message-format", "json", "--junit", "report.xml"]);
    let mut test = test.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    test.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = test.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(100), "the exit code says what happened: {}", said(&output));
    assert!(junit(&folder.path().join("report.xml")).contains("tests=\"2\" failures=\"1\""));

    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (args, code) in [(&["run"][..], 101), (&["test", "passes"], 101), (&["check", "--nope"], 2)] {
        let output =
            command(folder.path(), &[args, &["--message-format", "json"]].concat()).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains("could not write to stdout"), "{}", said(&output));
    }
    // A closed standard output counts as one that was not written.
    for args in ["run --message-format json", "check --message-format sarif --nope", "explain stage-trap", "new --list"]
    {
        let script = format!("\"$0\" {args} >&-");
        let mut sh = Command::new("sh");
        let sh = sh.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-torvyn")]).current_dir(folder.path());
        let output = sh.output().unwrap();
        let code = if args.contains("--nope") { 2 } else { 101 };
        assert_eq!(output.status.code(), Some(code), "{args}: {}", said(&output));
        assert!(said(&output).contains("could not write to stdout"), "{args}: {}", said(&output));
    }
    // So does a closed standard error.
    let mut run = command(folder.path(), &["run", "--message-format", "json"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(run.stderr.take());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(summary(&output, "run-summary")["outcome"], "succeeded");
}

#[test]
fn a_path_that_is_not_utf8_is_in_json_with_replacements() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = folder_with_input(UPPER);
    let name = std::ffi::OsStr::from_bytes(b"b\xffd");
    let below = folder.path().join(name);
    fs::create_dir(&below).unwrap();
    fs::write(below.join("Torvyn.toml"), "[pipeline.main\n").unwrap();
    let mut command = command(folder.path(), &["run", "--message-format", "json", "--manifest-path"]);
    let output = command.arg(Path::new(name).join("Cargo.toml")).output().unwrap();
    let summary = summary(&output, "run-summary");
    assert_eq!(summary["failures"][0]["place"]["file"], "b\u{fffd}d/Torvyn.toml");
    let args = ["check", "--message-format", "json"];
    let output = cli_tests::command(folder.path(), &args).arg(Path::new(name).join("none.wasm")).output().unwrap();
    assert_eq!(codes(&self::summary(&output, "check-summary")), ["bad-component"]);
}
