//! What `new` creates is self-contained: plain cargo builds, tests, lints and formats each template outside this
//! repository, and its cases pass.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TARGET: &str = "wasm32-wasip2";
/// The magic number of WebAssembly, the version of the component format, and its layer.
const COMPONENT: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// One for all templates, so that their dependencies are built once.
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

/// Everything that holds for a new project; `components` are the files that it builds.
fn owes(project: &Path, components: &[&str]) {
    for file in ["Cargo.toml", "Torvyn.toml", "README.md", ".gitignore", "wit/worlds.wit", "wit/Cargo.toml"] {
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

/// Packs `torvyn-guest` as `cargo publish` does, and unpacks it to `folder`.
fn unpack_published_library(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let packed = tempfile::tempdir().unwrap();
    let mut package = Command::new(env!("CARGO"));
    package.current_dir(root).args(["package", "--package", "torvyn-guest", "--target-dir"]).arg(packed.path());
    let output = package.args(["--no-verify", "--allow-dirty", "--locked", "--offline"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = format!("torvyn-guest-{}.crate", env!("CARGO_PKG_VERSION"));
    fs::create_dir(folder).unwrap();
    let mut unpack = Command::new("tar");
    unpack.args(["--extract", "--gzip", "--strip-components", "1", "--directory"]).arg(folder);
    assert!(unpack.arg("--file").arg(packed.path().join("package").join(file)).status().unwrap().success());
}

#[test]
fn a_project_can_depend_on_the_published_library() {
    let temp = tempfile::tempdir().unwrap();
    let (project, library) = (temp.path().join("published"), temp.path().join("torvyn-guest"));
    unpack_published_library(&library);
    run(&mut torvyn(temp.path(), &["new", "published", "--template", "transform"]));
    fs::remove_dir_all(project.join("wit/src")).unwrap();
    fs::remove_file(project.join("wit/Cargo.toml")).unwrap();
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    let path = format!("path = {:?}", library.to_str().unwrap());
    fs::write(project.join("Cargo.toml"), manifest.replace("path = \"wit\"", &path)).unwrap();

    run(&mut torvyn(&project, &["check", "--built"]));
    runs("transform", &project);

    let wit = project.join("wit/payload-read.wit");
    let contract = fs::read_to_string(&wit).unwrap();
    fs::write(&wit, contract.replace("index: u32", "index: u64")).unwrap();
    let refused = torvyn(&project, &["check"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(100));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("error[changed-contract]"));
}

/// Its pipeline writes what the template promises, with the expected copies.
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
        // The cases of any other say what it does.
        _ => return,
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

/// A stage that is created inside a pipeline project becomes a member.
#[test]
fn pipeline() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "logs", "--template", "pipeline"]));
    let project = temp.path().join("logs");
    let stages = ["source.wasm", "router.wasm", "inspector.wasm", "transform.wasm", "sink.wasm"];
    owes(&project, &stages);

    // As with cargo: all packages, the one of the current folder, or those that are named.
    assert_eq!(built(&project, &["build"]), ["inspector", "router", "sink", "source", "transform"]);
    assert_eq!(built(&project.join("router"), &["build"]), ["router"]);
    assert_eq!(built(&project, &["build", "-p", "sink", "-p", "router"]), ["router", "sink"]);
    assert_eq!(built(&project, &["build", "--exclude", "source", "--locked"]).len(), 4);

    // Code that cannot be analysed completely causes no finding.
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

/// Three reads that could be smaller, and two that are unnecessary.
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

/// Every template has a test above.
#[test]
fn every_other_template_stands_alone() {
    let list = String::from_utf8(run(&mut torvyn(Path::new("."), &["new", "--list"])).stdout).unwrap();
    let names: Vec<_> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let tested = ["aggregator", "inspector", "pipeline", "router", "sink", "source", "transform"];
    assert!(tested.iter().all(|name| names.contains(name)), "{list}");
    names.into_iter().filter(|name| !tested.contains(name)).for_each(stands_alone);
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
    // The other tests build other projects in the same folder, which may have replaced its dependencies.
    assert!(built["fresh"].is_boolean());
    assert_eq!((&built["kind"], &built["world"]), (&"processor".into(), &"router".into()));
    assert_eq!(built["verdict"], "handle-pass");
}

fn parsed(line: &[u8]) -> serde_json::Value {
    serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
}

/// A failure has its own exit code and a line that says why; nothing is written and nothing panics.
#[test]
fn what_cannot_be_done_is_said() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("mine")).unwrap();
    fs::write(temp.path().join("mine/notes"), "mine").unwrap();
    let here = temp.path().canonicalize().unwrap();
    let nowhere = format!("error: could not find `Cargo.toml` in `{}` or any folder above it", here.display());
    for (args, exit, line) in [
        (&["new", "logs"][..], 2, "error: no template given"),
        (&["new"], 2, "error: no project name given"),
        (&["new", "logs", "-t", "ruoter"], 2, "error: unknown template `ruoter`"),
        (&["new", "a b", "-t", "router"], 2, "error: invalid project name `a b`: ` ` is not allowed"),
        (&["new", "", "-t", "router"], 2, "error: a value is required for '[NAME]' but none was supplied"),
        (&["new", "..", "-t", "router"], 2, "error: cannot derive a project name from `..`"),
        (&["new", "x", "--name", "fn", "-t", "router"], 2, "error: invalid project name `fn`: it is a Rust keyword"),
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

/// All files below a folder, without those of git, and their contents.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name() != Some(".git".as_ref()) {
                // An empty folder counts as left behind too.
                files.push((path.clone(), Vec::new()));
                folders.push(path);
            } else if path.is_file() {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// A project in which every later command would fail is refused before any file is written.
#[test]
fn what_would_collide_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "logs", "--template", "pipeline", "--vcs", "git"]));
    let project = temp.path().join("logs");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    fs::write(project.join("Cargo.toml"), manifest.replace("\"sink\"]", "\"sink\", \"plain\", \"apps/*\"]")).unwrap();
    // A package whose library file has another name, a package of a program, and a dependency in another folder.
    fs::create_dir_all(project.join("plain/src")).unwrap();
    let plain = "[package]\nname = \"plain\"\n[lib]\nname = \"odd_one\"\ncrate-type = [\"cdylib\"]\n\
                 [[bin]]\nname = \"tool\"\npath = \"src/lib.rs\"\n\
                 [dependencies]\nelsewhere = { package = \"common\", path = \"../../common\" }\n";
    fs::write(project.join("plain/Cargo.toml"), plain).unwrap();
    fs::write(project.join("plain/src/lib.rs"), "fn main() {}\n").unwrap();
    fs::create_dir_all(temp.path().join("common/src")).unwrap();
    fs::write(temp.path().join("common/Cargo.toml"), "[package]\nname = \"common\"\n").unwrap();
    fs::write(temp.path().join("common/src/lib.rs"), "").unwrap();
    // The first package that matches the pattern.
    run(&mut torvyn(&project, &["new", "apps/first", "-t", "router"]));
    fs::write(project.join(".gitignore"), "/target\nout/\n").unwrap();

    let before = contents(temp.path());
    let device = "cannot create the folder `nul.d`: Windows keeps this name for a device";
    let same = "cannot create the folder `Router`: `router` is the same folder on Windows and macOS";
    let artifact = |name: &str, file: &str, other: &str, manifest: &str| {
        format!("package `{name}` would build the file `{file}.wasm`, as `{other}` does: `{manifest}/Cargo.toml`")
    };
    let whole = project.canonicalize().unwrap();
    let common = whole.with_file_name("common/Cargo.toml");
    let dependency = format!("the workspace already has a dependency `common`: `{}`", common.display());
    for (path, more, message) in [
        (
            "second",
            &["--name", "router"][..],
            "the workspace already has a package `router`: `router/Cargo.toml`".into(),
        ),
        ("second", &["--name", "Router"], artifact("Router", "router", "router", "router")),
        ("second", &["--name", "odd-one"], artifact("odd-one", "odd_one", "plain", "plain")),
        ("tool", &[], artifact("tool", "tool", "plain", "plain")),
        ("common", &[], dependency),
        ("Router", &["--name", "other"], same.into()),
        ("nul.d", &["--name", "other"], device.into()),
        ("a?", &["--name", "other"], "cannot create the folder `a?`: Windows does not allow `?` in a name".into()),
        ("a\\b", &["--name", "other"], "cannot create the folder `a\\b`: Windows does not allow `\\` in a name".into()),
        ("a\nb", &["--name", "other"], "cannot create the folder `a\\nb`: it has invisible characters".into()),
        ("\u{202e}b", &["--name", "b"], "cannot create the folder `\\u{202e}b`: it has invisible characters".into()),
        (
            "a[b]",
            &["--name", "other"],
            "cannot create the folder `a[b]`: `[` and `]` are patterns in the members of a workspace".into(),
        ),
        ("target/x", &[], "`target/x` is in `target`, which tools like `cargo clean` delete".into()),
        ("out/x", &[], "git ignores `out/x`".into()),
        ("out", &["--name", "other"], "git ignores `out`".into()),
        (".git/x", &[], "`.git/x` is in `.git`, where git keeps its own files".into()),
        ("wit/x", &[], format!("`wit/x` is excluded from the workspace `{}`", whole.display())),
    ] {
        let said = refused(&project, &[&["new", path, "-t", "router"], more].concat());
        assert_eq!(said.lines().next(), Some(&*format!("error: {message}")), "{said}");
        assert!(said.contains("\nhelp: "), "{said}");
        assert_eq!(contents(temp.path()), before, "{path} {more:?}");
    }
    // A workspace that is a member of an enclosing workspace.
    let said = refused(&project, &["new", "apps/inner", "-t", "pipeline"]);
    let message =
        format!("`apps/inner` would be a member of two workspaces: `{}` and the new project", whole.display());
    assert_eq!(said.lines().next(), Some(&*format!("error: {message}")));
    assert!(said.contains("add `apps/inner` to `exclude` in `Cargo.toml`"), "{said}");
    assert_eq!(contents(temp.path()), before);

    // What is requested explicitly is created, and so is what only looks similar.
    run(&mut torvyn(&project, &["new", "out/x", "-t", "router", "--vcs", "none"]));
    run(&mut torvyn(&project, &["new", "router2", "-t", "router"]));
    run(&mut torvyn(&project, &["new", "beside/inner", "-t", "pipeline"]));
    run(&mut torvyn(&project, &["check"]));
}

/// A workspace that cargo cannot load gets no member.
#[test]
fn several_that_join_a_workspace_at_once_are_all_members() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "all", "--template", "pipeline", "--vcs", "none"]));
    let root = temp.path().join("all");
    let names: Vec<_> = (0..8).map(|number| format!("joins-{number}")).collect();
    let begin = |name: &String| torvyn(&root, &["new", name, "--template", "router"]).spawn().unwrap();
    let begun: Vec<_> = names.iter().map(begin).collect();
    for mut new in begun {
        assert!(new.wait().unwrap().success());
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("\"{name}\"")), "{manifest}");
    }
}

#[test]
fn a_broken_workspace_is_not_joined() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "logs", "--template", "pipeline", "--vcs", "none"]));
    let project = temp.path().join("logs");
    fs::write(project.join("sink/Cargo.toml"), "[package]\nnam = \"sink\"\n").unwrap();
    let before = contents(temp.path());
    let said = refused(&project, &["new", "second", "-t", "router"]);
    assert!(said.starts_with("error: could not load the workspace `"), "{said}");
    assert!(said.contains("sink/Cargo.toml"), "{said}");
    assert_eq!(contents(temp.path()), before);
}

/// The output of a command that fails.
fn refused(dir: &Path, args: &[&str]) -> String {
    let output = torvyn(dir, args).env_remove("CARGO_TARGET_DIR").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(101), "{args:?}: {said}");
    said
}

/// If the target is missing, nothing is downloaded where the network must not be used, whichever setting forbids it.
#[test]
fn what_is_offline_downloads_no_target() {
    let temp = tempfile::tempdir().unwrap();
    run(&mut torvyn(temp.path(), &["new", "lone", "--template", "router", "--vcs", "none"]));
    let project = temp.path().join("lone");
    let bin = temp.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    // A compiler without the target, and a rustup that leaves a mark when it is asked to add the target.
    let rustc = program("rustc", &format!("echo {}", temp.path().display()));
    let mark = temp.path().join("mark");
    program("rustup", &format!("[ \"$1\" = target ] && touch {}; exit 0", mark.display()));
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let build = |args: &[&str], offline: Option<&str>| {
        let mut command = torvyn(&project, &[&["build"], args].concat());
        command.env("RUSTC", &rustc).env("PATH", &path).env_remove("CARGO_NET_OFFLINE");
        offline.into_iter().for_each(|offline| _ = command.env("CARGO_NET_OFFLINE", offline));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(96), "{said}");
        said
    };
    let forbids = |by: &str| {
        format!(
            "error: the target wasm32-wasip2 is not installed, and {by} forbids downloading it\n\
             help: type `rustup target add wasm32-wasip2` while online\n"
        )
    };
    assert_eq!(build(&["--offline"], None), forbids("`--offline`"));
    assert_eq!(build(&["--frozen"], None), forbids("`--frozen`"));
    assert_eq!(build(&[], Some("true")), forbids("`CARGO_NET_OFFLINE`"));
    fs::create_dir(temp.path().join(".cargo")).unwrap();
    fs::write(temp.path().join(".cargo/config.toml"), "[net]\noffline = true\n").unwrap();
    assert_eq!(build(&[], None), forbids("`net.offline` in cargo's configuration"));
    assert!(!mark.exists());
    assert_eq!(build(&[], Some("1")), forbids("`CARGO_NET_OFFLINE`"));
    // Included files count too; the last one has precedence.
    let config = |name: &str, text: &str| fs::write(temp.path().join(".cargo").join(name), text).unwrap();
    config("config.toml", "include = [\"on.toml\", { path = \"deep.toml\" }]\n");
    config("on.toml", "[net]\noffline = false\n");
    config("deep.toml", "include = [\"off.toml\"]\n");
    config("off.toml", "[net]\noffline = true\n");
    assert_eq!(build(&[], None), forbids("`net.offline` in cargo's configuration"));
    assert!(!mark.exists());
    // A nearer file and the environment override it.
    assert!(build(&[], Some("false")).contains("could not be installed"));
    assert!(mark.exists());
}
