//! Has cargo build components, and reads what it says about them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anstream::ColorChoice;
use anyhow::Context as _;
use cargo_metadata::{Message, TargetKind};

use crate::cli::{CargoArgs, MessageFormat};
use crate::exit::{Exit, Stop};
use crate::failure;
use crate::shell::{Shell, Verbosity};
use crate::toolchain::{self, TARGET, Target};
use crate::workspace::Stage;

/// A component that cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The package it was built from.
    pub(crate) package: String,
    /// The `.wasm` file.
    pub(crate) path: PathBuf,
    /// It was up to date, and so was not built again.
    pub(crate) fresh: bool,
}

/// Builds the components of `stages`, in their order; installs the target where it turns out to be missing.
///
/// Cargo's status and the compiler's diagnostics go to stderr as they come, except that with `Json` the diagnostics are
/// among the messages, which [`Shell::cargo_line`] has first. `message` is called with each line that cargo prints.
///
/// # Errors
///
/// A [`Stop`] where the build failed, which cargo has explained then; and what `message` returned, which ends the build.
pub(crate) fn build(
    args: &CargoArgs,
    stages: &[Stage],
    target: Target,
    format: MessageFormat,
    shell: &mut Shell,
    mut message: impl FnMut(&mut Shell, &str) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Artifact>> {
    toolchain::install_target(target, args.offline || args.frozen, shell)?;
    let mut command = command(args, stages, format, shell);
    shell.verbose("Running", format_args!("{command:?}"))?;
    let mut cargo = command.spawn().context("could not run `cargo`")?;
    let stdout = cargo.stdout.take().context("the output of cargo is a pipe")?;

    let mut artifacts = Vec::new();
    let read: anyhow::Result<()> = BufReader::new(stdout).lines().try_for_each(|line| {
        let line = line.context("could not read what cargo says")?;
        shell.cargo_line(&line)?;
        message(shell, &line)?;
        artifacts.extend(artifact(&line, stages));
        Ok(())
    });
    if read.is_err() {
        // It may have ended already; either way nothing listens to it any more.
        cargo.kill().ok();
    }
    let status = cargo.wait().context("could not wait for cargo")?;
    read?;
    if !status.success() {
        let message = "cargo could not build the components; standard error has what it says";
        return Err(Stop::silent_with(Exit::Failed, failure::BUILD_FAILED, message).into());
    }
    stages
        .iter()
        .map(|stage| {
            let built = artifacts.iter().find(|artifact: &&Artifact| artifact.package == stage.package);
            built.cloned().with_context(|| format!("cargo named no component for package `{}`", stage.package))
        })
        .collect()
}

fn command(args: &CargoArgs, stages: &[Stage], format: MessageFormat, shell: &Shell) -> Command {
    let mut command = Command::new(toolchain::cargo());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.args(["build", "--target", TARGET, "--message-format"]);
    // A program is told of each error of the compiler, also where it does not get the messages themselves.
    let format = if shell.is_for_programs() { MessageFormat::Json } else { format };
    command.arg(match format {
        MessageFormat::Human => "json-render-diagnostics",
        MessageFormat::Json => "json",
    });
    for stage in stages {
        command.args(["--package", &stage.id]);
    }
    command.args(["--profile", profile(args)]);
    if let Some(manifest) = &args.manifest_path {
        command.arg("--manifest-path").arg(manifest);
    }
    if let Some(target_dir) = &args.target_dir {
        command.arg("--target-dir").arg(target_dir);
    }
    if let Some(jobs) = &args.jobs {
        command.args(["--jobs", jobs]);
    }
    for features in &args.features.features {
        command.args(["--features", features]);
    }
    for (given, flag) in [
        (args.features.all_features, "--all-features"),
        (args.features.no_default_features, "--no-default-features"),
        (args.locked, "--locked"),
        (args.offline, "--offline"),
        (args.frozen, "--frozen"),
        (shell.verbosity() == Verbosity::Quiet, "--quiet"),
        (shell.verbosity() == Verbosity::Verbose, "--verbose"),
        (shell.color() == ColorChoice::Always, "--color=always"),
        (shell.color() == ColorChoice::Never, "--color=never"),
    ] {
        if given {
            command.arg(flag);
        }
    }
    command
}

/// The profile that is built in: release unless another is named.
pub(crate) fn profile(args: &CargoArgs) -> &str {
    match &args.profile {
        Some(profile) => profile,
        None if args.dev => "dev",
        None => "release",
    }
}

/// The component that a line of cargo's tells about, if it tells about one of these packages.
fn artifact(line: &str, stages: &[Stage]) -> Option<Artifact> {
    let Ok(Message::CompilerArtifact(built)) = serde_json::from_str(line) else { return None };
    let stage = stages.iter().find(|stage| stage.id == built.package_id.repr)?;
    let path = built.filenames.iter().find(|path| path.extension() == Some("wasm"))?;
    let is_library = built.target.is_kind(TargetKind::CDyLib);
    is_library.then(|| Artifact { package: stage.package.clone(), path: path.into(), fresh: built.fresh })
}
