//! `cargo torvyn run`, as a user runs it: a project of a template, real input, and everything that can go wrong.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cli_tests::{FAULTS, command, faulty, folder, folder_with_input, project, said, torvyn};
use serde_json::Value;

mod aliases;
mod append;
mod built;
mod failures;
mod outputs;
mod records;
mod same_file;
mod streams;
mod trace;

/// Runs, and asserts the exit code and that stderr has all of `texts`.
fn expect(folder: &Path, args: &[&str], code: i32, texts: &[&str]) -> Output {
    let output = torvyn(folder, args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for text in texts {
        assert!(said.contains(text), "{args:?} does not say {text:?}:\n{said}");
    }
    assert!(!said.contains("panicked at cargo-torvyn") && !said.contains("panicked at runtime"), "{said}");
    output
}

const UPPER: &str = r#"
[pipeline.main]
stages = ["COMPONENTS/router.wasm", "COMPONENTS/transform.wasm"]
"#;

#[test]
fn a_project_runs_on_a_real_file_and_prints_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.log"), folder.path().join("out.log"));
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/run/run_pipeline.rs")).unwrap();
    fs::write(&input, &text).unwrap();
    let args = ["run", "--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let ran = expect(project(), &args, 0, &["Finished `main`", "router", "handle-pass", "flow amplification  2.00×"]);
    assert!(ran.stdout.is_empty(), "the account is for people, on stderr");
    let expected: String =
        text.lines().filter(|line| !line.is_empty()).map(|line| line.to_ascii_uppercase() + "\n").collect();
    assert_eq!(fs::read_to_string(&output).unwrap(), expected);
}

#[test]
fn the_last_line_of_json_is_the_summary() {
    let folder = folder(UPPER);
    let mut run = command(folder.path(), &["run", "--output", "out.txt", "--message-format", "json"]);
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    run.stdin.take().unwrap().write_all(b"one\n\ntwo\nlast").unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "ONE\nTWO\nLAST\n");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["reason"], &summary["outcome"]), (&"run-summary".into(), &"succeeded".into()));
    let elements = serde_json::json!({
        "in": 4, "out": 3, "dropped": 1, "skipped": 0, "dead_letters": 0, "due": 0, "late": 0,
    });
    assert_eq!(summary["elements"], elements);
    assert_eq!(summary["stages"][0]["verdict"], "handle-pass");
    assert_eq!(summary["stages"][1]["copies"]["payload_read"], serde_json::json!({"ops": 3, "bytes": 10}));
    assert_eq!(summary["amplification"], 2.0);
    assert_eq!(summary["pool"]["live_at_end"], 0);
}

#[test]
fn what_is_wrong_with_the_manifest_is_shown_in_it() {
    let nothing = tempfile::tempdir().unwrap();
    expect(nothing.path(), &["run"], 101, &["`Torvyn.toml` does not exist", "cargo torvyn new NAME"]);
    for (text, said) in [
        ("[pipeline.main\n", "Torvyn.toml:1:15"),
        ("[pipeline.main]\nstages = [\"x.wasm\"]\n", "`x.wasm` does not exist"),
        ("[pipeline.main]\nstage = [\"x\"]\n", "Torvyn.toml:2:1"),
    ] {
        expect(folder(text).path(), &["run"], 101, &[said]);
    }
    let cycle = "[pipeline.main]\n[[pipeline.main.stages]]\nname = 'a'\ncomponent = 'COMPONENTS/router.wasm'\nfrom = 'b'\n\
                 [[pipeline.main.stages]]\nname = 'b'\ncomponent = 'COMPONENTS/router.wasm'\nfrom = 'a'\n";
    expect(folder(cycle).path(), &["run"], 101, &["the stages form a cycle", "Torvyn.toml:5:8"]);
    expect(folder(UPPER).path(), &["run", "mian"], 101, &["there is no pipeline `mian`", "`main`"]);
    expect(folder(UPPER).path(), &["run", "--inptu", "x"], 2, &["--input"]);
}

#[test]
fn what_is_no_component_is_told_by_what_it_is() {
    let folder = folder("[pipeline.main]\nstages = [\"./it.wasm\"]\n");
    for (bytes, found) in [
        (&b""[..], "found an empty file"),
        (b"\0asm\x01\0\0\0", "found a core WebAssembly module"),
        (b"\x7fELF", "found a native executable"),
        (b"hello", "found something that is not WebAssembly"),
        (b"\0asm\x0d\0\x01\0", "found one that exports nothing"),
    ] {
        fs::write(folder.path().join("it.wasm"), bytes).unwrap();
        expect(folder.path(), &["run"], 101, &["error[bad-component]", found, "Torvyn.toml:2:11"]);
    }
}

#[test]
fn a_stage_that_goes_wrong_is_named_and_nothing_is_half_written() {
    for (how, at, _, text) in FAULTS {
        let folder = folder_with_input(&faulty(how, at));
        expect(folder.path(), &["run"], 101, &["stage `faulty` failed in", at, text]);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["Torvyn.toml", "input.txt"], "`{how}` in `{at}`");
    }
}

#[test]
fn endpoints_that_fail_are_named() {
    let folder = folder(UPPER);
    let path = folder.path();
    fs::write(path.join("in.txt"), "line\n".repeat(100_000)).unwrap();
    expect(path, &["run", "--input", "no.txt"], 101, &["`no.txt` does not exist"]);
    expect(path, &["run", "--input", "."], 101, &["`.` is a directory"]);
    expect(
        path,
        &["run", "--input", "in.txt", "--output", "/dev/full"],
        101,
        &["`/dev/full`", "after 0 bytes", "No space left"],
    );
    expect(
        path,
        &["run", "--input", "in.txt", "--output", "no/out.txt"],
        101,
        &["cannot write `no/out.txt`", "No such file"],
    );
}

#[test]
fn an_interrupt_drains_and_a_second_ends() {
    let folder = folder(UPPER);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut run = command(folder.path(), &["run", "--output", "out.txt"]);
        let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // More than a pipe holds: once it is written, the flow is reading.
        let lines = "abc\n".repeat(100_000);
        run.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
        wait_until_read(&run);
        send(&run, signal);
        let ended = wait(&mut run);
        assert_eq!(ended, (Some(code), None), "{signal}");
        let written = fs::read_to_string(folder.path().join("out.txt")).unwrap();
        assert_eq!(written, lines.to_ascii_uppercase(), "{signal}: what was read is in the output");
    }
}

/// Everything that was read from a pipe is in the output, except an incomplete element, which is reported.
#[test]
fn the_beginning_of_an_element_is_told_when_a_run_is_interrupted() {
    let folder = folder(UPPER);
    let mut run = command(folder.path(), &["run", "--output", "out.txt"]);
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    run.stdin.as_mut().unwrap().write_all(b"abc\nabc\npar").unwrap();
    wait_until_read(&run);
    send(&run, "TERM");
    let stdin = run.stdin.take();
    let output = run.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(143), "{}", said(&output));
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "ABC\nABC\n");
    assert!(
        said(&output).contains("3 bytes of `input` belong to no element and are not in the output"),
        "{}",
        said(&output)
    );
}

/// Waits until the pipe of its standard input is empty.
fn wait_until_read(run: &Child) {
    let stdin = run.stdin.as_ref().unwrap();
    let began = Instant::now();
    while rustix::io::ioctl_fionread(stdin).unwrap() > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not read");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(run: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn wait(run: &mut Child) -> (Option<i32>, Option<i32>) {
    let began = Instant::now();
    loop {
        if let Some(status) = run.try_wait().unwrap() {
            return (status.code(), status.signal());
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A project of the template that was never built, with its own target folder.
fn unbuilt() -> (tempfile::TempDir, std::path::PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let new = torvyn(temp.path(), &["new", "logs", "--template", "pipeline", "--vcs", "none"]);
    assert!(new.status.success(), "{}", said(&new));
    let project = temp.path().join("logs");
    (temp, project)
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replace(from, to)).unwrap();
}

/// The error for a package that is not a stage says what it lacks, wherever the package is named.
#[test]
fn a_package_that_is_no_stage_is_told_what_it_lacks() {
    let (_temp, project) = unbuilt();
    edit(&project.join("transform/Cargo.toml"), "[\"cdylib\"]", "[\"rlib\"]");
    edit(&project.join("router/Cargo.toml"), "[package.metadata.torvyn]\n", "[package.metadata.other]\n");
    edit(&project.join("router/Cargo.toml"), "[package.metadata.torvyn.budget]\n", "[package.metadata.budget]\n");
    fs::write(project.join("sink/Cargo.toml"), "[package]\nname = \"sink\"\nedition = \"2024\"\n").unwrap();
    fs::write(project.join("source/Cargo.toml"), "[package]\nname = \"source\"\n[[bin]]\nname = \"source\"\npath = \"src/lib.rs\"\n[lib]\npath = \"src/none.rs\"\n")
        .unwrap();
    fs::write(project.join("source/src/none.rs"), "").unwrap();
    let transform = [
        "package `transform` is not a stage: the type of its library is `rlib`, not `cdylib`",
        "help: write `crate-type = [\"cdylib\"]` below `[lib]` in `transform/Cargo.toml`",
    ];
    let router = [
        "package `router` is not a stage: it has no `[package.metadata.torvyn]`",
        "help: write `[package.metadata.torvyn]` with its world, as `world = \"router\"` in `router/Cargo.toml`",
    ];
    let sink = [
        "package `sink` is not a stage: the type of its library is `lib`, not `cdylib`, and it has no `[package.metadata.torvyn]`",
        "help: write `crate-type = [\"cdylib\"]` below `[lib]` and `[package.metadata.torvyn]` with its world",
    ];
    let places = ["error[not-a-stage-package]", "Torvyn.toml:6:"];
    expect(&project, &["run"], 101, &[&transform[..], &router, &places].concat());
    expect(&project, &["build", "-p", "transform"], 101, &transform);
    expect(&project, &["check", "-p", "router"], 101, &router);
    expect(&project, &["run", "count"], 101, &[&sink[..], &["package `source` is not a stage"]].concat());
    // Everything that can be checked is checked.
    expect(&project, &["check"], 100, &[&transform[..], &router, &sink, &["inspector", "find "]].concat());
    // Also if no pipeline names it: a package that declares a budget is meant to be a stage.
    fs::rename(project.join("Torvyn.toml"), project.join("other.toml")).unwrap();
    let warned = ["warning: package `transform` is not a stage", "Checked 1 stage and 0 pipelines"];
    expect(&project, &["check"], 0, &warned);
    assert!(!said(&torvyn(&project, &["check", "--exclude", "transform"])).contains("transform"));
    // In its own folder, it is the selected package.
    let told = ["no stage is selected", transform[0]];
    expect(&project.join("transform"), &["build"], 4, &told);
}

/// An error in one pipeline, case or package does not prevent the use of another.
#[test]
fn what_was_not_asked_for_is_not_judged() {
    let text = format!(
        "default = 'main'\n{UPPER}\n[pipeline.broken]\nstages = [1]\n[pipeline.other]\nstage = []\n[[test]]\nnaem = 'x'\n\
         [[test]]\nname = 'of broken'\npipeline = 'broken'\ninput.lines = []\n\
         [[test]]\nname = 'good'\ninput.lines = ['a']\nexpect.output.lines = ['A']\n"
    );
    let folder = folder(&text);
    let warned =
        ["pipeline `broken` is not valid; `cargo torvyn check` says why", "`other` is not valid", "Finished `main`"];
    expect(folder.path(), &["run"], 0, &warned);
    assert!(said(&torvyn(folder.path(), &["run", "-q"])).is_empty());
    expect(folder.path(), &["run", "broken"], 101, &["error[wrong-type]", "Torvyn.toml:7:"]);
    expect(folder.path(), &["run", "other"], 101, &["error[unknown-key]", "error[missing-key]"]);
    expect(folder.path(), &["run", "brokn"], 101, &["error[unknown-pipeline]", "did you mean `broken`?"]);
    let all = ["error[wrong-type]", "error[unknown-key]: unknown key `naem`", "and 1 pipeline: "];
    expect(folder.path(), &["check"], 100, &all);
    let passed = ["warning: 2 cases or files of cases are not valid and not selected", "1 case: 1 passed"];
    expect(folder.path(), &["test", "good"], 0, &passed);
    expect(folder.path(), &["test"], 101, &["unknown key `naem`", "error[wrong-type]", "Torvyn.toml:7:"]);
    expect(folder.path(), &["test", "of broken"], 101, &["error[wrong-type]"]);
}

/// The kind of a component is known from its world, or from its file, before anything slow happens.
#[test]
fn what_cannot_run_is_refused_before_it_is_built() {
    let (_temp, project) = unbuilt();
    fs::write(project.join("in.txt"), "a\n").unwrap();
    let target = project.join("target");
    let refused = |args: &[&str], texts: &[&str]| {
        let output = command(&project, args).env("CARGO_TARGET_DIR", &target).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(101), "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "{text}: {said}"));
        assert!(!said.contains("Compiling") && !target.exists(), "{said}");
    };
    let unused = ["error[unused-input]: nothing takes from the input", "omit `--input`", "by its `world`"];
    refused(&["run", "count", "--input", "in.txt"], &unused);
    let case = "[[test]]\nname = 'x'\npipeline = 'count'\ninput.lines = []\n";
    fs::write(project.join("tests/stages.toml"), case).unwrap();
    refused(&["test", "--exact", "x"], &["error[unused-input]"]);

    let files = folder("[pipeline.main]\nstages = ['COMPONENTS/source.wasm', 'COMPONENTS/sink.wasm']\n");
    fs::write(files.path().join("in.txt"), "a\n").unwrap();
    expect(files.path(), &["run", "--input", "in.txt"], 101, &["nothing takes from the input", "omit `--input`"]);
}
