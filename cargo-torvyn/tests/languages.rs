//! Stages that are written without `torvyn-guest`, from `tests/languages`: a router, a transform and a sink in each
//! language. They are built if the tools of the language are installed. They pass the cases of the templates and cases
//! about failures, and the verdicts of `check` are correct. If the tools are missing, the test says so and passes.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_tests::{command, said, target, torvyn};
use serde_json::Value;

/// The stages of a language, each with the world it is built for and the template whose cases it must pass.
const STAGES: [(&str, &str, &str); 3] = [
    ("router", "router", include_str!("../templates/router/project/Torvyn.toml.hbs")),
    ("transform", "transform", include_str!("../templates/transform/project/Torvyn.toml.hbs")),
    ("sink", "metadata-sink", include_str!("../templates/sink/project/Torvyn.toml.hbs")),
];

/// How a transform handles elements that it rejects, and refusals of the host.
const FAILURES: &str = r#"
[pipeline.skip]
input = "-"
output = "-"
stages = [{ component = "transform.wasm", on-failure = "skip"LIMITS }]

[[test]]
name = "it fails at the element that it refuses"
pipeline = "transform"
input.elements = ["one", "two", { hex = "00" }, "three"]
fails = { stage = "transform", text = "it has a NUL byte" }

[[test]]
name = "an element it fails at is skipped"
pipeline = "skip"
input.elements = ["one", "two", { hex = "00" }, "three"]
expect.output.lines = ["ONE", "TWO", "THREE"]
account.skipped = 1

[[test]]
name = "a failure of the host is its own"
pipeline = "transform"
input.lines = ["one", "two"]
faults = [{ stage = "transform", element = 1, fault = "allocation" }]
fails = { stage = "transform", text = "is refused payload memory" }
expect.output.lines = ["ONE"]
"#;

/// Each has its own folder, so that they can be built at the same time.
struct Language {
    name: &'static str,
    /// Further keys of the table of each stage.
    limits: &'static str,
    /// The bound on the reads of an element of the transform that its component proves.
    reads: Option<u64>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn wit() -> PathBuf {
    root().join("wit")
}

/// Prints why nothing is tested, bypassing the capture of the test runner.
fn skip(language: &str, why: &str) {
    writeln!(io::stderr(), "skipped: the stages in {language} are not built here: {why}").ok();
}

/// The path of a program, if it is installed.
fn find(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let printed = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
}

fn cargo(what: &str, manifest: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([what, "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    cargo
}

impl Language {
    fn source(&self) -> PathBuf {
        root().join("tests/languages").join(self.name)
    }

    /// A new folder for the components.
    fn folder(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages").join(self.name);
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Whether the components are built, as `router.wasm` and so on.
    fn owes(&self, folder: &Path) {
        self.check(folder);
        let limits = if self.limits.is_empty() { String::new() } else { format!(", {}", self.limits) };
        let mut manifest = String::new();
        for (stage, _, template) in STAGES {
            manifest += &template
                .replace("[pipeline.main]", &format!("[pipeline.{stage}]"))
                .replace("[[test]]", &format!("[[test]]\npipeline = \"{stage}\""))
                .replace("\"{{name}}\"", &format!("{{ component = \"{stage}.wasm\"{limits} }}"));
        }
        manifest += &FAILURES.replace("LIMITS", &limits);
        fs::write(folder.join("Torvyn.toml"), manifest).unwrap();
        let tested = torvyn(folder, &["test", "--no-fail-fast"]);
        let told = said(&tested);
        assert_eq!(tested.status.code(), Some(0), "{}: {told}", self.name);
        assert!(told.contains("6 cases: 6 passed"), "{}: {told}", self.name);
    }

    fn check(&self, folder: &Path) {
        let files = STAGES.map(|(stage, ..)| format!("{stage}.wasm"));
        let checked = command(folder, &["check", "--message-format", "json"]).args(files).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{}: {}", self.name, said(&checked));
        let lines = String::from_utf8(checked.stdout).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (stage, world, _) in STAGES {
            let file = format!("{stage}.wasm");
            let told = lines.iter().find(|line| line["reason"] == "stage-verdict" && line["package"] == file);
            let told = told.unwrap_or_else(|| panic!("{}: nothing is told of {file}: {lines:#?}", self.name));
            assert_eq!(told["world"], format!("torvyn:streaming/{world}@0.2.0"), "{}: {told}", self.name);
            if stage == "transform" {
                assert_eq!(told["verdict"], "rewrite", "{}: {told}", self.name);
                assert_eq!(told["reads"]["max"].as_u64(), self.reads, "{}: {told}", self.name);
            } else {
                // An interpreter keeps every import of its world; these worlds have none that copies.
                assert_eq!((&told["verdict"], &told["proof"]), (&"handle-pass".into(), &"component".into()), "{told}");
                assert_eq!((&told["reads"]["max"], &told["writes"]["max"]), (&0.into(), &0.into()), "{told}");
            }
        }
    }
}

#[test]
fn rust_by_the_bindings_alone() {
    let rust = Language { name: "rust", limits: "", reads: Some(1) };
    let folder = rust.folder();
    let mut cargo = cargo("build", &rust.source().join("Cargo.toml"));
    run(cargo.args(["--release", "--examples", "--target", "wasm32-wasip2", "--target-dir"]).arg(target()));
    for (stage, ..) in STAGES {
        let built = target().join("wasm32-wasip2/release/examples").join(format!("{stage}.wasm"));
        fs::copy(built, folder.join(format!("{stage}.wasm"))).unwrap();
    }
    rust.owes(&folder);
}

/// Where the distribution has the headers and libraries of wasi-libc.
const WASI_LIBC: [&str; 2] = ["/usr/include/wasm32-wasi", "/usr/lib/wasm32-wasi"];

#[test]
fn c_by_clang() {
    let c = Language { name: "c", limits: "", reads: Some(1) };
    let Some(clang) = find("clang") else { return skip("C", "there is no `clang`") };
    if find("wasm-ld").is_none() {
        return skip("C", "there is no `wasm-ld`, which comes with lld");
    }
    if !WASI_LIBC.iter().all(|folder| Path::new(folder).is_dir()) {
        return skip("C", &format!("there is no wasi-libc in {}", WASI_LIBC.join(" and ")));
    }
    if !has_builtins(&clang) {
        return skip("C", "there is no libclang_rt.builtins of clang for wasm32");
    }
    let Some(linker) = component_linker() else {
        return skip("C", "the Rust toolchain has no `wasm-component-ld`");
    };
    let folder = c.folder();
    for (stage, world, _) in STAGES {
        bindings(world, &folder);
        let name = world.replace('-', "_");
        let clang = || {
            let mut clang = Command::new(&clang);
            clang.arg("--target=wasm32-wasi").current_dir(&folder);
            clang
        };
        let sources = [c.source().join(format!("{stage}.c")), folder.join(format!("{name}.c"))];
        for (source, object) in sources.iter().zip(["stage.o", "bindings.o"]) {
            let warnings = ["-O2", "-Wall", "-Wextra", "-Werror", "-I.", "-I", WASI_LIBC[0]];
            run(clang().args(warnings).arg("-c").arg(source).args(["-o", object]));
        }
        // Without optimisation: otherwise clang runs `wasm-opt`, if it is installed, and that does not support
        // components.
        let link = ["-mexec-model=reactor", "-L", WASI_LIBC[1], "stage.o", "bindings.o"];
        let types = format!("{name}_component_type.o");
        let mut linked = clang();
        linked.arg(format!("-fuse-ld={}", linker.display())).args(link);
        run(linked.args([&types, "-o", &format!("{stage}.wasm")]));
    }
    c.owes(&folder);
}

/// Writes the same files as `wit-bindgen c --world WORLD wit`.
fn bindings(world: &str, folder: &Path) {
    let manifest = root().join("tests/languages/bindings/Cargo.toml");
    let mut cargo = cargo("run", &manifest);
    run(cargo.arg("--target-dir").arg(target()).arg("--").arg(wit()).arg(world).arg(folder));
}

/// Whether the runtime functions that clang calls are installed.
fn has_builtins(clang: &Path) -> bool {
    let printed = Command::new(clang).args(["--target=wasm32-wasi", "--print-libgcc-file-name"]).output().unwrap();
    Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_file()
}

/// The linker for components, which comes with the Rust target.
fn component_linker() -> Option<PathBuf> {
    let rustc = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let libraries = PathBuf::from(String::from_utf8(rustc.stdout).ok()?.trim());
    Some(libraries.parent()?.join("bin/wasm-component-ld")).filter(|linker| linker.is_file())
}

#[test]
fn python_by_componentize_py() {
    let python = Language { name: "python", limits: "", reads: None };
    let Some(componentize) = find("componentize-py") else {
        return skip("Python", "there is no `componentize-py`, which pip installs");
    };
    // Built in this folder: Python leaves its caches beside the modules that it imports.
    let folder = python.folder();
    for file in ["router.py", "transform.py", "sink.py", "failing.py"] {
        fs::copy(python.source().join(file), folder.join(file)).unwrap();
    }
    for (stage, world, _) in STAGES {
        let mut componentize = Command::new(&componentize);
        componentize.arg("-d").arg(wit()).args(["-w", world, "componentize", stage]);
        run(componentize.args(["-o", &format!("{stage}.wasm")]).current_dir(&folder));
    }
    python.owes(&folder);
}

#[test]
fn javascript_by_componentize_js() {
    let javascript = Language { name: "javascript", limits: "limits = { memory = \"256 MiB\" }", reads: None };
    let Some(componentize) = find("componentize-js") else {
        return skip("JavaScript", "there is no `componentize-js`, which npm installs");
    };
    let folder = javascript.folder();
    for (stage, world, _) in STAGES {
        let mut componentize = Command::new(&componentize);
        componentize.arg(javascript.source().join(format!("{stage}.js"))).arg("--wit").arg(wit());
        componentize.args(["--world-name", world, "--disable", "http", "--disable", "fetch-event"]);
        run(componentize.args(["-o", &format!("{stage}.wasm")]).current_dir(&folder));
    }
    javascript.owes(&folder);
}
