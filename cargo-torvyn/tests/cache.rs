//! The compile cache, as a user has it: a second start compiles nothing, and a cache that cannot be used stops nothing.
//! What is never loaded is tested in the tests of the runtime.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cli_tests::{command, said};
use tempfile::TempDir;
use wat_guests::stage::{Guest, PROCESSOR};

/// A small component, and one that compiles in a process of its own. Both forward everything.
const STAGES: [&str; 2] = ["small.wasm", "large.wasm"];

/// A pipeline of both stages, with a case.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, functions) in STAGES.into_iter().zip([1, 5000]) {
        let fields = "(func (param i32) (result i32) (local.get 0))".repeat(functions);
        let work = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";
        fs::copy(Guest { work, fields: &fields, ..PROCESSOR }.file().path, folder.path().join(name)).unwrap();
    }
    let manifest = "[pipeline.main]\ninput = 'input.txt'\noutput = 'output.txt'\nstages = ['small.wasm', 'large.wasm']\n\
                    [[test]]\nname = 'case'\npipeline = 'main'\ninput.lines = ['a']\nexpect.output.lines = ['a']\n";
    fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
    fs::write(folder.path().join("input.txt"), "one\ntwo\n").unwrap();
    folder
}

fn cache(folder: &Path) -> PathBuf {
    folder.join("cache")
}

/// The program, with the cache of the folder.
fn with_cache(folder: &Path, args: &[&str]) -> Command {
    let mut command = command(folder, args);
    command.env("CARGO_TORVYN_CACHE_DIR", cache(folder));
    command
}

/// Asserts that the command succeeds and took this many of two components from the cache, and returns what it printed.
#[track_caller]
fn assert_loaded(folder: &Path, args: &[&str], cached: usize) -> String {
    let output = with_cache(folder, args).arg("--verbose").output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("Loaded 2 components, {cached} from the compile cache")), "{said}");
    said
}

/// Asserts that a run did what it does without a cache.
#[track_caller]
fn assert_ran(folder: &Path, output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    assert_eq!(fs::read_to_string(folder.join("output.txt")).unwrap(), "one\ntwo\n");
    fs::remove_file(folder.join("output.txt")).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_start_compiles_nothing() {
    let project = project();
    let folder = project.path();
    assert_loaded(folder, &["run", "--no-cache"], 0);
    assert!(!cache(folder).exists(), "`--no-cache` does not write it");
    assert_loaded(folder, &["run"], 0);
    assert_eq!(fs::read_dir(cache(folder)).unwrap().count(), 3, "a key and two entries");
    let said = assert_loaded(folder, &["run"], 2);
    assert!(!said.contains("warning") && !said.contains("Compiling"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("output.txt")).unwrap(), "one\ntwo\n");
    assert_loaded(folder, &["test"], 2);
    assert_loaded(folder, &["run", "--no-cache"], 0);
    // Another component compiles, and the one that is as before does not.
    let mut bytes = fs::read(folder.join(STAGES[0])).unwrap();
    bytes.extend([0, 2, 1, b'x']);
    fs::write(folder.join(STAGES[0]), bytes).unwrap();
    assert_loaded(folder, &["run"], 1);
    assert_loaded(folder, &["run"], 2);
    // Machine code that somebody has changed compiles again.
    for entry in fs::read_dir(cache(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "machine-code") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }
    assert_loaded(folder, &["test"], 0);
    assert_loaded(folder, &["test"], 2);
}

#[test]
fn a_cache_that_cannot_be_used_is_a_warning() {
    let project = project();
    let folder = project.path();
    assert_loaded(folder, &["run"], 0);
    let key = cache(folder).join("compile-cache.key");
    for (path, mode) in [(&cache(folder), 0o777), (&key, 0o644)] {
        let before = fs::metadata(path).unwrap().permissions();
        set_mode(path, mode);
        let output = with_cache(folder, &["run"]).output().unwrap();
        assert_ran(folder, &output);
        let said = said(&output);
        let warning = format!("warning: the compile cache `{}` is not used: ", cache(folder).display());
        assert!(said.contains(&warning) && said.contains("other users can use it: its mode must be"), "{said}");
        fs::set_permissions(path, before).unwrap();
    }
    assert_loaded(folder, &["run"], 2);
    fs::write(folder.join("file"), "").unwrap();
    for unusable in ["/proc/cache", "file", "file/cache"] {
        let output = with_cache(folder, &["run"]).env("CARGO_TORVYN_CACHE_DIR", unusable).output().unwrap();
        assert_ran(folder, &output);
        assert!(said(&output).contains(&format!("warning: the compile cache `{unusable}` is not used: ")));
    }
}

/// As on a full disk: no file can be larger than 4 KiB.
#[test]
fn a_full_disk_is_a_warning() {
    let project = project();
    let folder = project.path();
    for _ in 0..2 {
        let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" torvyn run";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_cargo-torvyn")]).current_dir(folder);
        let output = shell.env("CARGO_TORVYN_CACHE_DIR", cache(folder)).output().unwrap();
        assert_ran(folder, &output);
        assert!(said(&output).contains("warning: could not write to the compile cache: "), "{}", said(&output));
        assert_eq!(fs::read_dir(cache(folder)).unwrap().count(), 1, "only the key, and no part of an entry");
    }
    assert_loaded(folder, &["run"], 0);
    assert_loaded(folder, &["run"], 2);
}

#[test]
fn two_processes_at_once_share_the_cache() {
    let project = project();
    let folder = project.path();
    let outputs = ["1", "2", "3"].map(|name| format!("{name}.txt"));
    let start = |output: &String| with_cache(folder, &["run", "--output", output, "--quiet"]).spawn().unwrap();
    let runs = outputs.each_ref().map(start);
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for output in outputs {
        assert_eq!(fs::read_to_string(folder.join(output)).unwrap(), "one\ntwo\n");
    }
    assert_loaded(folder, &["run"], 2);
    assert_eq!(fs::read_dir(cache(folder)).unwrap().count(), 3, "nothing is left over");
}

#[test]
fn the_cache_has_a_place_and_can_be_cleaned() {
    let project = project();
    let folder = project.path();
    let clean = || said(&with_cache(folder, &["cache", "clean"]).output().unwrap());
    assert!(clean().contains("Removed 0 files, 0 bytes, from "));
    assert_loaded(folder, &["run"], 0);
    let printed = clean();
    assert!(printed.contains("Removed 3 files, ") && printed.contains(&*cache(folder).to_string_lossy()), "{printed}");
    assert_eq!(fs::read_dir(cache(folder)).unwrap().count(), 0);
    assert_loaded(folder, &["run"], 0);

    let place = |variables: &[(&str, &str)]| {
        let mut command = command(folder, &["cache", "dir"]);
        command.env_remove("CARGO_TORVYN_CACHE_DIR").env_remove("XDG_CACHE_HOME").envs(variables.iter().copied());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(place(&[("HOME", "/home/me")]), "/home/me/.cache/cargo-torvyn\n");
    assert_eq!(place(&[("HOME", "/home/me"), ("XDG_CACHE_HOME", "/caches")]), "/caches/cargo-torvyn\n");
    assert_eq!(place(&[("HOME", "/home/me"), ("XDG_CACHE_HOME", "no")]), "/home/me/.cache/cargo-torvyn\n");
    assert_eq!(place(&[("CARGO_TORVYN_CACHE_DIR", "/mine")]), "/mine\n");
    let none = command(folder, &["cache", "clean"]).env("CARGO_TORVYN_CACHE_DIR", "").output().unwrap();
    assert_eq!(none.status.code(), Some(101));
    assert!(said(&none).contains("the compile cache is off"));
}
