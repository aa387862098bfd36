//! A file that is written and also used otherwise, under any names: the command is refused and does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cli_tests::{command, folder, target};

use crate::{UPPER, expect, said};

/// A folder with an input that has several names.
fn aliased(manifest: &str) -> tempfile::TempDir {
    let folder = folder(manifest);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.txt"), "one\ntwo\n").unwrap();
    fs::hard_link(at("in.txt"), at("hard")).unwrap();
    symlink("in.txt", at("link")).unwrap();
    fs::create_dir(at("sub")).unwrap();
    symlink("..", at("sub/up")).unwrap();
    folder
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, texts: &[&str]) {
    let before = files(folder);
    expect(folder, &[&["run"], args].concat(), code, texts);
    assert_eq!(files(folder), before, "{args:?}");
}

#[test]
fn the_input_is_not_written_by_any_name() {
    let folder = aliased(UPPER);
    for output in ["in.txt", "./in.txt", "hard", "link", "sub/../in.txt", "sub/up/in.txt", "/proc/self/cwd/in.txt"] {
        let same = if output == "in.txt" { "is used for an output and for the input" } else { "are the same file" };
        let args = ["--input", "in.txt", "--output", output];
        refused(folder.path(), &args, 101, &["error[same-file]", &format!("`{output}`"), same]);
        refused(folder.path(), &["--input", output, "--output", "in.txt"], 101, &["error[same-file]"]);
    }
}

#[test]
fn what_is_recorded_is_written_over_nothing_else() {
    let folder = aliased(UPPER);
    let component = target().join("wasm32-wasip2/release/router.wasm");
    let before = fs::read(&component).unwrap();
    let component_name = component.to_str().unwrap();
    for (args, text) in [
        (&["--records", "./hard"][..], "`./hard` (the records) and `in.txt` (the input) are the same file"),
        (
            &["--records", "sub/up/out.txt"],
            "`sub/up/out.txt` (the records) and `out.txt` (an output) are the same file",
        ),
        (&["--records", "a", "--trace", "./a"], "`./a` (the trace) and `a` (the records) are the same file"),
        (&["--records", "Torvyn.toml"], "`Torvyn.toml` is used for the records and for the manifest"),
        (&["--trace", "sub/../Torvyn.toml"], "(the trace) and `Torvyn.toml` (the manifest) are the same file"),
        (&["--trace", component_name], "is used for the trace and for a component"),
    ] {
        refused(folder.path(), &[&["--input", "in.txt", "--output", "out.txt"], args].concat(), 2, &[text]);
    }
    assert_eq!(fs::read(&component).unwrap(), before);
}

#[test]
fn two_outputs_and_dead_letters_are_three_files() {
    for (what, text) in [
        (
            "output = [{ name = 'a', file = 'a' }, { name = 'b', file = './a' }]",
            "`./a` (an output) and `a` (an output)",
        ),
        ("output = 'sub/up/in.txt'", "`sub/up/in.txt` (an output) and `in.txt` (the input)"),
        ("output = 'Torvyn.toml'", "`Torvyn.toml` is used for an output and for the manifest"),
    ] {
        let folder = aliased(&format!("{UPPER}input = 'in.txt'\n{what}\n"));
        refused(folder.path(), &[], 101, &["error[same-file]", text, "Torvyn.toml:"]);
    }
    let letters = "[[pipeline.main.stages]]\ncomponent = 'COMPONENTS/inspector.wasm'\n\
                   on-failure = { dead-letter = 'x.jsonl' }\n";
    let folder = aliased(letters);
    let text = "`./x.jsonl` (the records) and `x.jsonl` (dead letters) are the same file";
    refused(folder.path(), &["--input", "in.txt", "--records", "./x.jsonl"], 2, &[text]);
    refused(
        folder.path(),
        &["--input", "in.txt", "--output", "x.jsonl"],
        101,
        &["used for dead letters and for an output"],
    );
}

#[test]
fn nothing_is_written_into_a_folder_that_is_read() {
    let folder = aliased(&format!("{UPPER}input = {{ dir = 'sub' }}\n"));
    fs::write(folder.path().join("sub/a"), "a").unwrap();
    let text = "`sub/./out.txt` (an output) is in `sub` (the input), whose files are read";
    refused(folder.path(), &["--output", "sub/./out.txt"], 101, &["error[same-file]", text]);
    // The target of a link in it is read too, and so is the content of the folder under another name.
    fs::write(folder.path().join("old.txt"), "old\n").unwrap();
    fs::create_dir(folder.path().join("linked")).unwrap();
    symlink("../old.txt", folder.path().join("linked/link")).unwrap();
    fs::hard_link(folder.path().join("in.txt"), folder.path().join("linked/hard")).unwrap();
    let manifest = fs::read_to_string(folder.path().join("Torvyn.toml")).unwrap();
    fs::write(folder.path().join("Torvyn.toml"), manifest.replace("'sub'", "'linked'")).unwrap();
    for output in ["old.txt", "in.txt", "./hard"] {
        let text = format!("`{output}` (an output) is in `linked` (the input), whose files are read");
        refused(folder.path(), &["--output", output], 101, &["error[same-file]", &text]);
    }
    let mut run = command(folder.path(), &["run", "--output", "new.txt"]);
    let output = run.stderr(fs::File::create(folder.path().join("linked/log")).unwrap()).output().unwrap();
    let log = fs::read_to_string(folder.path().join("linked/log")).unwrap();
    assert_eq!(output.status.code(), Some(101), "{log}");
    assert!(log.contains("standard error is in `linked` (the input), whose files are read"), "{log}");
    fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
    symlink("nowhere", folder.path().join("sub/b")).unwrap();
    refused(folder.path(), &[], 101, &["cannot read `sub`", "`sub/b`: broken symbolic link"]);
}

#[test]
fn what_the_shell_writes_to_is_not_replaced() {
    let folder = aliased(UPPER);
    fs::write(folder.path().join("all.log"), "before\n").unwrap();
    for (stream, text) in [(1, "standard output and"), (2, "standard error and")] {
        let mut run = command(folder.path(), &["run", "--input", "in.txt", "--output", "./all.log"]);
        let log = fs::File::options().append(true).open(folder.path().join("all.log")).unwrap();
        if stream == 1 {
            run.stdout(log)
        } else {
            run.stderr(log)
        };
        let output = run.output().unwrap();
        let log = fs::read_to_string(folder.path().join("all.log")).unwrap();
        assert_eq!(output.status.code(), Some(101));
        assert!(log.starts_with("before\n") && (said(&output) + &log).contains(text), "{log}");
    }
}
