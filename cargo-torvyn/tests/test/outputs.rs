//! The files that `test` writes: the report, and those of expected elements with `--bless`.

use std::fs;
use std::process::Command;

use crate::{expect, folder, said};

const CASE: &str = r#"
[[test]]
name = "upper"
input = "in.txt"
expect.output = { file = "expected.txt" }
"#;

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_runs() {
    let folder = folder(CASE);
    for file in ["in.txt", "expected.txt"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/more.toml"), "").unwrap();
    fs::write(folder.path().join("README.md"), "# Stages\n").unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("fifo")).status().unwrap().success());
    for (report, code, text) in [
        ("a/b/c.xml", 101, "cannot write the report `a/b/c.xml`"),
        (".", 101, "cannot write the report `.`"),
        ("./Torvyn.toml", 2, "`./Torvyn.toml` (the report) and `Torvyn.toml` (the manifest) are the same file"),
        ("README.md", 2, "`README.md` exists and is not a JUnit report"),
        ("fifo", 101, "cannot write the report `fifo`"),
        ("in.txt", 2, "`in.txt` is used for the report and for a file that case `upper` reads"),
        ("tests/../expected.txt", 2, "`tests/../expected.txt` (the report) and `expected.txt` (a file of a case)"),
    ] {
        let ran = expect(folder.path(), &["--junit", report], code, &[text]);
        assert!(!said(&ran).contains("Testing"), "{}", said(&ran));
    }
    assert!(fs::read_to_string(folder.path().join("Torvyn.toml")).unwrap().contains("[[test]]"));
    assert_eq!(fs::read_to_string(folder.path().join("README.md")).unwrap(), "# Stages\n");
    expect(folder.path(), &["--junit", "report.xml"], 0, &["1 passed"]);
    expect(folder.path(), &["--junit", "report.xml"], 0, &["1 passed"]);
    // A reader that is there gets the whole report, and nothing before it.
    let fifo = folder.path().join("fifo");
    let reader = std::thread::spawn(move || fs::read_to_string(fifo).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(200));
    expect(folder.path(), &["--junit", "fifo"], 0, &["1 passed"]);
    let read = reader.join().unwrap();
    assert!(read.starts_with("<?xml") && read.ends_with("</testsuites>\n"), "{read}");
}

/// One of two cases that share a file cannot say what the other expects.
#[test]
fn one_of_two_cases_with_one_file_is_not_blessed() {
    let two = CASE.to_string() + &CASE[CASE.find("[[test]]").unwrap()..].replace("upper", "lower");
    let folder = folder(&two);
    fs::write(folder.path().join("in.txt"), "one\n").unwrap();
    let path = folder.path().join("expected.txt");
    fs::write(&path, "").unwrap();
    let texts = ["case `lower` expects `expected.txt` too, and does not run", "select both cases"];
    expect(folder.path(), &["--bless", "upper"], 100, &texts);
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    expect(folder.path(), &["--bless"], 0, &["Blessed", "2 passed"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "ONE\n");
    // Nothing is written if nothing changes.
    expect(folder.path(), &["--bless", "upper"], 0, &["1 passed"]);
}

#[test]
fn what_cases_read_is_not_blessed() {
    let folder = folder(&CASE.replace("expected.txt", "./in.txt"));
    let path = folder.path().join("in.txt");
    fs::write(&path, "one\n").unwrap();
    let texts =
        ["Fail", "`./in.txt` (expected elements) and `in.txt` (a file that case `upper` reads) are the same file"];
    expect(folder.path(), &["--bless"], 100, &texts);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
    // If nothing is written, nothing is refused.
    fs::write(&path, "ONE\n").unwrap();
    expect(folder.path(), &["--bless"], 0, &["1 passed"]);
}
