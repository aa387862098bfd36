//! Where outputs go: through links, to descriptors, to full disks; and what is left of them when the program is killed.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cli_tests::{SmallDisk, command, faulty, folder, target};

use crate::{UPPER, expect, said, wait_until_read};

fn upper() -> tempfile::TempDir {
    let folder = folder(UPPER);
    fs::write(folder.path().join("in.txt"), "one\ntwo\n").unwrap();
    folder
}

/// Runs a line of shell in which `$TORVYN` is the program and `$RUN` the command with its input.
fn shell(folder: &Path, line: &str) -> Output {
    let program = format!("{} torvyn", env!("CARGO_BIN_EXE_cargo-torvyn"));
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("RUN", format!("{program} run --input in.txt")).env("TORVYN", program);
    shell.env("CARGO_TERM_COLOR", "never").current_dir(folder);
    shell.stdin(Stdio::null()).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_descriptor_is_written_where_it_stands() {
    let folder = upper();
    let log = folder.path().join("all.log");
    for line in [
        "$RUN --output /dev/stdout >> all.log",
        "$RUN --output /dev/fd/1 >> all.log",
        "$RUN --output /proc/self/fd/1 >> all.log",
        "$RUN --output /dev/stdout >> all.log 2>&1",
        "exec 7>> all.log; $RUN --output /dev/fd/7",
        "ln -sf /dev/stdout link; $RUN --output link >> all.log",
        "$RUN --output - >> all.log",
    ] {
        fs::write(&log, "before\n").unwrap();
        let output = shell(folder.path(), line);
        let text = fs::read_to_string(&log).unwrap();
        assert!(output.status.success() && text.starts_with("before\n"), "{line}: {text} {}", said(&output));
        assert!(text.contains("ONE\nTWO\n"), "{line}: {text}");
    }
    // Later output is appended, as after any program.
    let output = shell(folder.path(), "exec 7> all.log; echo first >&7; $RUN --output /dev/fd/7; echo last >&7");
    assert_eq!(fs::read_to_string(&log).unwrap(), "first\nONE\nTWO\nlast\n", "{}", said(&output));
    // The program itself has files open under these numbers, among them the records.
    for number in 3..10 {
        for line in [
            format!("$RUN --output /dev/fd/{number} --records records"),
            format!("$RUN --output out --records /proc/self/fd/{number} --trace trace"),
            format!("${{RUN%in.txt}}/dev/fd/{number} --output out"),
        ] {
            let line = format!("exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; {line}");
            let output = shell(folder.path(), &line);
            assert_eq!(output.status.code(), Some(101), "{line}: {}", said(&output));
        }
    }
    let output = shell(folder.path(), "$RUN --output /dev/fd/7 7< all.log");
    assert!(said(&output).contains("it is not open for writing"), "{}", said(&output));
    assert_eq!(names(folder.path()), ["Torvyn.toml", "all.log", "in.txt", "link"]);
}

#[test]
fn a_closed_stream_is_an_error() {
    let folder = upper();
    for (line, text) in [
        ("$RUN >&-", "cannot write standard output"),
        ("$RUN --output - >&-", "cannot write standard output"),
        ("${RUN%in.txt}- <&-", "cannot read standard input"),
        ("$RUN --output /dev/stdout >&-", "cannot write `/dev/stdout`"),
        ("$RUN --output out.txt --records /dev/fd/1 >&-", "cannot write the records to `/dev/fd/1`"),
        ("$RUN --output out.txt --message-format json >&-", "could not write to stdout"),
        ("${RUN%in.txt}/dev/stdin <&-", "cannot read `/dev/stdin`"),
        ("$TORVYN check --message-format json >&-", "could not write to stdout"),
        ("$TORVYN check --message-format sarif >&-", "could not write to stdout"),
        ("$TORVYN explain same-file >&-", "could not write to stdout"),
        ("$TORVYN new --list >&-", "could not write to stdout"),
        ("$TORVYN --help >&-", "could not write to stdout"),
        ("$TORVYN --version >/dev/full", "could not write to stdout"),
    ] {
        let output = shell(folder.path(), line);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(101), "{line}: {said}");
        assert!(said.contains(text), "{line}: {said}");
    }
    assert!(!folder.path().join("out.txt").exists());
    // An unused descriptor may be closed.
    assert!(shell(folder.path(), "$RUN --output out.txt <&- >&-").status.success());
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "ONE\nTWO\n");
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let folder = folder(&format!("{UPPER}output = [{{ stdout = true }}, {{ file = 'also.txt', from = 'router' }}]\n"));
    fs::write(folder.path().join("in.txt"), "line\n".repeat(200_000)).unwrap();
    let line = "{ $RUN; echo $? > code; } | head -n 1";
    // Another output would not get its elements.
    let output = shell(folder.path(), line);
    assert_eq!(fs::read_to_string(folder.path().join("code")).unwrap(), "101\n");
    assert!(said(&output).contains("failed at standard output"), "{}", said(&output));
    assert!(!folder.path().join("also.txt").exists());

    let text = fs::read_to_string(folder.path().join("Torvyn.toml")).unwrap();
    let text: String =
        text.lines().filter(|line| !line.starts_with("output")).map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
    for line in [line, "{ $RUN --output /dev/stdout; echo $? > code; } | head -n 1"] {
        let output = shell(folder.path(), line);
        assert_eq!(fs::read_to_string(folder.path().join("code")).unwrap(), "0\n");
        assert_eq!(output.stdout, b"LINE\n");
        assert!(!said(&output).contains("error") && !said(&output).contains("Caused by"), "{}", said(&output));
    }
    // A named pipe is a declared output.
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    let output = shell(folder.path(), "head -n 1 < fifo & $RUN --output fifo; echo $? > code; wait");
    assert_eq!(fs::read_to_string(folder.path().join("code")).unwrap(), "101\n");
    assert!(said(&output).contains("Broken pipe"), "{}", said(&output));
}

#[test]
fn links_and_modes_stay() {
    let folder = upper();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("old"), "before").unwrap();
    fs::set_permissions(at("old"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::hard_link(at("old"), at("other")).unwrap();
    symlink("old", at("link")).unwrap();
    symlink("new", at("dangling")).unwrap();
    for (output, written) in [("link", "old"), ("dangling", "new")] {
        expect(folder.path(), &["run", "--input", "in.txt", "--output", output], 0, &[]);
        assert_eq!(fs::read_to_string(at(written)).unwrap(), "ONE\nTWO\n");
        assert!(at(output).is_symlink());
    }
    assert_eq!(fs::metadata(at("old")).unwrap().mode() & 0o7777, 0o604);
    assert_eq!(fs::read_to_string(at("other")).unwrap(), "before", "another hard link keeps what it has");
}

#[test]
fn a_run_that_is_killed_leaves_nothing() {
    let folder = folder(UPPER);
    let args = ["run", "--output", "out.txt", "--records", "records.ndjson"];
    let mut run = command(folder.path(), &args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    run.stdin.as_mut().unwrap().write_all("abc\n".repeat(100_000).as_bytes()).unwrap();
    wait_until_read(&run);
    assert_eq!(names(folder.path()), ["Torvyn.toml"], "not while it runs either");
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(names(folder.path()), ["Torvyn.toml"]);
}

#[test]
fn every_output_is_looked_at_before_the_work_begins() {
    let folder = folder(&format!("{UPPER}output = 'no/out.txt'\n"));
    fs::write(folder.path().join("in.txt"), "one\n").unwrap();
    for (args, text) in [
        (&[][..], "cannot write `no/out.txt`"),
        (&["--output", "out.txt", "--records", "no/r"], "cannot write the records to `no/r`"),
        (&["--output", "out.txt", "--trace", "."], "cannot write the trace to `.`"),
    ] {
        let args = [&["run", "--input", "in.txt"], args].concat();
        let said = said(&expect(folder.path(), &args, 101, &[text]));
        assert!(!said.contains("Running"), "{said}");
        assert_eq!(names(folder.path()), ["Torvyn.toml", "in.txt"]);
    }
}

fn poisoned(folder: &Path, letters: &Path, lines: usize) {
    let text = faulty("fail", "process");
    let release = target().join("wasm32-wasip2/release");
    let text = text.replace("COMPONENTS", release.to_str().unwrap()).replace("output.txt", "/dev/null");
    let text = format!("{text}on-failure = {{ dead-letter = '{}' }}\n", letters.display());
    fs::write(folder.join("Torvyn.toml"), text).unwrap();
    fs::write(folder.join("input.txt"), "poison\n".repeat(lines)).unwrap();
}

fn whole_lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{:?}", &text[text.len().saturating_sub(80)..]);
    text.lines().for_each(|line| _ = serde_json::from_str::<serde_json::Value>(line).unwrap());
    text.lines().count()
}

#[test]
fn a_full_disk_has_whole_dead_letters_and_no_output() {
    let folder = upper();
    let Some(full) = SmallDisk::mount("64k") else { return };
    let (letters, out) = (full.path().join("bad.jsonl"), full.path().join("out.txt"));
    poisoned(folder.path(), &letters, 1000);
    for _ in 0..2 {
        expect(folder.path(), &["run"], 101, &["as a dead letter of stage", "No space left"]);
        assert!(whole_lines(&letters) > 100);
    }
    let before = fs::read(&letters).unwrap();
    fs::write(folder.path().join("big.txt"), "0123456789\n".repeat(100_000)).unwrap();
    let upper = folder.path().join("upper");
    fs::create_dir(&upper).unwrap();
    let release = target().join("wasm32-wasip2/release");
    fs::write(upper.join("Torvyn.toml"), UPPER.replace("COMPONENTS", release.to_str().unwrap())).unwrap();
    expect(&upper, &["run", "--input", "../big.txt", "--output", out.to_str().unwrap()], 101, &["No space left"]);
    assert_eq!(names(full.path()), ["bad.jsonl"]);
    assert_eq!(fs::read(&letters).unwrap(), before);

    // A file that cannot be replaced is not damaged either: there is no room for its new content.
    fs::write(&letters, "").unwrap();
    fs::write(&out, "before\n").unwrap();
    let name = full.path().join("mounted");
    fs::write(&name, "").unwrap();
    let bound = Command::new("mount").arg("--bind").args([&out, &name]).status().unwrap();
    assert!(bound.success());
    expect(&upper, &["run", "--input", "../big.txt", "--output", name.to_str().unwrap()], 101, &["No space left"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "before\n");
    let small = ["run", "--input", "../in.txt", "--output", name.to_str().unwrap()];
    expect(&upper, &small, 0, &[]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "ONE\nTWO\n", "a mount point is written over");
    assert!(Command::new("umount").arg(&name).status().unwrap().success());
}

#[test]
fn a_file_that_may_not_grow_has_whole_dead_letters() {
    let folder = upper();
    let letters = folder.path().join("bad.jsonl");
    poisoned(folder.path(), &letters, 1000);
    for _ in 0..2 {
        let output = shell(folder.path(), "ulimit -f 40; ${RUN%--input*}");
        assert_eq!(output.status.code(), Some(101), "{}", said(&output));
        assert!(said(&output).contains("File too large"), "{}", said(&output));
        assert!(whole_lines(&letters) > 50);
    }
}

#[test]
fn a_dead_letter_that_was_torn_takes_no_other_with_it() {
    let folder = upper();
    let letters = folder.path().join("bad.jsonl");
    poisoned(folder.path(), &letters, 2);
    fs::write(&letters, "{\"pipeline\":\"ma").unwrap();
    expect(folder.path(), &["run"], 0, &["Dead letters 2"]);
    let text = fs::read_to_string(&letters).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("{\"pipeline\":\"ma"), "what was there is still there");
    assert_eq!(lines.filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 2);
}

#[test]
fn two_runs_at_once_keep_their_dead_letters_apart() {
    let folder = upper();
    let letters = folder.path().join("bad.jsonl");
    poisoned(folder.path(), &letters, 500);
    let runs: Vec<_> =
        (0..2).map(|_| command(folder.path(), &["run"]).stderr(Stdio::null()).spawn().unwrap()).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(whole_lines(&letters), 1000);
    File::open(&letters).unwrap().try_lock().expect("no lock is left");
}
