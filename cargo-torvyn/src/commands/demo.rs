//! `cargo torvyn demo`: creates, builds, checks, tests and runs a project on real input, up to the account of its copies.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use torvyn_runtime::base::plural::noun;

use super::check;
use super::test::{self, TestArgs};
use crate::cli::{CacheArgs, CargoArgs, MessageFormat, RecordArgs};
use crate::exit::{Exit, Stop};
use crate::output::run_report;
use crate::output::shell::Shell;
use crate::process::{child, interrupt};
use crate::project::cargo::{self, Artifact};
use crate::project::scaffold::{self, Place, Template};
use crate::project::toolchain;
use crate::project::workspace::Workspace;
use crate::run::run_pipeline::{self, Request};

const PROJECT: &str = "torvyn-demo";
const TEMPLATE: &str = "pipeline";
/// The messages of cargo while it builds the components, a JSON object per line: the input of the pipeline.
const MESSAGES: &str = "cargo-messages.ndjson";
const OUTPUT: &str = "upper.ndjson";

/// Show a demo: create, build, check, test and run a pipeline on real input
///
/// Creates a project from the template `pipeline`, builds its components, proves what they can copy, runs their tests and
/// the project's cases, and then runs the pipeline on the output of cargo's own build. Ends with the run report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn demo                  use a temporary folder
  cargo torvyn demo --keep ./demo    keep the project")]
pub(crate) struct DemoArgs {
    /// Create the project in this folder and keep it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

pub(crate) fn exec(args: DemoArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.keep {
        Some(folder) => run_in(folder, shell),
        None => {
            let folder =
                tempfile::Builder::new().prefix(PROJECT).tempdir().context("could not create a temporary folder")?;
            interrupt::remove_on_exit(folder.path());
            run_in(&folder.path().join(PROJECT), shell)
        }
    }
}

fn run_in(folder: &Path, shell: &mut Shell) -> anyhow::Result<Exit> {
    scaffold::refuse_to_overwrite(folder)?;
    scaffold::write(folder, &Template::find(TEMPLATE)?.render(PROJECT, Place::Alone)?, |_| Ok(()))?;
    shell.status("Created", format_args!("project `{}` from template `{TEMPLATE}`", folder.display()))?;

    let cargo_args = CargoArgs { manifest_path: Some(folder.join("Cargo.toml")), ..CargoArgs::default() };
    let messages = folder.join(MESSAGES);
    let workspace = Workspace::load(&cargo_args)?;
    let built = build(&cargo_args, &workspace, &messages, shell)?;
    shell.status("Checking", "what the components can copy")?;
    check::check_and_print(&cargo_args, &workspace, built, shell)?;
    run_unit_tests(&cargo_args, shell)?;
    run_cases(folder, shell)?;

    let output = folder.join(OUTPUT);
    let request = Request {
        cargo: &cargo_args,
        cache: &CacheArgs::default(),
        pipeline: None,
        input: Some(&messages),
        output: Some(&output),
        ignore_budget: false,
        report: None,
        records: &RecordArgs::default(),
        drain: None,
    };
    let finished = run_pipeline::run(&request, shell)?;
    shell.report(&finished.pipeline, &finished.account)?;
    let exit = finished.report(shell)?;
    shell.status("Compared", compare_output(&messages, &output)?)?;
    shell.note(format_args!("`cargo torvyn new NAME --template {TEMPLATE}` creates a project like this one"))?;
    Ok(exit)
}

/// Builds the components, and saves the messages of cargo.
fn build(args: &CargoArgs, workspace: &Workspace, messages: &Path, shell: &mut Shell) -> anyhow::Result<Vec<Artifact>> {
    let write = || format!("could not write `{}`", messages.display());
    let mut file = BufWriter::new(File::create(messages).with_context(write)?);
    let keep = |_: &mut Shell, line: &str| writeln!(file, "{line}").with_context(write);
    let (stages, target) = (workspace.stages(), toolchain::look_for_target());
    let built = cargo::build(args, workspace, &stages, target, MessageFormat::Human, shell, keep)?;
    file.flush().with_context(write)?;
    Ok(built)
}

/// Runs the unit tests of the project natively, in the profile of the components, so that little is built twice.
fn run_unit_tests(args: &CargoArgs, shell: &mut Shell) -> anyhow::Result<()> {
    shell.status("Testing", "the stages, natively")?;
    let mut cargo = Command::new(toolchain::cargo());
    cargo.args(["test", "--workspace", "--release", "--quiet"]).stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(manifest) = &args.manifest_path {
        cargo.arg("--manifest-path").arg(manifest);
    }
    let status = child::status(&mut cargo).context("could not run `cargo`")?;
    interrupt::check()?;
    if status.success() { Ok(()) } else { Err(Stop::new(Exit::Failed, "the tests of the project failed").into()) }
}

/// Runs the cases of the project.
fn run_cases(folder: &Path, shell: &mut Shell) -> anyhow::Result<()> {
    let cargo = CargoArgs { manifest_path: Some(folder.join("Cargo.toml")), ..CargoArgs::default() };
    match test::exec(TestArgs { cargo, ..TestArgs::default() }, shell)? {
        Exit::Ok => Ok(()),
        other => Err(Stop::silent(other).into()),
    }
}

/// Checks that the output is the input without empty lines and in upper case.
fn compare_output(input: &Path, output: &Path) -> anyhow::Result<String> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("could not read `{}`", path.display()));
    let (input, output) = (read(input)?, read(output)?);
    let lines = input.split_inclusive(|byte| *byte == b'\n').filter(|line| **line != b"\n"[..]);
    if lines.collect::<Vec<_>>().concat().to_ascii_uppercase() != output {
        return Err(Stop::new(Exit::Failed, "the output is not the input in upper case").into());
    }
    let bytes = run_report::grouped(output.len() as u64);
    Ok(format!("{bytes} {} of output are the input in upper case, byte for byte", noun(output.len() as u64, "byte")))
}
