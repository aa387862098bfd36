//! `cargo torvyn demo`: the whole way of a project, from nothing to the account of its copies, on real input.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use torvyn_runtime::base::plural::noun;

use super::{check, test};
use crate::cli::{CargoArgs, DemoArgs, MessageFormat, RecordArgs, TestArgs};
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
/// What cargo says while it builds the components, a JSON object a line: the input of the pipeline.
const MESSAGES: &str = "cargo-messages.ndjson";
const OUTPUT: &str = "upper.ndjson";

pub(crate) fn exec(args: DemoArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.keep {
        Some(folder) => show(folder, shell),
        None => {
            let folder = tempfile::Builder::new().prefix(PROJECT).tempdir().context("no temporary folder")?;
            interrupt::remove_on_exit(folder.path());
            show(&folder.path().join(PROJECT), shell)
        }
    }
}

fn show(folder: &Path, shell: &mut Shell) -> anyhow::Result<Exit> {
    scaffold::refuse_to_overwrite(folder)?;
    scaffold::write(folder, &Template::find(TEMPLATE)?.render(PROJECT, Place::Alone)?, |_| Ok(()))?;
    shell.status("Created", format_args!("project `{}` from template `{TEMPLATE}`", folder.display()))?;

    let cargo_args = CargoArgs { manifest_path: Some(folder.join("Cargo.toml")), ..CargoArgs::default() };
    let messages = folder.join(MESSAGES);
    let workspace = Workspace::load(&cargo_args)?;
    let built = build(&cargo_args, &workspace, &messages, shell)?;
    shell.status("Checking", "what the components can copy")?;
    check::show(&cargo_args, &workspace, built, shell)?;
    test(&cargo_args, shell)?;
    cases(folder, shell)?;

    let output = folder.join(OUTPUT);
    let request = Request {
        cargo: &cargo_args,
        pipeline: None,
        input: Some(&messages),
        output: Some(&output),
        ignore_budget: false,
        records: &RecordArgs::default(),
        drain: None,
    };
    let finished = run_pipeline::run(&request, shell)?;
    shell.report(&finished.pipeline, &finished.account)?;
    let exit = finished.tell(shell)?;
    shell.status("Compared", verdict(&messages, &output)?)?;
    shell.note(format_args!("`cargo torvyn new NAME --template {TEMPLATE}` begins a project like this one"))?;
    Ok(exit)
}

/// Builds the components, and keeps what cargo says about it.
fn build(args: &CargoArgs, workspace: &Workspace, messages: &Path, shell: &mut Shell) -> anyhow::Result<Vec<Artifact>> {
    let write = || format!("could not write `{}`", messages.display());
    let mut file = BufWriter::new(File::create(messages).with_context(write)?);
    let keep = |_: &mut Shell, line: &str| writeln!(file, "{line}").with_context(write);
    let (stages, target) = (workspace.stages(), toolchain::look_for_target());
    let built = cargo::build(args, workspace, &stages, target, MessageFormat::Human, shell, keep)?;
    file.flush().with_context(write)?;
    Ok(built)
}

/// Runs the unit tests of the project natively, in the profile of the components so that little is built twice.
fn test(args: &CargoArgs, shell: &mut Shell) -> anyhow::Result<()> {
    shell.status("Testing", "the stages, natively")?;
    let mut cargo = Command::new(toolchain::cargo());
    cargo.args(["test", "--workspace", "--release", "--quiet"]).stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(manifest) = &args.manifest_path {
        cargo.arg("--manifest-path").arg(manifest);
    }
    let status = child::status(&mut cargo).context("could not run `cargo`")?;
    interrupt::check()?;
    if status.success() { Ok(()) } else { Err(Stop::new(Exit::Failed, "the tests of the project fail").into()) }
}

/// Runs the cases of the project.
fn cases(folder: &Path, shell: &mut Shell) -> anyhow::Result<()> {
    let cargo = CargoArgs { manifest_path: Some(folder.join("Cargo.toml")), ..CargoArgs::default() };
    match test::exec(TestArgs { cargo, ..TestArgs::default() }, shell)? {
        Exit::Ok => Ok(()),
        other => Err(Stop::silent(other).into()),
    }
}

/// Whether the output is what the pipeline makes of the input: no empty line, and all in upper case.
fn verdict(input: &Path, output: &Path) -> anyhow::Result<String> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("could not read `{}`", path.display()));
    let (input, output) = (read(input)?, read(output)?);
    let lines = input.split_inclusive(|byte| *byte == b'\n').filter(|line| **line != b"\n"[..]);
    if lines.collect::<Vec<_>>().concat().to_ascii_uppercase() != output {
        return Err(Stop::new(Exit::Failed, "the output is not what the pipeline makes of the input").into());
    }
    let bytes = run_report::grouped(output.len() as u64);
    Ok(format!("{bytes} {} of output are the input in upper case, byte for byte", noun(output.len() as u64, "byte")))
}
