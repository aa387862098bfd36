//! Findings that only a run can show, printed after the run report: stages that write their input unchanged or read
//! without need.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use cli_tests::{said, torvyn};
use serde_json::Value;

const PIPELINES: &str = r#"
[pipeline.echo]
input = "in.txt"
stages = ["transform"]
output = "out.txt"

[pipeline.find]
input = "in.txt"
output = "out.txt"
stages = [{ name = "find", component = "inspector", config = { needle = "0" } }]
"#;

/// A project whose transform writes its input unchanged, and whose inspector looks for a needle.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Project {
        let folder = tempfile::tempdir().unwrap();
        let new = torvyn(folder.path(), &["new", "logs", "--template", "pipeline", "--vcs", "none"]);
        assert!(new.status.success(), "{}", said(&new));
        let project = Project { folder };
        project.write("Torvyn.toml", PIPELINES);
        project.write("transform/src/lib.rs", include_str!("../../tests/programs/examples/echo.rs"));
        project
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).unwrap();
    }

    /// Runs a pipeline on these lines. Asserts the exit code, and that the output equals the input.
    #[track_caller]
    fn run(&self, pipeline: &str, lines: &str, code: i32) -> Output {
        self.write("in.txt", lines);
        let output = torvyn(&self.path(), &["run", pipeline, "--message-format", "json"]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert_eq!(fs::read_to_string(self.path().join("out.txt")).unwrap(), lines);
        output
    }

    /// Sets the level of a lint for a package.
    fn level(&self, package: &str, lint: &str, level: &str) {
        let file = self.path().join(package).join("Cargo.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("\n[package.metadata.torvyn.lints]").next().unwrap();
        fs::write(&file, format!("{text}\n[package.metadata.torvyn.lints]\n{lint} = \"{level}\"\n")).unwrap();
    }
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("{}\n", 10 * number)).collect()
}

/// One project, used by one test after another, because all components are in one place.
#[test]
fn what_was_measured_is_told_at_the_level_of_its_lint() {
    let project = Project::new();
    writes_unchanged(&project);
    reads_only_to_forward(&project);
    pool_too_small(&project);
}

fn writes_unchanged(project: &Project) {
    let warned = project.run("echo", &lines(10..2010), 0);
    let expected = r#"
warning[write-unchanged]: in this run, `transform` wrote 1,024 payloads unchanged
 --> Torvyn.toml:4:11
  |
4 | stages = ["transform"]
  |           ^^^^^^^^^^^ 17.4 KiB copied here
  |
  = note: only these were compared: it wrote 2,000 payloads in all
  = help: forward them by handle with `out.forward()`, for which no payload byte crosses the boundary
"#;
    assert!(said(&warned).contains(expected), "{}", said(&warned));
    let summary: Value = serde_json::from_slice(&warned.stdout).unwrap();
    assert_eq!(summary["stages"][0]["writes_unchanged"], 1024);

    // Too few to conclude anything, some of them empty.
    let few = project.run("echo", &(lines(0..15) + "\n\n\n"), 0);
    assert!(!said(&few).contains("write-unchanged"), "{}", said(&few));
    let enough = project.run("echo", &(lines(0..16) + "\n\n\n"), 0);
    assert!(said(&enough).contains("in this run, `transform` wrote 16 payloads unchanged"), "{}", said(&enough));
    assert!(!said(&enough).contains("compared"), "{}", said(&enough));

    project.level("transform", "write-unchanged", "deny");
    let denied = said(&project.run("echo", &lines(0..16), 100));
    assert!(denied.contains("error[write-unchanged]"), "{denied}");
    assert!(denied.contains("`write-unchanged` is set to `deny` in transform/Cargo.toml"), "{denied}");
    project.level("transform", "write-unchanged", "allow");
    let allowed = said(&project.run("echo", &lines(0..16), 0));
    assert!(!allowed.contains("write-unchanged"), "{allowed}");
}

fn pool_too_small(project: &Project) {
    project.level("transform", "write-unchanged", "allow");
    let kept = said(&project.run("echo", &lines(0..100_000), 0));
    assert!(!kept.contains("warning"), "{kept}");
    let pool = "\n[runtime.pool]\nkeep = \"0B\"\n";
    project.write("Torvyn.toml", &format!("{PIPELINES}{pool}"));
    let freed = said(&project.run("echo", &lines(0..100_000), 0));
    for text in [
        "blocks of `4KiB` were freed for lack of room and allocated again",
        " --> Torvyn.toml:12:1",
        "= note: the pool reuse rate was 0.0 %; with room for all blocks held at once, it would have been 9",
        "= help: write `\"4KiB\" = \"",
    ] {
        assert!(freed.contains(text), "{text}:\n{freed}");
    }
    // Typing what the message suggests has the promised effect.
    let help = freed.split("help: write `").nth(1).unwrap().split('`').next().unwrap();
    project.write("Torvyn.toml", &format!("{PIPELINES}{pool}[runtime.pool.classes]\n{help}\n"));
    let enough = said(&project.run("echo", &lines(0..100_000), 0));
    assert!(!enough.contains("pool-too-small"), "{enough}");
    // A few blocks are no reason to keep more.
    project.write("Torvyn.toml", &format!("{PIPELINES}{pool}"));
    let few = said(&project.run("echo", &lines(0..100), 0));
    assert!(!few.contains("pool-too-small"), "{few}");
}

fn reads_only_to_forward(project: &Project) {
    let warned = said(&project.run("find", &lines(0..16), 0));
    for text in [
        "warning[read-only-to-forward]: in this run, `find` read 16 payloads in full and forwarded every element",
        "Torvyn.toml:10:40",
        "37 B copied here",
        "help: decide by metadata, or remove the read: the world `router` is enough",
    ] {
        assert!(warned.contains(text), "{text}:\n{warned}");
    }
    let few = said(&project.run("find", &lines(0..15), 0));
    assert!(!few.contains("read-only-to-forward"), "{few}");

    // The bytes that it read decided something.
    project.write("in.txt", &(lines(0..100) + "x\n"));
    let dropped = torvyn(&project.path(), &["run", "find"]);
    assert_eq!(dropped.status.code(), Some(0), "{}", said(&dropped));
    assert!(!said(&dropped).contains("read-only-to-forward"), "{}", said(&dropped));

    project.level("inspector", "read-only-to-forward", "deny");
    let denied = said(&project.run("find", &lines(0..16), 100));
    assert!(denied.contains("error[read-only-to-forward]"), "{denied}");
}
