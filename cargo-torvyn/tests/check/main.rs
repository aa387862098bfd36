//! `cargo torvyn check`, as a user runs it: projects of the templates, edited until something is wrong with them.
//!
//! Tests that need no build work on copies of one project, in parallel. The others work on the project itself, one
//! after another, so that cargo rebuilds only what a test has edited.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

mod baseline;
mod built;
mod contract;
mod files;
mod formats;
mod holding;
mod levels;
mod pipelines;
mod place;
mod wit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cli_tests::{command, said, target, torvyn};
use serde_json::Value;

/// A project of the template `pipeline`, as it was created.
fn scaffolded() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-scaffolded");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        let new = torvyn(&folder, &["new", "logs", "--template", "pipeline", "--vcs", "none"]);
        assert!(new.status.success(), "{}", said(&new));
        folder.join("logs")
    })
}

/// A project that a test may change.
struct Project {
    root: PathBuf,
    /// What must live as long as the project.
    _held: (Option<tempfile::TempDir>, Option<MutexGuard<'static, ()>>),
}

impl Project {
    /// A copy, for checks without a build.
    fn copy() -> Project {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        restore(scaffolded(), &root);
        Project { root, _held: (Some(folder), None) }
    }

    /// The project that is built, in its original state, for this test alone.
    fn built() -> Project {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-built");
        fs::create_dir_all(&root).unwrap();
        let root = root.canonicalize().unwrap();
        restore(scaffolded(), &root);
        Project { root, _held: (None, Some(alone)) }
    }

    /// Replaces a text that must be in a file.
    #[track_caller]
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root.join(file), text).unwrap();
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    /// Runs, and asserts the exit code.
    #[track_caller]
    fn run(&self, args: &str, code: i32) -> Output {
        let output = torvyn(&self.root, &args.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(code), "{args}: {}", said(&output));
        output
    }

    /// The output of this program, without that of cargo, for this exit code.
    #[track_caller]
    fn told(&self, args: &str, code: i32) -> String {
        told(&self.run(args, code))
    }

    /// The lines of JSON. Asserts that each is JSON.
    #[track_caller]
    fn json(&self, args: &str, code: i32) -> Vec<Value> {
        let output = self.run(&format!("{args} --message-format json"), code);
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The line of JSON for a stage.
    #[track_caller]
    fn verdict(&self, args: &str, package: &str) -> Value {
        let lines = self.json(args, 0);
        let of_stage = |line: &&Value| line["reason"] == "stage-verdict" && line["package"] == package;
        lines.iter().find(of_stage).unwrap_or_else(|| panic!("no verdict of {package}: {lines:?}")).clone()
    }

    /// Builds the router for a wider world than it uses.
    fn router_in_wide_world(&self, world: &str, parameter: &str) {
        self.edit("router/src/lib.rs", "Router", parameter);
        self.edit("router/Cargo.toml", "world = \"router\"", &format!("world = \"{world}\""));
    }

    /// Makes the router read every payload.
    fn router_reads(&self) {
        self.edit("router/src/lib.rs", "element.size() > 0", "!element.read()?.contains(&b'#')");
    }
}

/// Makes `to` equal to `from`, and leaves equal files alone: cargo compares the times of files.
fn restore(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(to).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if from.join(&name).exists() || name == "Cargo.lock" {
            continue;
        }
        let remove = if entry.path().is_dir() { fs::remove_dir_all } else { fs::remove_file };
        remove(entry.path()).unwrap();
    }
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            restore(&from, &to);
        } else if fs::read(&from).ok() != fs::read(&to).ok() {
            fs::copy(from, to).unwrap();
        }
    }
}

/// The text on stderr without the status lines of cargo.
fn told(output: &Output) -> String {
    const CARGO: &[&str] =
        &["Updating", "Locking", "Blocking", "Downloading", "Downloaded", "Adding", "Compiling", "Finished"];
    let by_cargo = |line: &&str| line.split_whitespace().next().is_some_and(|verb| CARGO.contains(&verb));
    let said = said(output);
    assert!(!said.contains("panicked at"), "{said}");
    said.lines().filter(|line| !by_cargo(line)).map(|line| format!("{}\n", line.trim_end())).collect()
}

#[track_caller]
fn assert_has(told: &str, texts: &[&str]) {
    for text in texts {
        assert!(told.contains(text), "{text:?} is not said:\n{told}");
    }
}
