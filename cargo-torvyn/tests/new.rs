//! What `new` makes, it makes of itself alone: each template, outside this tree, is built, tested, linted and formatted
//! by plain cargo, and passes its own cases.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TARGET: &str = "wasm32-wasip2";
/// The magic number of WebAssembly, the version of the component format, and its layer.
const COMPONENT: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// One for all templates: what they depend on is built once.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects")
}

fn run(command: &mut Command) -> Output {
    command.env("CARGO_TARGET_DIR", target_dir()).env_remove("CARGO_TERM_COLOR");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn torvyn(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-torvyn"));
    command.current_dir(dir).arg("torvyn").args(args);
    command
}

fn cargo(dir: &Path, args: &[&str]) -> Output {
    run(Command::new(env!("CARGO")).current_dir(dir).args(args))
}

/// Everything that a new project owes to whoever made it; `components` are the files it builds.
fn owes(project: &Path, components: &[&str]) {
    for file in ["Cargo.toml", "Torvyn.toml", "README.md", ".gitignore", "wit/worlds.wit", "wit/guest/Cargo.toml"] {
        assert!(project.join(file).is_file(), "{file}");
    }
    cargo(project, &["build", "--release", "--target", TARGET]);
    for component in components {
        let built = target_dir().join(TARGET).join("release").join(component);
        assert_eq!(fs::read(&built).unwrap()[..8], COMPONENT, "{}", built.display());
    }
    let tested = String::from_utf8(cargo(project, &["test"]).stdout).unwrap();
    assert!(passed(&tested) >= components.len(), "{tested}");
    let said = String::from_utf8(run(&mut torvyn(project, &["test", "--locked"])).stderr).unwrap();
    assert!(said.lines().filter(|line| line.trim_start().starts_with("Pass ")).count() >= components.len(), "{said}");
    cargo(project, &["clippy", "--all-targets", "--", "-D", "warnings"]);
    cargo(project, &["fmt", "--all", "--check"]);
}

/// How many tests passed, over all the summaries that `cargo test` prints.
fn passed(output: &str) -> usize {
    let passed = |line: &str| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<usize>().ok();
    output.lines().filter_map(passed).sum()
}

fn stands_alone(template: &str) {
    let temp = tempfile::tempdir().unwrap();
    let project = temp.path().join("project");
    let name = format!("my-{template}");
    run(&mut torvyn(temp.path(), &["new", "project", "--name", &name, "--template", template]));
    run(&mut torvyn(&project, &["check"]));
    owes(&project, &[&format!("my_{template}.wasm")]);
    runs(template, &project);
}

/// Its pipeline gives what the template says, and copies what it must.
fn runs(template: &str, project: &Path) {
    let input = project.join("input.txt");
    fs::write(&input, "an ERROR\n\nfine\n").unwrap();
    let mut command = torvyn(project, &["run", "--message-format", "json"]);
    if template != "sink" {
        command.args(["--output", "out.txt"]);
    }
    let (expected, read, written) = match template {
        "source" => ("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", 0, 11),
        "router" => ("an ERROR\nfine\n", 0, 0),
        "inspector" => ("an ERROR\n", 12, 0),
        "aggregator" => ("an ERROR\n\nfine\n", 0, 0),
        "transform" => ("AN ERROR\n\nFINE\n", 12, 12),
        "sink" => ("", 0, 0),
        other => panic!("what does `{other}` do?"),
    };
    if template != "source" {
        command.arg("--input").arg(&input);
    }
    let summary = parsed(&run(&mut command).stdout);
    assert_eq!(fs::read_to_string(project.join("out.txt")).unwrap_or_default(), expected);
    let bytes = |reason: &str| summary["copies"][reason]["bytes"].as_u64().unwrap();
    assert_eq!((bytes("payload_read"), bytes("payload_write")), (read, written), "{summary}");
    assert_eq!(summary["pool"]["live_at_end"], 0);
}

#[test]
fn source() {
    stands_alone("source");
}

#[test]
fn router() {
    stands_alone("router");
}

#[test]
fn inspector() {
    stands_alone("inspector");
}

#[test]
fn aggregator() {
    stands_alone("aggregator");
}

#[test]
fn transform() {
    stands_alone("transform");
}

#[test]
fn sink() {
    stands_alone("sink");
}

/// And a stage that is made inside it joins it.
#[test]
fn pipeline() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "logs", "--template", "pipeline"]));
    let project = temp.path().join("logs");
    let stages = ["source.wasm", "router.wasm", "inspector.wasm", "transform.wasm", "sink.wasm"];
    owes(&project, &stages);

    // As cargo: all of it, or the member one stands in, or what is named.
    assert_eq!(built(&project, &["build"]), ["inspector", "router", "sink", "source", "transform"]);
    assert_eq!(built(&project.join("router"), &["build"]), ["router"]);
    assert_eq!(built(&project, &["build", "-p", "sink", "-p", "router"]), ["router", "sink"]);
    assert_eq!(built(&project, &["build", "--exclude", "source", "--locked"]).len(), 4);

    // What cannot be followed to its end is not accused.
    let lints = ["-D", "whole-read", "-D", "read-only-to-forward"];
    run(&mut torvyn(&project, &[["check", "--built"].as_slice(), &lints].concat()));

    run(&mut torvyn(&project, &["new", "stages/late", "-t", "router", "--name", "late-stage"]));
    assert!(!project.join("stages/late/wit").exists());
    run(&mut torvyn(&project, &["new", "../beside", "-t", "router"]));
    assert!(temp.path().join("beside/wit").exists());
    owes(&project, &[stages.as_slice(), &["late_stage.wasm"]].concat());
}

/// The packages that `build` says it built.
fn built(dir: &Path, args: &[&str]) -> Vec<String> {
    let said = String::from_utf8(run(&mut torvyn(dir, args)).stderr).unwrap();
    let package = |line: &str| Some(line.trim_start().strip_prefix("Component `")?.split('`').next()?.to_owned());
    said.lines().filter_map(package).collect()
}

/// Three reads that could be smaller, and two that could be none, where the template has one that could not.
#[test]
fn check_finds_reads_in_vain() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "in-vain", "--template", "inspector", "--vcs", "none"]));
    let project = temp.path().join("in-vain");
    let whole = "\"whole-read\"";
    for (body, code, help) in [
        ("if element.read()?.starts_with(b\"\\x1f\\x8b\") { out.forward(); }", whole, "read_range(0, 2)"),
        ("let payload = element.read()?; if payload[0] == 1 { out.forward(); }", whole, "read_range(0, 1)"),
        (
            "let payload = element.read()?;
            if u32::from_le_bytes(payload[..4].try_into().unwrap()) > 1 { out.forward(); }",
            whole,
            "read_range(0, 4)",
        ),
        ("let _payload = element.read()?; out.forward();", "\"read-only-to-forward\"", "the world `router`"),
        ("if !element.read()?.is_empty() { out.forward(); }", "\"read-only-to-forward\"", "the world `router`"),
    ] {
        let stage = format!(
            "use torvyn_guest::{{Config, Element, Failure, Inspector, Output, Processor, Stage}};
struct InVain;
impl Stage for InVain {{
    fn new(_: &Config) -> Result<Self, Failure> {{ Ok(InVain) }}
}}
impl Processor<Inspector> for InVain {{
    fn process(&mut self, element: Element<'_, Inspector>, out: &mut Output<'_, Inspector>) -> Result<(), Failure> {{
        {body}
        Ok(())
    }}
}}
torvyn_guest::export!(InVain: Processor<Inspector>);
"
        );
        fs::write(project.join("src/lib.rs"), stage).unwrap();
        let said = run(&mut torvyn(&project, &["check", "--built", "--message-format", "json"])).stdout;
        let said = String::from_utf8(said).unwrap();
        let finding = said.lines().find(|line| line.contains(code)).unwrap_or_else(|| panic!("{body}: {said}"));
        assert!(finding.contains(help), "{finding}");
        let finding = parsed(finding.as_bytes());
        let label = &finding["message"]["spans"][0];
        assert_eq!(
            (label["file_name"].as_str(), label["line_start"].as_u64()),
            (Some("src/lib.rs"), Some(8)),
            "{finding}"
        );
    }
}

/// Every template is in a test above.
#[test]
fn templates_are_listed() {
    let list = String::from_utf8(run(&mut torvyn(Path::new("."), &["new", "--list"])).stdout).unwrap();
    let names: Vec<_> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["aggregator", "inspector", "pipeline", "router", "sink", "source", "transform"]);
}

#[test]
fn build_says_what_it_built() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "my-filter", "--template", "router", "--vcs", "none"]));
    let project = temp.path().join("my-filter");
    assert!(!project.join(".git").exists());

    let said = run(&mut torvyn(&project, &["build"]));
    assert!(said.stdout.is_empty());
    let said = String::from_utf8(said.stderr).unwrap();
    let line = "   Component `my-filter`: processor, world router, handle-pass, ";
    assert!(said.lines().any(|said| said.starts_with(line)), "{said}");

    let printed = run(&mut torvyn(&project, &["build", "--message-format", "json"])).stdout;
    let messages: Vec<serde_json::Value> =
        printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parsed).collect();
    assert!(messages.iter().any(|message| message["reason"] == "build-finished"));
    let [.., built, summary] = &messages[..] else { panic!("{printed:?}") };
    assert_eq!((&summary["reason"], &summary["components"]), (&"build-summary".into(), &1.into()));
    assert_eq!((&built["reason"], &built["package"]), (&"component-built".into(), &"my-filter".into()));
    let path = built["path"].as_str().unwrap();
    assert_eq!(built["size"].as_u64().unwrap(), fs::metadata(path).unwrap().len());
    assert_eq!(built["fresh"], true);
    assert_eq!((&built["kind"], &built["world"]), (&"processor".into(), &"router".into()));
    assert_eq!(built["verdict"], "handle-pass");
}

fn parsed(line: &[u8]) -> serde_json::Value {
    serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
}

/// What cannot be done ends with its own exit code and a line that says why; nothing is written and nothing panics.
#[test]
fn what_cannot_be_done_is_said() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("mine")).unwrap();
    fs::write(temp.path().join("mine/notes"), "mine").unwrap();
    let here = temp.path().canonicalize().unwrap();
    let nowhere = format!("error: could not find `Cargo.toml` in `{}` or any folder above it", here.display());
    for (args, exit, line) in [
        (&["new", "logs"][..], 2, "error: the template is missing"),
        (&["new"], 2, "error: the name of the project is missing"),
        (&["new", "logs", "-t", "ruoter"], 2, "error: unknown template `ruoter`"),
        (&["new", "a b", "-t", "router"], 2, "error: invalid project name `a b`: ` ` cannot be in it"),
        (&["new", "", "-t", "router"], 2, "error: a value is required for '[NAME]' but none was supplied"),
        (&["new", "..", "-t", "router"], 2, "error: `..` does not say how the project is called"),
        (&["new", "x", "--name", "fn", "-t", "router"], 2, "error: invalid project name `fn`: it is a keyword of Rust"),
        (&["new", "mine", "-t", "router"], 101, "error: destination `mine` already exists"),
        (&["new", "mine/notes/x", "-t", "router"], 101, "error: could not look at `mine/notes/x`"),
        (&["build"], 101, &nowhere),
        (&["nwe"], 2, "error: unrecognized subcommand 'nwe'"),
    ] {
        let output = torvyn(temp.path(), args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {said}");
        assert_eq!(said.lines().next(), Some(line), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
    assert_eq!(fs::read_to_string(temp.path().join("mine/notes")).unwrap(), "mine");
}
