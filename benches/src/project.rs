//! A project of the template `pipeline`, made and built by the program that is measured. Its stages are used as the component
//! files that `build --artifact-dir` ships, so that a run is without cargo, and are in the compile cache after the first run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail, ensure};

use crate::contenders::guests::beside_program;
use crate::options::Options;

/// The program to measure, and the project that it runs.
pub(crate) struct Project {
    program: PathBuf,
    /// Where the files are that the processes work on.
    folder: TempDir,
    /// The component file of each stage.
    components: BTreeMap<String, PathBuf>,
}

impl Project {
    /// Makes and builds the project.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let program = match &options.program {
            Some(program) => {
                fs::canonicalize(program).with_context(|| format!("there is no `{}`", program.display()))?
            }
            None => build_program()?,
        };
        let folder = tempfile::Builder::new().prefix("torvyn-benches-").tempdir_in(&options.folder)?;
        let mut project = Self { program, folder, components: BTreeMap::new() };
        let new = ["new", "logs", "--template", "pipeline", "--vcs", "none", "--quiet"];
        succeed(project.torvyn(&new).current_dir(project.folder.path()))?;
        let shipped = project.file("shipped").display().to_string();
        let build = ["build", "--quiet", "--message-format", "json", "--artifact-dir", &shipped];
        let built = project.torvyn(&build).output()?;
        ensure!(built.status.success(), "the project does not build: {}", String::from_utf8_lossy(&built.stderr));
        for line in json_lines(&built.stdout) {
            if let (Some(package), Some(path)) = (line["package"].as_str(), line["shipped"]["path"].as_str()) {
                project.components.insert(package.to_owned(), path.into());
            }
        }
        Ok(project)
    }

    /// The path of a file beside the project.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces `Torvyn.toml` by one pipeline. In `stages`, the name of a stage in angle brackets stands for its component.
    pub(crate) fn set_pipeline(&self, name: &str, input: &str, stages: &str, output: &str) -> Result<Pipeline> {
        let mut stages = stages.to_owned();
        for (package, path) in &self.components {
            stages = stages.replace(&format!("<{package}>"), &format!("{:?}", path.display().to_string()));
        }
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        let manifest = format!("[pipeline.main]\ninput = {input}\nstages = [{stages}]\noutput = {output}\n");
        fs::write(folder.join("Torvyn.toml"), manifest)?;
        // What a project has beside its manifest.
        fs::write(folder.join("Cargo.toml"), "[workspace]\n")?;
        let mut pipeline = Pipeline { command: self.torvyn(&["run", "--quiet", "--message-format", "json"]) };
        pipeline.command.current_dir(folder);
        Ok(pipeline)
    }

    /// The program with these arguments.
    fn torvyn(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("torvyn").args(args).current_dir(self.folder.path().join("logs"));
        command.env("CARGO_TORVYN_CACHE_DIR", self.file("cache"));
        command.env("CARGO_TARGET_DIR", beside_program("project"));
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").stdin(Stdio::null());
        command
    }
}

/// A run of a pipeline, which can be repeated.
pub(crate) struct Pipeline {
    pub(crate) command: Command,
}

impl Pipeline {
    /// Runs the pipeline, and returns how long the process took, and the run report.
    pub(crate) fn run(&mut self) -> Result<(Duration, Value)> {
        let start = Instant::now();
        let output = self.command.output()?;
        let took = start.elapsed();
        ensure!(output.status.success(), "{:?} failed: {}", self.command, String::from_utf8_lossy(&output.stderr));
        let report = json_lines(&output.stdout).last().context("the run prints its report")?;
        Ok((took, report))
    }
}

/// Another process, which reads a file and writes one.
pub(crate) struct Rival {
    command: Command,
    input: PathBuf,
    output: PathBuf,
    /// `grep` says that it found nothing in this way.
    code: i32,
}

impl Rival {
    pub(crate) fn new(program: impl AsRef<std::ffi::OsStr>, args: &[&str], input: &Path, output: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(args).env("LC_ALL", "C");
        Self { command, input: input.to_owned(), output: output.to_owned(), code: 0 }
    }

    pub(crate) fn with_code(self, code: i32) -> Self {
        Self { code, ..self }
    }

    /// Runs the process and returns how long it took.
    pub(crate) fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.command.stdin(File::open(&self.input)?).stdout(File::create(&self.output)?);
        let status = self.command.status()?;
        let took = start.elapsed();
        ensure!(status.code() == Some(self.code), "{:?} ended with {status}", self.command);
        Ok(took)
    }
}

/// Whether a program can be started here.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Builds the release build of this workspace.
fn build_program() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../cargo-torvyn/Cargo.toml"));
    let built = cargo.stderr(Stdio::inherit()).output()?;
    ensure!(built.status.success(), "{cargo:?} failed");
    let program = json_lines(&built.stdout).find_map(|line| {
        let is_program = line["target"]["name"] == "cargo-torvyn" && line["executable"].is_string();
        is_program.then(|| line["executable"].as_str().map(PathBuf::from)).flatten()
    });
    program.context("cargo names the program that it built")
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn json_lines(text: &[u8]) -> impl Iterator<Item = Value> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
