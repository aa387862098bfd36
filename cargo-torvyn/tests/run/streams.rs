//! What stages print, with and without a reader, and inputs and outputs that are pipes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{command, faulty, folder, said, target, torvyn};
use serde_json::Value;

use crate::{UPPER, expect, wait};

/// A folder with a stage that prints for each line of its input, with these further settings.
fn printing(lines: usize, how: &str, more: &str) -> tempfile::TempDir {
    let text = faulty(how, "process").replace("at = \"process\"", &format!("at = 'process'{more}"));
    let folder = folder(&text);
    fs::write(folder.path().join("input.txt"), "poison\n".repeat(lines)).unwrap();
    folder
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn who_does_not_read_stderr_stops_nothing() {
    let folder = printing(20_000, "print", ", text = 'x', times = 100");
    let mut run = command(folder.path(), &["run", "--message-format", "json"]);
    let began = Instant::now();
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !folder.path().join("output.txt").exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "the flow stands still");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(wait(&mut run), (Some(0), None));
    assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap().len(), 20_000 * 7);
    let mut stdout = String::new();
    run.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let summary: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let log = &summary["stages"][0]["log"];
    assert_eq!(log["lines"], 20_001, "the last half of a line is one too: {log}");
    let dropped = log["dropped"].as_u64().unwrap();
    assert!((1..20_001).contains(&dropped), "{log}");
    let mut stderr = Vec::new();
    run.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    assert!(!stderr.is_empty() && stderr.len() < 1 << 20);
}

#[test]
fn a_stage_prints_no_more_than_its_quota() {
    let folder = printing(1000, "print", "");
    let text = fs::read_to_string(folder.path().join("Torvyn.toml")).unwrap();
    fs::write(folder.path().join("Torvyn.toml"), text.replace("time = \"200ms\"", "log = '1000B'")).unwrap();
    let ran = expect(folder.path(), &["run"], 0, &["`faulty`: ", " of 1,001 printed lines were dropped", "limits.log"]);
    let printed = said(&ran).matches("printed in process").count();
    assert!((20..=40).contains(&printed), "{printed}");
}

#[test]
fn what_a_stage_prints_is_shown_whatever_is_kept_quiet() {
    let folder = printing(1, "print", "");
    let ran = expect(folder.path(), &["run", "--quiet"], 0, &[]);
    assert_eq!(said(&ran), "      faulty printed in process\n      faulty half a line\n");
    let folder = printing(1, "print without end", "");
    let ran = expect(folder.path(), &["run", "--quiet"], 0, &[]);
    assert_eq!(said(&ran), "      faulty printed in process\n");
}

#[test]
fn a_printed_line_is_one_line_and_steers_no_terminal() {
    let folder = printing(1, "print", ", text = 'x', times = 200_000");
    let ran = expect(folder.path(), &["run", "--quiet"], 0, &[]);
    let line = said(&ran).lines().next().unwrap().len();
    assert_eq!((said(&ran).lines().count(), line), (2, "      faulty printed in process".len() + 200_000));
    let folder = printing(1, "print", ", text = \"a\\u202eb\\u001b[2J\\u2066\"");
    expect(folder.path(), &["run"], 0, &["printed in processa\\u{202e}b\\u{1b}[2J\\u{2066}\n"]);
}

#[test]
fn a_file_is_named_on_one_line_whatever_it_is_called() {
    let folder = folder(UPPER);
    let name = "u`\n\u{202e}\x1b[31m.wasm";
    fs::copy(target().join("wasm32-wasip2/release/router.wasm"), folder.path().join(name)).unwrap();
    let row = "\n u`\\n\\u{202e}\\u{1b}[31m.wasm  processor  router  handle-pass";
    expect(folder.path(), &["check", name, "--color", "always"], 0, &[row]);
    let missing = "error[bad-component]: cannot load `m\\n\\u{1b}[31m`";
    expect(folder.path(), &["check", "m\n\x1b[31m"], 100, &[missing]);
}

#[test]
fn pipes_are_waited_for_and_read() {
    let folder = folder(UPPER);
    let path = |name: &str| folder.path().join(name);
    ["in", "out"].iter().for_each(|name| fifo(&path(name)));
    let mut run = command(folder.path(), &["run", "--input", "in", "--output", "out"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (to, from) = (path("in"), path("out"));
    let text = "abc\n".repeat(100_000);
    // Returns when the input is open; the output is opened after it.
    let mut writer = fs::File::options().write(true).open(to).unwrap();
    let reader = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        fs::read_to_string(from).unwrap()
    });
    for part in text.as_bytes().chunks(150_000) {
        writer.write_all(part).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    drop(writer);
    assert_eq!(reader.join().unwrap(), text.to_ascii_uppercase());
    let ran = run.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    for text in ["Waiting for data in the FIFO `in`", "Waiting for a reader of the FIFO `out`", "Finished"] {
        assert!(said(&ran).contains(text), "{}", said(&ran));
    }
    assert!(fs::metadata(path("out")).unwrap().file_type().is_fifo());
}

#[test]
fn what_has_to_be_a_regular_file_and_is_none_is_refused() {
    let folder = folder(UPPER);
    let path = |name: &str| folder.path().join(name);
    fifo(&path("it.wasm"));
    let fifo_refused = "expected a regular file, found a FIFO";
    fs::write(path("Torvyn.toml"), "[pipeline.main]\nstages = ['./it.wasm']\n").unwrap();
    expect(folder.path(), &["run"], 101, &[fifo_refused, "Torvyn.toml:2:11"]);
    let check = torvyn(folder.path(), &["check", "it.wasm"]);
    assert!(check.status.code() == Some(100) && said(&check).contains(fifo_refused), "{}", said(&check));
    let text = "[pipeline.main]\nstages = ['COMPONENTS/router.wasm']\n[[test]]\nname = 'a'\npipeline = 'main'\ninput.file = 'case'\n\
                [[test]]\nname = 'b'\npipeline = 'main'\ninput.lines = ['a']\nexpect.output.file = 'case'\n";
    let folder = cli_tests::folder(text);
    fifo(&folder.path().join("case"));
    let test = torvyn(folder.path(), &["test", "b"]);
    assert!(said(&test).contains(fifo_refused), "{}", said(&test));
    fs::create_dir(folder.path().join("tests")).unwrap();
    fifo(&folder.path().join("tests/more.toml"));
    let test = torvyn(folder.path(), &["test"]);
    assert!(said(&test).contains(fifo_refused), "{}", said(&test));
    fs::remove_file(folder.path().join("Torvyn.toml")).unwrap();
    fifo(&folder.path().join("Torvyn.toml"));
    expect(folder.path(), &["run"], 101, &["`Torvyn.toml`"]);
}
