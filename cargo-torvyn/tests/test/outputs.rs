//! The files that `test` writes: the report, and those of expected elements with `--bless`.

use std::fs;

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
    for (report, code, text) in [
        ("a/b/c.xml", 101, "cannot write the report `a/b/c.xml`"),
        (".", 101, "cannot write the report `.`"),
        ("./Torvyn.toml", 2, "`./Torvyn.toml` (the report) and `Torvyn.toml` (the manifest) are the same file"),
        ("in.txt", 2, "`in.txt` is used for the report and for a file that case `upper` reads"),
        ("tests/../expected.txt", 2, "`tests/../expected.txt` (the report) and `expected.txt` (a file of a case)"),
    ] {
        let ran = expect(folder.path(), &["--junit", report], code, &[text]);
        assert!(!said(&ran).contains("Testing"), "{}", said(&ran));
    }
    assert!(fs::read_to_string(folder.path().join("Torvyn.toml")).unwrap().contains("[[test]]"));
    expect(folder.path(), &["--junit", "report.xml"], 0, &["1 passed"]);
    expect(folder.path(), &["--junit", "report.xml"], 0, &["1 passed"]);
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
