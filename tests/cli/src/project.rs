//! A project whose components are built once for all tests of a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::program::{folder_of_tests, said, target, torvyn};

/// Made of the template `pipeline`. A stage that goes wrong on demand is in place of its inspector.
pub fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let folder = folder_of_tests("project");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        let new = torvyn(&folder, &["new", "logs", "--template", "pipeline", "--vcs", "none"]);
        assert!(new.status.success(), "{}", said(&new));
        let project = folder.join("logs");
        let faulty = include_str!("../../programs/examples/faulty.rs");
        fs::write(project.join("inspector/src/lib.rs"), faulty).unwrap();
        let build = torvyn(&project, &["build"]);
        assert!(build.status.success(), "{}", said(&build));
        project
    })
}

/// A folder with the manifest `text`, whose components are those of the project.
pub fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    project();
    let release = target().join("wasm32-wasip2/release");
    let text = text.replace("COMPONENTS", release.to_str().unwrap());
    fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
    folder
}

/// A manifest whose stage goes wrong like this in this call.
pub fn faulty(how: &str, at: &str) -> String {
    format!(
        r#"
[pipeline.main]
input = "input.txt"
output = "output.txt"
[[pipeline.main.stages]]
name = "faulty"
component = "COMPONENTS/inspector.wasm"
config = {{ how = "{how}", at = "{at}" }}
limits = {{ memory = "8MiB", time = "200ms" }}
"#
    )
}

/// How and where [`faulty`] goes wrong, the code of the failure, and what people are told.
pub const FAULTS: [(&str, &str, &str, &str); 6] = [
    ("trap", "process", "stage-trap", "`unreachable` instruction executed"),
    ("loop", "process", "stage-timed-out", "exceeded its time limit of 200 ms (`limits.time`)"),
    ("grow", "process", "stage-out-of-memory", "exceeded its memory limit of 8 MiB (`limits.memory`)"),
    ("fail", "process", "stage-failed", "invalid-input: told to fail in process"),
    ("fail", "init", "stage-failed", "invalid-input: told to fail in init"),
    ("trap", "teardown", "stage-trap", "`unreachable` instruction executed"),
];

/// A folder with a manifest, and an input at whose last line [`faulty`] goes wrong.
pub fn folder_with_input(text: &str) -> tempfile::TempDir {
    let folder = folder(text);
    fs::write(folder.path().join("input.txt"), "fine\n".repeat(1000) + "poison\n").unwrap();
    folder
}
