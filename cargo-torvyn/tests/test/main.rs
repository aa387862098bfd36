//! `cargo torvyn test`, as a user runs it: cases of real components that pass, that fail, and that are invalid.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli_tests::{assert_says, command, expect_test as expect, said, target, torvyn};
use serde_json::Value;

mod failures;
mod outputs;
mod schedules;
mod time;

/// A folder with pipelines of the components of the project, and these cases.
fn folder(cases: &str) -> tempfile::TempDir {
    cli_tests::folder(&format!("{PIPELINES}{cases}"))
}

const PIPELINES: &str = r#"
[pipeline.main]
stages = ["COMPONENTS/router.wasm", "COMPONENTS/transform.wasm"]

[pipeline.count]
stages = [{ component = "COMPONENTS/source.wasm", config = { count = 3 } }, "COMPONENTS/sink.wasm"]

[pipeline.faulty]
stages = [{ name = "faulty", component = "COMPONENTS/inspector.wasm", config = { how = "trap", at = "process" }, limits = { memory = "8MiB", time = "200ms" } }]
"#;

#[test]
fn cases_pass_in_the_order_of_their_files() {
    let folder = folder(
        r#"
[[test]]
name = "main"
input = { lines = ["one", "", "two"] }
expect.output.lines = ["ONE", "TWO"]
account = { copies = 4, dropped = 1, stage.router = { verdict = "handle-pass", reads = 0 }, stage.transform.amplification = 2 }

[[test]]
name = "source alone"
pipeline = "count"
stage = "source"
expect.output = { elements = ["1", { hex = "32" }, { base64 = "Mw==" }], count = 3 }

[[test]]
name = "sink alone"
stage = "COMPONENTS/sink.wasm"
input.generate = { count = 1000, size = "1KiB" }
log.lines = ["1000 elements, 1024000 bytes"]
account.copies = 0
"#,
    );
    fs::create_dir(folder.path().join("tests")).unwrap();
    let binary: Vec<u8> = (0..=255).collect();
    fs::write(folder.path().join("tests/all.bin"), &binary).unwrap();
    fs::write(folder.path().join("tests/some.txt"), "b\na\n\nc").unwrap();
    let more = r#"
[[test]]
name = "bytes of a file"
stage = "RELEASE/router.wasm"
input = { elements = [{ file = "all.bin" }] }
expect.output = { file = "all.bin", as = "raw", contains = { hex = "fe ff" } }

[[test]]
name = "lines of a file"
stage = "RELEASE/router.wasm"
input = "some.txt"
expect.output = { lines = ["a", "b", "c"], any-order = true }
"#;
    let more = more.replace("RELEASE", target().join("wasm32-wasip2/release").to_str().unwrap());
    fs::write(folder.path().join("tests/more.toml"), more).unwrap();
    let names = ["main", "source alone", "sink alone", "bytes of a file", "lines of a file"];
    let said: Vec<_> = names.iter().flat_map(|name| ["Pass", name]).chain(["5 cases: 5 passed, in"]).collect();
    expect(folder.path(), &[], 0, &said);

    let listed = expect(folder.path(), &["--list"], 0, &[]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), names.join("\n") + "\n");
    expect(
        folder.path(),
        &["alone", "bytes"],
        0,
        &["source alone", "sink alone", "bytes of a file", "3 cases: 3 passed"],
    );
    expect(folder.path(), &["--exact", "main"], 0, &["1 case: 1 passed"]);
    for nothing in [&["--exact", "alone"][..], &["nothing"]] {
        expect(folder.path(), nothing, 4, &["error: none of the 5 cases is selected", "--list"]);
    }
    // As with cargo, a package is one of a workspace.
    expect(folder.path(), &["--package", "nobody"], 101, &["error: could not find `Cargo.toml` in"]);
}

#[test]
fn a_project_without_cases_says_how_to_write_one() {
    expect(folder("").path(), &[], 4, &["error: no cases in `Torvyn.toml`", "[[test]]"]);
    let nothing = tempfile::tempdir().unwrap();
    expect(nothing.path(), &[], 101, &["`Torvyn.toml` does not exist"]);
}

#[test]
fn what_is_not_as_expected_is_shown_in_the_case() {
    let folder = folder(
        r#"
[[test]]
name = "binary"
stage = "COMPONENTS/transform.wasm"
input = { elements = ["same", { hex = "00 ff" }, "last"] }
expect.output = { elements = ["SAME", { hex = "00 fe" }] }

[[test]]
name = "copies"
input = { lines = ["one"] }
account = { copies = { max = 1 }, stage.router.verdict = "read-only" }

[[test]]
name = "printed"
pipeline = "count"
log = { contains = "4 elements", count = 2 }

[[test]]
name = "fine"
pipeline = "count"
"#,
    );
    let all = [
        "Fail",
        "binary",
        "error[unexpected-output]: `output` is not as expected\n  --> Torvyn.toml:15:30",
        "expected 2 elements, got 3",
        "0   \"SAME\"",
        "1 - hex 00 fe",
        "1 + hex 00 ff",
        "2 + \"LAST\"",
        "Fail",
        "copies",
        "error[unexpected-account]: `copies` of all stages together is 2",
        "expected at most 1",
        "`router` read 0 payloads of 1 element and wrote 0",
        "`transform` read 1 payload of 1 element and wrote 1",
        "`verdict` of stage `router` is `handle-pass`",
        "Fail",
        "printed",
        "the log has 1 element",
        "no element of the log contains \"4 elements\"",
        "        sink 3 elements, 3 bytes",
        "Pass",
        "fine",
        "4 cases: 1 passed, 3 failed, in",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &all);
    expect(folder.path(), &["-j", "1"], 100, &["Fail", "binary", "4 cases: 0 passed, 1 failed, 3 not run"]);
    let quiet = said(&torvyn(folder.path(), &["test", "--quiet", "--no-fail-fast"]));
    assert!(quiet.contains("Fail") && !quiet.contains("Pass"), "{quiet}");
}

#[test]
fn a_read_that_its_author_adds_fails_the_case() {
    let temp = tempfile::tempdir().unwrap();
    let new = torvyn(temp.path(), &["new", "counter", "--template", "sink", "--vcs", "none"]);
    assert!(new.status.success(), "{}", said(&new));
    let project = temp.path().join("counter");
    expect(&project, &[], 0, &["Pass", "1 case: 1 passed"]);
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let text = text.replace("element.size()", "element.read()?.len() as u64").replace("MetadataSink", "DataSink");
    fs::write(&source, text).unwrap();
    let manifest = project.join("Cargo.toml");
    let declared = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, declared.replace("metadata-sink", "data-sink").replace("reads = 0\n", "")).unwrap();
    let said = ["error[unexpected-account]: `reads` of all stages together is 3", "Torvyn.toml:", "expected 0"];
    expect(&project, &["-p", "counter"], 100, &said);
}

#[test]
fn failures_are_expected_or_told() {
    let case = |name: &str, config: &str, rest: &str| {
        format!(
            "[[test]]\nname = '{name}'\npipeline = 'faulty'\nconfig.faulty = {config}\n\
             input = {{ lines = ['fine', 'poison'] }}\n{rest}\n"
        )
    };
    let cases = [
        case("trap", "{}", "fails = { stage = 'faulty', text = '`unreachable` instruction executed' }"),
        case("loop", "{ how = 'loop' }", "fails = 'exceeded its time limit of 200 ms (`limits.time`)'"),
        case("grow", "{ how = 'grow' }", "fails = 'exceeded its memory limit of 8 MiB'"),
        case("init", "{ how = 'fail', at = 'init' }", "fails = 'invalid-input: told to fail in init'"),
        case("log", "{ how = 'print' }", "log.lines = ['printed in process', 'half a line']"),
        case("told", "{ at = 'flush' }", ""),
        case("other", "{ how = 'fail', at = 'teardown' }", "fails = 'fatal'"),
        case("fine", "{ how = 'print', at = 'init' }", "fails.stage = 'faulty'"),
    ];
    let said = [
        "Pass",
        "trap",
        "Pass",
        "loop",
        "Pass",
        "grow",
        "Pass",
        "init",
        "Pass",
        "log",
        "Fail",
        "told",
        "error[unexpected-failure]: stage `faulty` failed in `flush`",
        "told to trap in flush",
        "Fail",
        "other",
        "error[unexpected-failure]: stage `faulty` failed in `teardown`",
        "expected a failure with `fatal`",
        "Fail",
        "fine",
        "error[missing-failure]: the case finished without the expected failure",
        "expected a failure of stage `faulty`",
        "faulty printed in init",
        "8 cases: 5 passed, 3 failed",
    ];
    expect(folder(&cases.concat()).path(), &["--no-fail-fast"], 100, &said);
}

/// A source that does not end, and a case with a short timeout.
const ENDLESS: &str = r#"
[[test]]
name = "endless"
pipeline = "count"
stage = "source"
config.count = "18446744073709551615"
"#;

#[test]
fn a_case_that_does_not_end_is_ended() {
    let folder = folder(&format!("{ENDLESS}timeout = \"300ms\"\n"));
    let began = Instant::now();
    let said = ["error[timed-out]: timed out after 300ms", "Torvyn.toml:12:8", "`timeout`"];
    expect(folder.path(), &[], 100, &said);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_interrupt_ends_the_session() {
    let folder = folder(&format!("{ENDLESS}[[test]]\nname = 'never'\npipeline = 'count'\n"));
    let mut run = command(folder.path(), &["test", "-j", "1"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(Command::new("kill").args(["-s", "INT", &run.id().to_string()]).status().unwrap().success());
    let began = Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(said(&output).contains("Stopped") && said(&output).contains("2 not run"), "{}", said(&output));
}

#[test]
fn what_is_wrong_with_a_case_is_shown_before_anything_runs() {
    for (case, said) in [
        ("naem = 'b'", "unknown key `naem` in a case"),
        ("input.lines = ['x']\npipeline = 'count'", "error[unused-input]: nothing takes from the input"),
        ("", "error[missing-key]: the case needs the key `input`"),
        ("input.lines = []\nexpect.errors.count = 1", "error[unknown-output]: there is no output `errors`"),
        ("input.lines = []\naccount.stage.ruoter.reads = 0", "did you mean `router`?"),
        ("input.lines = []\nfails.stage = 'x'", "error[unknown-stage]: there is no stage `x` in `main`"),
        ("input = 'no.txt'", "error[not-found]: `no.txt` does not exist"),
        ("input.elements = [{ file = 'no.bin' }]", "error[not-found]: `no.bin` does not exist"),
        ("input = '.'", "is a directory"),
        (
            "input.lines = []\nexpect.output.file = 'no.txt'",
            "create it from the actual output with `cargo torvyn test --bless`",
        ),
        ("stage = './no.wasm'\ninput.lines = []", "error[not-found]: `./no.wasm` does not exist"),
        ("stage = 'nobody'\ninput.lines = []", "could not find `Cargo.toml`"),
        ("stage = 'COMPONENTS/sink.wasm'\ninput.lines = []\nexpect.output.count = 1", "there are no outputs"),
    ] {
        let folder = folder(&format!("[[test]]\nname = 'a'\n{case}\n"));
        expect(folder.path(), &[], 101, &[said]);
    }
    let folder = folder("[[test]]\nname = 'a'\npipeline = 'count'\n");
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/more.toml"), "[[test]]\nname = 'a'\n").unwrap();
    expect(folder.path(), &[], 101, &["error[duplicate-name]", "tests/more.toml:2:8", "Torvyn.toml:11:8"]);
}

#[test]
fn files_of_elements_are_written_anew() {
    let folder = folder(
        r#"
[[test]]
name = "blessed"
input = { lines = ["one", "two"] }
expect.output = { file = "upper.txt", count = 2 }

[[test]]
name = "prefixed"
stage = "COMPONENTS/router.wasm"
input = { elements = ["a\nb"] }
expect.output = { file = "prefixed.bin", as = "length-prefixed" }
"#,
    );
    let path = folder.path();
    expect(path, &["--bless"], 0, &["Blessed `upper.txt`", "Blessed `prefixed.bin`", "2 cases: 2 passed"]);
    assert_eq!(fs::read_to_string(path.join("upper.txt")).unwrap(), "ONE\nTWO\n");
    assert_eq!(fs::read(path.join("prefixed.bin")).unwrap(), b"\0\0\0\x03a\nb");
    expect(path, &[], 0, &["2 cases: 2 passed"]);
    assert!(!said(&torvyn(path, &["test", "--bless"])).contains("Blessed"), "what is as it was is not written");
    fs::write(path.join("upper.txt"), "ONE\nZWEI\n").unwrap();
    expect(path, &[], 100, &["1 - \"ZWEI\"", "1 + \"TWO\"", "--bless"]);
    assert_eq!(fs::read_to_string(path.join("upper.txt")).unwrap(), "ONE\nZWEI\n");
}

#[test]
fn what_is_over_its_budget_does_not_run() {
    let over = "[[test]]\nname = 'a'\nstage = { component = 'COMPONENTS/transform.wasm', budget = { writes = 0 } }\n\
                input.lines = ['x']\n";
    expect(folder(over).path(), &[], 100, &["Fail", "error[over-budget-component]"]);
    let expected = format!("{over}fails = 'over-budget-component'\n");
    expect(folder(&expected).path(), &[], 0, &["Pass"]);
}

#[test]
fn programs_are_told_the_same() {
    let folder = folder(
        r#"
[[test]]
name = "a <b> & \"c\""
input = { lines = ["one"] }
expect.output.lines = ["one"]

[[test]]
name = "fine"
input = { lines = ["one"] }
"#,
    );
    let args = ["test", "--no-fail-fast", "--message-format", "json", "--junit", "report.xml"];
    let output = torvyn(folder.path(), &args);
    assert_eq!(output.status.code(), Some(100));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [failed, fine, summary] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&failed["reason"], &failed["outcome"]), (&"case-finished".into(), &"failed".into()));
    assert_eq!(failed["findings"][0]["code"], "unexpected-output");
    assert_eq!((&fine["name"], &fine["outcome"]), (&"fine".into(), &"passed".into()));
    assert_eq!(fine["account"]["copies"]["payload_read"]["ops"], 1);
    assert_eq!((&summary["reason"], &summary["passed"]), (&"test-summary".into(), &1.into()));

    let report = fs::read_to_string(folder.path().join("report.xml")).unwrap();
    for text in [
        "<testsuite name=\"Torvyn.toml\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\"",
        "<testcase name=\"a &lt;b&gt; &amp; &quot;c&quot;\" classname=\"Torvyn.toml\"",
        "<property name=\"reads\" value=\"1\"/>",
        "<failure message=\"`output` is not as expected\" type=\"unexpected-output\">error[unexpected-output]",
    ] {
        assert!(report.contains(text), "{text}\n{report}");
    }
}

/// More than twice as many cases as a batch has elements, over all components.
#[test]
fn many_cases_run_at_once() {
    let case = |index: usize| {
        format!(
            "[[test]]\nname = 'case {index:03}'\ninput.lines = ['a{index}', '']\nexpect.output.lines = ['A{index}']\n\
             account = {{ copies = 2, dropped = 1 }}\n"
        )
    };
    let folder = folder(&(0..128).map(case).collect::<String>());
    let output = expect(folder.path(), &["-j", "4"], 0, &["case 000", "case 001", "case 127", "128 cases: 128 passed"]);
    let said = said(&output);
    let names: Vec<_> = said.lines().filter_map(|line| line.split("  case ").nth(1)).collect();
    assert!(names.len() == 128 && names.is_sorted(), "{said}");
}

#[test]
fn files_that_have_no_cases_are_left_alone() {
    let folder = folder("");
    let tests = folder.path().join("tests");
    fs::create_dir(&tests).unwrap();
    let write = |file: &str, text: &[u8]| fs::write(tests.join(file), text).unwrap();
    write("Cargo.toml", b"[package]\nname = 'x'\n[[test]]\nname = 'y'\nharness = false\n");
    write("rustfmt.toml", b"max_width = 100\n");
    write("broken.toml", b"[[[\n");
    write("latin.toml", b"# gr\xfc\xdf\n");
    write(".hidden.toml", b"[[test]]\nnaem = 'a'\n");
    std::os::unix::fs::symlink("nobody@host.1", tests.join(".#lock.toml")).unwrap();
    write(
        "cases.toml",
        "[[test]]\nname = 'a'\ninput.lines = \"\"\"\none\n\ntwo\n\"\"\"\nexpect.output.lines = ['ONE', 'TWO']\n"
            .replace('\n', "\r\n")
            .as_bytes(),
    );
    expect(folder.path(), &[], 0, &["Pass", "1 case: 1 passed"]);

    for (text, told) in [
        ("[[test]]\nnaem = 'b'\n", "unknown key `naem` in a case"),
        ("[[tests]]\nname = 'b'\n", "did you mean `test`?"),
        ("[test]\nname = 'b'\n", "`test` has the wrong type"),
        ("[[test]\nname = 'b'\n", "error[syntax]"),
        ("[[test]]\nname = 'a'\ninput.lines = []\n", "duplicate case name `a`"),
    ] {
        write("more.toml", text.as_bytes());
        expect(folder.path(), &[], 101, &[told]);
    }
    write("more.toml", b"[[test]]\nname = 'gr\xfc\xdf'\n");
    expect(folder.path(), &[], 101, &["error[not-utf8]"]);
    // An error there does not affect another case.
    expect(folder.path(), &["--exact", "a"], 0, &["warning: 1 case or file of cases is not valid", "1 passed"]);
}

#[test]
fn two_cases_of_one_file_have_to_agree_on_it() {
    let case = |name: &str, line: &str, file: &str| {
        format!("[[test]]\nname = '{name}'\ninput.lines = ['{line}']\nexpect.output.file = '{file}'\n")
    };
    let same = folder(&[case("a", "x", "out.txt"), case("b", "x", "./out.txt")].concat());
    let path = same.path();
    let blessed = said(&expect(path, &["--bless"], 0, &["2 cases: 2 passed"]));
    assert_eq!(blessed.matches("Blessed").count(), 1, "{blessed}");
    assert_eq!(fs::read_to_string(path.join("out.txt")).unwrap(), "X\n");

    let other = folder(&[case("a", "x", "out.txt"), case("b", "y", "./out.txt")].concat());
    let path = other.path();
    for before in [None, Some("X\n"), Some("other\n")] {
        if let Some(before) = before {
            fs::write(path.join("out.txt"), before).unwrap();
        }
        let output = torvyn(path, &["test", "--bless", "--no-fail-fast"]);
        assert_says(&output, 100, &["Fail", "out.txt` too, and produced other elements", "file of its own"]);
        assert!(!said(&output).contains("Blessed"));
        assert_eq!(fs::read_to_string(path.join("out.txt")).ok().as_deref(), before, "nothing is written");
    }
    // One of them alone cannot say what the other expects.
    expect(path, &["--bless", "--exact", "b"], 100, &["case `a` expects `./out.txt` too, and does not run"]);
    assert_eq!(fs::read_to_string(path.join("out.txt")).unwrap(), "other\n");
}

const DICE: &str = r#"
use std::hash::{BuildHasher, RandomState};
use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform};
struct Dice;
impl Stage for Dice {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Dice)
    }
}
impl Processor<Transform> for Dice {
    fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        element.read()?;
        out.write(format!("{:x}", RandomState::new().hash_one(0)).as_bytes());
        Ok(())
    }
}
"#;

/// A case draws the same random numbers every time, and other numbers than another case. The error for a component
/// without exports says why.
#[test]
fn what_stages_draw_is_the_same_in_each_run() {
    let temp = tempfile::tempdir().unwrap();
    let new = torvyn(temp.path(), &["new", "dice", "--template", "transform", "--vcs", "none"]);
    assert!(new.status.success(), "{}", said(&new));
    let project = temp.path().join("dice");
    let case =
        |name: &str| format!("[[test]]\nname = '{name}'\ninput.lines = ['', '']\nexpect.output.file = '{name}.txt'\n");
    fs::write(project.join("Torvyn.toml"), ["[pipeline.main]\nstages = ['dice']\n", &case("a"), &case("b")].concat())
        .unwrap();
    fs::write(project.join("src/lib.rs"), DICE).unwrap();
    let missing = [
        "package `dice` does not build a stage",
        "found one that exports nothing",
        "is `torvyn_guest::export!` missing?",
    ];
    assert_says(&torvyn(&project, &["build"]), 101, &missing);
    let json = torvyn(&project, &["build", "--message-format", "json"]);
    assert!(String::from_utf8_lossy(&json.stdout).contains(r#""failures":[{"code":"bad-component""#));
    let help = "help: is `torvyn_guest::export!` missing?";
    expect(&project, &[], 101, &["error[bad-component]", "exports nothing", "Torvyn.toml:2:", help]);
    assert_says(&torvyn(&project, &["check", "--built"]), 100, &["error[bad-component]", help]);

    fs::write(project.join("src/lib.rs"), format!("{DICE}\ntorvyn_guest::export!(Dice: Processor<Transform>);\n"))
        .unwrap();
    expect(&project, &["--bless"], 0, &["Blessed `a.txt`", "Blessed `b.txt`"]);
    let read = |file: &str| fs::read_to_string(project.join(file)).unwrap();
    assert_ne!(read("a.txt"), read("b.txt"));
    for _ in 0..3 {
        expect(&project, &[], 0, &["2 cases: 2 passed"]);
    }
    // Another seed gives other numbers, and a failure names the seed.
    expect(&project, &["--seed", "5", "--exact", "a"], 100, &["is not as expected"]);
    fs::write(project.join("a.txt"), "other\n").unwrap();
    let failed =
        expect(&project, &["--exact", "a"], 100, &["= note: stages drew random numbers from seed 3826002220;"]);
    let json = torvyn(&project, &["test", "--exact", "a", "--message-format", "json"]);
    let line: Value = serde_json::from_slice(json.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    // FNV-1a of `a`.
    assert_eq!((&line["seed"], &line["random_seed"]), (&Value::Null, &3_826_002_220_u32.into()), "{}", said(&failed));
}
