//! `cargo torvyn run`, as a user runs it: a project of a template, real input, and everything that can be wrong.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "run/failures.rs"]
mod failures;
#[path = "common/program.rs"]
mod program;
#[path = "common/project.rs"]
mod project;
#[path = "run/records.rs"]
mod records;
#[path = "run/trace.rs"]
mod trace;

use program::{command, said, torvyn};
use project::{folder, project};

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

const FAULTY: &str = r#"
[pipeline.main]
input = "input.txt"
output = "output.txt"
[[pipeline.main.stages]]
name = "faulty"
component = "COMPONENTS/inspector.wasm"
config = { how = "HOW", at = "AT" }
limits = { memory = "8MiB", time = "200ms" }
"#;

#[test]
fn a_project_runs_on_a_real_file_and_prints_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.log"), folder.path().join("out.log"));
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/launch.rs")).unwrap();
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
    expect(nothing.path(), &["run"], 101, &["`Torvyn.toml` is not there", "cargo torvyn new NAME"]);
    for (text, said) in [
        ("[pipeline.main\n", "Torvyn.toml:1:15"),
        ("[pipeline.main]\nstages = [\"x.wasm\"]\n", "`x.wasm` is not there"),
        ("[pipeline.main]\nstage = [\"x\"]\n", "Torvyn.toml:2:1"),
    ] {
        expect(folder(text).path(), &["run"], 101, &[said]);
    }
    let cycle = "[pipeline.main]\n[[pipeline.main.stages]]\nname = 'a'\ncomponent = 'COMPONENTS/router.wasm'\nfrom = 'b'\n\
                 [[pipeline.main.stages]]\nname = 'b'\ncomponent = 'COMPONENTS/router.wasm'\nfrom = 'a'\n";
    expect(folder(cycle).path(), &["run"], 101, &["stages send to one another in a circle", "Torvyn.toml:5:8"]);
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
    for (how, at, text) in [
        ("trap", "process", "`unreachable` instruction executed"),
        ("loop", "process", "ran longer than the 200ms a call may take"),
        ("grow", "process", "more than the 8388608 bytes of memory"),
        ("fail", "init", "invalid-input: told to fail in init"),
        ("trap", "teardown", "`unreachable` instruction executed"),
    ] {
        let folder = folder(&FAULTY.replace("HOW", how).replace("AT", at));
        fs::write(folder.path().join("input.txt"), "fine\n".repeat(1000) + "poison\n").unwrap();
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
    expect(path, &["run", "--input", "no.txt"], 101, &["`no.txt` is not there"]);
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
    expect(path, &["run", "--input", "in.txt", "--output", "in.txt"], 101, &["used for two ends"]);

    let mut run = command(path, &["run", "--input", "in.txt"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(run.stdout.take());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    assert!(
        said(&output).contains("failed at standard output") && said(&output).contains("Broken pipe"),
        "{}",
        said(&output)
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

/// Waits until nothing of what was written to its standard input is left in the pipe.
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
