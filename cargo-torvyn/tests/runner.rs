//! The runner of `cargo torvyn test`: retries, speed, output for programs, `--watch`, and how long it takes.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]
#![allow(clippy::print_stdout, reason = "a test that measures prints its figures")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{assert_says, command, folder, project, said, torvyn};
use serde_json::Value;

/// A pipeline for each component, and these cases.
fn with_pipelines(cases: &str) -> String {
    let mut text = String::new();
    for (name, component) in
        [("pass", "router"), ("upper", "transform"), ("both", "router.wasm\", \"COMPONENTS/transform")]
    {
        writeln!(text, "[pipeline.{name}]\nstages = [\"COMPONENTS/{component}.wasm\"]").unwrap();
    }
    text + cases
}

/// Asserts that a line of JSON has the keys that the guide lists for its `reason`.
#[track_caller]
fn assert_documented(line: &Value) {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src/reference/json.md");
    let guide = fs::read_to_string(guide).unwrap();
    let reason = format!("| `{}` |", line["reason"].as_str().unwrap());
    let row = guide.lines().find(|row| row.starts_with(&reason)).unwrap_or_else(|| panic!("{reason}"));
    let keys = row.split('|').nth(3).unwrap().split('`').skip(1).step_by(2);
    let printed = line.as_object().unwrap().keys().filter(|key| *key != "reason");
    assert_eq!(keys.collect::<BTreeSet<_>>(), printed.map(String::as_str).collect(), "{reason}");
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The first try consumes the input, so that the second finds nothing.
const FLAKY: &str = r#"
[[test]]
name = "flaky"
pipeline = "pass"
input = "/dev/stdin"
expect.output.count = 0
log.count = 0

[[test]]
name = "never"
pipeline = "pass"
input.lines = ["one"]
expect.output.count = 2

[[test]]
name = "always"
pipeline = "pass"
input.lines = ["one"]
"#;

#[test]
fn a_case_that_passes_when_it_is_tried_again_is_flaky() {
    let folder = folder(&with_pipelines(FLAKY));
    let test = |args: &[&str]| {
        let mut run = command(folder.path(), &[&["test", "-j", "1"], args].concat());
        let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        run.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
        run.wait_with_output().unwrap()
    };
    let junit = folder.path().join("junit.xml");
    let text = [
        "Fail 1/3",
        "flaky",
        "`output` has 2 elements",
        "Flaky 2/3",
        "flaky",
        "Fail 1/3",
        "never",
        "expected 2",
        "Fail 2/3",
        "Fail 3/3",
        "Pass",
        "always",
        "3 cases: 2 passed (1 flaky), 1 failed, in",
    ];
    let all = test(&["--retries", "2", "--no-fail-fast", "--junit", junit.to_str().unwrap()]);
    assert_says(&all, 100, &text);
    // What is the same in each try is shown once.
    assert_eq!(said(&all).matches("error[unexpected-output]").count(), 2, "{}", said(&all));
    let junit = fs::read_to_string(junit).unwrap();
    let flaky = junit.split("<testcase ").find(|case| case.contains("name=\"flaky\"")).unwrap();
    for part in [
        "<flakyFailure time=\"0.",
        "message=\"`output` has 2 elements\"",
        "type=\"unexpected-output\">",
        "<stackTrace>error[",
        "</flakyFailure>",
    ] {
        assert!(flaky.contains(part), "{part}:\n{junit}");
    }
    assert!(!flaky.contains("<failure") && flaky.contains("<property name=\"reads\" value=\"0\"/>"), "{junit}");
    let never = junit.split("<testcase ").find(|case| case.contains("name=\"never\"")).unwrap();
    assert_eq!((never.matches("<failure ").count(), never.matches("<rerunFailure ").count()), (1, 2), "{junit}");
    assert!(junit.contains("tests=\"3\" failures=\"1\""), "{junit}");

    assert_says(
        &test(&["--retries", "2", "flaky", "always"]),
        0,
        &["Flaky 2/3", "Pass", "2 cases: 2 passed (1 flaky), in"],
    );
    assert_says(&test(&["--retries", "0", "flaky"]), 100, &["        Fail ", "1 case: 0 passed, 1 failed"]);
    // After a case has failed in all tries, no other begins.
    let text = ["Flaky 2/2", "Fail 2/2", "1 passed (1 flaky), 1 failed, 1 not run"];
    assert_says(&test(&["--retries", "1"]), 100, &text);

    let json = test(&["--retries", "2", "--no-fail-fast", "--message-format", "json"]);
    let [flaky, never, always, summary] = &lines(&json)[..] else { panic!("{json:?}") };
    [flaky, never, always, summary].into_iter().for_each(assert_documented);
    assert_eq!((&flaky["outcome"], &flaky["attempt"]), (&"flaky".into(), &2.into()));
    assert_eq!(flaky["failed_attempts"][0]["findings"][0]["code"], "unexpected-output");
    assert_eq!((&never["outcome"], &never["attempt"]), (&"failed".into(), &3.into()));
    assert_eq!(never["failed_attempts"].as_array().unwrap().len(), 2);
    assert_eq!((&always["outcome"], &always["attempt"]), (&"passed".into(), &1.into()));
    let counts = ["selected", "passed", "flaky", "failed", "not_run"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1, 1, 0]);
}

const SPEEDS: &str = r#"
[[test]]
name = "too slow"
pipeline = "upper"
input.generate = { count = 200, size = "64KiB" }
speed = { case = "handed on", max = 1.5 }

[[test]]
name = "fast enough"
pipeline = "pass"
input.generate = { count = 200, size = "64KiB" }
speed = { case = "too slow", max = 0.9 }

[[test]]
name = "no element"
pipeline = "pass"
input.lines = []
speed = { case = "fast enough", max = 2 }

[[test]]
name = "against none"
pipeline = "pass"
input.lines = ["one"]
speed = { case = "nothing to do", max = 2 }

[[test]]
name = "nothing to do"
pipeline = "pass"
input.lines = []

[[test]]
name = "handed on"
pipeline = "pass"
input.generate = { count = 200, size = "64KiB" }
"#;

#[test]
fn speed_is_compared_with_that_of_another_case() {
    let folder = folder(&with_pipelines(SPEEDS));
    let all = torvyn(folder.path(), &["test", "--no-fail-fast"]);
    // Cases that are compared run last.
    let text = [
        "Pass",
        "nothing to do",
        "Pass",
        "handed on\n",
        "Fail",
        "too slow, ",
        " times `handed on`\n",
        "error[unexpected-speed]: an element takes ",
        " times as long as in `handed on`",
        "expected at most 1.5",
        "= note: ",
        " against ",
        ": the shortest of ",
        " runs each",
        "Pass",
        "fast enough, 0.",
        " times `too slow`\n",
        "Fail",
        "no element\n",
        "cannot compare the speed with `fast enough`: no element went through it",
        "`no element` has no speed",
        "Fail",
        "against none\n",
        "cannot compare the speed with `nothing to do`: no element went through it",
        "`nothing to do` has no speed",
        "6 cases: 3 passed, 3 failed, in",
    ];
    assert_says(&all, 100, &text);
    // The other case does not have to be selected, and is then not reported.
    let json = torvyn(folder.path(), &["test", "fast", "--message-format", "json"]);
    let [fast, summary] = &lines(&json)[..] else { panic!("{json:?}") };
    let speed = &fast["speed"];
    assert_eq!((&fast["outcome"], &speed["case"], &speed["max"]), (&"passed".into(), &"too slow".into(), &0.9.into()));
    let [ratio, element, other] = ["ratio", "element_ns", "other_element_ns"].map(|key| speed[key].as_f64().unwrap());
    assert!(
        speed["rounds"].as_u64().unwrap() >= 5 && ratio <= 0.9 && (ratio - element / other).abs() < 1e-9,
        "{speed}"
    );
    assert_eq!(summary["selected"], 1);
    // A case that failed for another reason is not compared.
    let failed =
        SPEEDS.replace("speed = { case = \"too slow\"", "expect.output.count = 1\nspeed = { case = \"too slow\"");
    let other = cli_tests::folder(&with_pipelines(&failed));
    let failed = torvyn(other.path(), &["test", "--exact", "fast enough", "too slow"]);
    assert_says(&failed, 100, &["Fail", "fast enough\n", "expected 1", "2 cases: 0 passed, 1 failed, 1 not run"]);
}

#[test]
fn what_is_selected_is_told_to_programs() {
    let folder = folder(&with_pipelines(FLAKY));
    let list = torvyn(folder.path(), &["test", "--list", "--message-format", "json", "never", "always"]);
    let [never, always, summary] = &lines(&list)[..] else { panic!("{list:?}") };
    [never, summary].into_iter().for_each(assert_documented);
    assert_eq!(
        (&summary["reason"], &summary["selected"], &summary["not_run"]),
        (&"test-summary".into(), &2.into(), &2.into())
    );
    let line =
        |name: &str| serde_json::json!({"reason": "case-listed", "name": name, "file": "Torvyn.toml", "packages": []});
    assert_eq!((never, always), (&line("never"), &line("always")));

    let packages = torvyn(project(), &["test", "--list", "--message-format", "json", "-p", "transform"]);
    let mut packages = lines(&packages);
    packages.pop();
    assert!(packages.iter().any(|line| line["packages"] == serde_json::json!(["router", "transform"])), "{packages:?}");
    assert!(packages.iter().all(|line| line["packages"].to_string().contains("transform")), "{packages:?}");
    let names = |args: &[&str]| {
        let output = torvyn(project(), &[&["test", "--list"], args].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let of_router = names(&["-p", "router"]);
    for specs in [&["-p", "rout*"][..], &["-p", "router@0.1"], &["-p", "router:0.1.0", "-p", "rou?er"]] {
        assert_eq!(names(specs), of_router, "{specs:?}");
    }
    let (all, others) = (names(&["--workspace"]), names(&["--exclude", "rout*"]));
    assert_eq!(all, names(&[]));
    assert!(all.lines().all(|name| of_router.contains(name) != others.contains(name)), "{all}");
    let unknown = torvyn(project(), &["test", "-p", "ruoter"]);
    assert_says(&unknown, 101, &["no package `ruoter`", "did you mean `router`?"]);
    let exact = torvyn(project(), &["test", "--list", "-p", "router", "--exact", "transform writes in upper case"]);
    assert_says(&exact, 4, &["none of the 7 cases is selected"]);
}

/// Five components of one project, with forty cases each.
#[test]
fn many_cases_take_little_time() {
    let stages = ["router", "transform", "source", "sink", "inspector"];
    let mut cases = String::from("[pipeline.main]\nstages = [\"COMPONENTS/router.wasm\"]\n");
    for index in 0..200 {
        let stage = stages[index % stages.len()];
        let rest = match stage {
            "router" => {
                format!("input.lines = ['a{index}', '']\nexpect.output.lines = ['a{index}']\naccount.copies = 0")
            }
            "transform" => {
                format!("input.lines = ['a{index}']\nexpect.output.lines = ['A{index}']\naccount.copies = 2")
            }
            "source" => "config.count = 3\nexpect.output.lines = ['1', '2', '3']".to_string(),
            "sink" => {
                format!("input.lines = ['a{index}']\nlog.lines = ['1 elements, {} bytes']", 1 + index.to_string().len())
            }
            _ => format!(
                "config = {{ how = 'print', at = 'process' }}\ninput.lines = ['a{index}', 'poison']\nlog.contains = 'printed in'"
            ),
        };
        writeln!(cases, "[[test]]\nname = '{index}'\nstage = 'COMPONENTS/{stage}.wasm'\n{rest}").unwrap();
    }
    let folder = folder(&cases);
    let seconds = |args: &[&str], text: &str| {
        let began = Instant::now();
        let output = torvyn(folder.path(), &[&["test"], args].concat());
        let seconds = began.elapsed().as_secs_f64();
        assert_says(&output, 0, &[text]);
        seconds
    };
    let all = seconds(&[], "200 cases: 200 passed");
    let one = (0..5).map(|_| seconds(&["--exact", "7"], "1 case: 1 passed")).fold(f64::INFINITY, f64::min);
    println!("cases=200 components=5 seconds={all:.3} one_case_seconds={one:.3}");
    assert!(all < 5.0, "{all} s");
}

/// `test --watch`, and what it has printed since the previous round.
struct Watching {
    program: Child,
    said: Receiver<String>,
}

impl Watching {
    fn begin(folder: &Path, args: &[&str]) -> Watching {
        let mut program = command(folder, &[&["test", "--watch"], args].concat());
        // Another project that is built in the same target folder makes a project stale.
        program.env_remove("CARGO_TARGET_DIR");
        let mut program = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, said) = channel();
        let stderr = BufReader::new(program.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Watching { program, said }
    }

    /// Waits until it waits for changes. Asserts that it printed all of `texts` in their order, and none of `not`.
    #[track_caller]
    fn round(&self, texts: &[&str], not: &[&str]) {
        let mut said = String::new();
        while !said.lines().any(|line| line.trim_start().starts_with("Watching")) {
            let line = self.said.recv_timeout(Duration::from_secs(300));
            let line = line.unwrap_or_else(|_| panic!("it does not wait, and expected is {texts:?}:\n{said}"));
            writeln!(said, "{line}").unwrap();
        }
        let mut rest = &said[..];
        for text in texts {
            let at = rest.find(text).unwrap_or_else(|| panic!("it does not say {text:?} there:\n{said}"));
            rest = &rest[at + text.len()..];
        }
        assert!(not.iter().all(|text| !said.contains(text)), "{not:?}:\n{said}");
    }

    /// Ends it, which must be quick. Returns what it printed on stdout.
    fn end(mut self) -> Output {
        // Longer than it takes to notice a change and to wait until it is complete.
        thread::sleep(Duration::from_secs(1));
        assert!(self.said.try_recv().is_err(), "it does nothing of itself");
        assert!(Command::new("kill").args(["-s", "INT", &self.program.id().to_string()]).status().unwrap().success());
        let began = Instant::now();
        while self.program.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(5), "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let output = self.program.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        output
    }
}

/// Each round says what changed, and runs only the affected cases.
#[test]
fn watching_runs_what_a_change_affects() {
    let temp = tempfile::tempdir().unwrap();
    let new = torvyn(temp.path(), &["new", "watched", "--template", "router", "--vcs", "none"]);
    assert!(new.status.success(), "{}", said(&new));
    let root = temp.path().join("watched");
    // Whole at once, as editors do it: a round that begins in the middle of a write runs other cases.
    let write = |file: &str, text: &str| {
        fs::write(root.join(".written"), text).unwrap();
        fs::rename(root.join(".written"), root.join(file)).unwrap();
    };
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let case = |name: &str, rest: &str| format!("[[test]]\nname = '{name}'\n{rest}\n");
    let manifest = "[pipeline.main]\nstages = ['watched']\n";
    let lines = case("lines", "input.lines = ['a', '']\nexpect.output.lines = ['a']");
    fs::create_dir_all(root.join("tests")).unwrap();
    write("Torvyn.toml", &format!("{manifest}{lines}"));
    write("tests/in.txt", "one\n\ntwo\n");
    write("tests/more.toml", &case("file", "input = 'in.txt'\nexpect.output.count = 2"));

    let watching = Watching::begin(&root, &[]);
    watching
        .round(&["Testing 2 of 2 cases, 1 of 1 component compiled", "2 passed", "2 cases, none failing"], &["Changed"]);

    write("tests/in.txt", "one\n\ntwo\nthree\n");
    let failing = [
        "Changed `tests/in.txt`",
        "Testing 1 of 2 cases, 0 of 1 component compiled",
        "Fail",
        "file",
        "2 cases, 1 failing: `file`",
    ];
    watching.round(&failing, &["Compiling", "  lines"]);

    write("tests/more.toml", &case("file", "input = 'in.txt'\nexpect.output.count = 3"));
    watching
        .round(&["Changed `tests/more.toml`", "Testing 1 of 2 cases", "Pass", "file", "none failing"], &["  lines"]);

    // The other case has moved and is otherwise the same.
    write("Torvyn.toml", &format!("{manifest}{}{lines}", case("new", "input.lines = []")));
    watching.round(&["Changed `Torvyn.toml`", "Testing 1 of 3 cases", "new", "3 cases, none failing"], &["  lines"]);

    let source = read("src/lib.rs");
    write("src/lib.rs", &source.replace("element.size() > 0", "element.size() > 100"));
    let recompiled = [
        "Changed `src/lib.rs`",
        "Compiling watched",
        "Testing 3 of 3 cases, 1 of 1 component compiled",
        "2 failing: `file`, `lines`",
    ];
    watching.round(&recompiled, &[]);

    write("src/lib.rs", &format!("{source}fn broken( {{}}\n"));
    watching.round(&["Changed `src/lib.rs`", "could not compile", "Watching for changes"], &["Testing"]);
    write("src/lib.rs", &source);
    watching.round(&["Testing 3 of 3 cases, 1 of 1 component compiled", "none failing"], &[]);

    write("tests/more.toml", "[[test]]\nnaem = 'file'\n");
    watching.round(&["error[unknown-key]", "Watching for changes"], &["Testing"]);
    fs::remove_file(root.join("tests/more.toml")).unwrap();
    watching.round(&["Changed `tests/more.toml`", "no case is affected", "2 cases, none failing"], &["Testing"]);

    // The library for stages, and a file that nothing is built from.
    write("README.md", "other\n");
    watching.round(&["Changed `README.md`", "no case is affected"], &["Compiling", "Testing"]);
    let guest = read("wit/src/lib.rs");
    write("wit/src/lib.rs", &format!("{guest}\n// other\n"));
    watching.round(&["Changed `wit/src/lib.rs`", "Testing 2 of 2 cases"], &[]);
    watching.end();
}

#[test]
fn watching_tells_programs_of_rounds_and_does_not_see_what_it_writes() {
    let blessed =
        "[[test]]\nname = 'blessed'\npipeline = 'upper'\ninput.lines = ['a']\nexpect.output.file = 'out.txt'\n";
    let folder = folder(&with_pipelines(blessed));
    let watching = Watching::begin(folder.path(), &["--bless", "--message-format", "json"]);
    watching.round(&["Testing 1 of 1 case, 1 of 1 component compiled", "none failing"], &[]);
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "A\n");
    thread::sleep(Duration::from_secs(1));
    fs::write(folder.path().join("Torvyn.toml"), "[pipeline").unwrap();
    watching.round(&["Changed `Torvyn.toml`", "error[syntax]", "Watching for changes"], &[]);
    let output = watching.end();
    let lines = lines(&output);
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    let round = ["watch-round", "case-finished", "test-summary", "watch-waiting"];
    lines.iter().for_each(assert_documented);
    assert_eq!(reasons, [&round[..], &["watch-round", "test-summary", "watch-waiting", "test-summary"]].concat());
    assert_eq!(
        (&lines[0]["changed"], &lines[4]["changed"]),
        (&serde_json::json!([]), &serde_json::json!(["Torvyn.toml"]))
    );
    assert_eq!((&lines[3]["exit"], &lines[3]["cases"], &lines[3]["failed"]), (&0.into(), &1.into(), &0.into()));
    assert_eq!((&lines[5]["failures"][0]["code"], &lines[6]["exit"]), (&"syntax".into(), &101.into()));
    let end = &lines[7];
    assert_eq!(
        (&end["outcome"], &end["passed"], &end["failures"]),
        (&"interrupted".into(), &1.into(), &serde_json::json!([]))
    );
}

/// Output that the shell or another program writes to a file in the project is no change of it, and neither are the
/// files that an editor creates beside a file.
#[test]
fn watching_does_not_see_its_own_output() {
    let case = "[[test]]\nname = 'a'\npipeline = 'upper'\ninput.lines = ['a']\nexpect.output.count = 1\n";
    for (args, redirection) in [
        ("", "2> tests/own.log"),
        ("--message-format json", "> tests/own.log 2>> tests/own2.log"),
        ("", "2>&1 | tee tests/own.log"),
        ("--color always", "2>&1 | tee tests/own.log"),
        ("--message-format json", "2> /dev/null | tee tests/own.log"),
        ("broken", "2>&1 | tee tests/own.log"),
        ("", "2>&1 | sed -u 's/fails/is wrong/' > tests/own.log"),
        ("broken", "2>&1 | sed -u 's/changes/what comes/' > tests/own.log"),
    ] {
        let (folder, args) = match args {
            "broken" => (folder(&with_pipelines("[[test]]\nname = 1\n")), ""),
            args => (folder(&with_pipelines(case)), args),
        };
        let tests = folder.path().join("tests");
        fs::create_dir(&tests).unwrap();
        let log = tests.join("own.log");
        let mut sh = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_cargo-torvyn");
        sh.arg("-c").arg(format!("{program} torvyn test --watch {args} {redirection}"));
        sh.current_dir(folder.path()).env("CARGO_TERM_COLOR", "never").stdout(Stdio::null()).stderr(Stdio::null());
        sh.process_group(0);
        let mut running = sh.spawn().unwrap();
        let rounds = || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.matches("Watching").count() + text.matches("watch-waiting").count()
        };
        let began = Instant::now();
        while rounds() == 0 {
            assert!(began.elapsed() < Duration::from_secs(300), "{redirection}");
            thread::sleep(Duration::from_millis(50));
        }
        fs::write(tests.join("cases.toml~"), "backup").unwrap();
        fs::write(tests.join("4913"), "").unwrap();
        thread::sleep(Duration::from_secs(2));
        let text = fs::read_to_string(&log).unwrap();
        let group = format!("-{}", running.id());
        assert!(Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap().success());
        running.wait().unwrap();
        // A file that changes during a round is recognised as its own output after the second round without a change.
        let most = if redirection.contains("sed") { 2 } else { 1 };
        let rounds = text.matches("Changed").count() + text.matches("watch-round").count();
        assert!(rounds <= most, "{redirection}:\n{text}");
    }
}

#[test]
fn watching_runs_and_does_nothing_else() {
    let nothing = tempfile::tempdir().unwrap();
    for other in [&["--list"][..], &["--junit", "a.xml"]] {
        let output = torvyn(nothing.path(), &[&["test", "--watch"], other].concat());
        assert_says(&output, 2, &["cannot be used with"]);
    }
}
