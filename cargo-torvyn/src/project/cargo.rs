//! Builds components with cargo, and reads its messages about them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anstream::ColorChoice;
use anyhow::Context as _;
use torvyn_build::{Builds, Judged, Report};

use crate::cli::{CargoArgs, MessageFormat};
use crate::exit::{Exit, Stop};
use crate::fs::paths;
use crate::output::failure;
use crate::output::shell::{Shell, Verbosity};
use crate::process::{child, interrupt};
use crate::project::toolchain::{self, TARGET, Target};
use crate::project::workspace::{Stage, Workspace};

/// A component that cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The package it was built from.
    pub(crate) package: String,
    /// The `.wasm` file.
    pub(crate) path: PathBuf,
    /// Whether it was up to date and not rebuilt.
    pub(crate) fresh: bool,
    /// The contents of the file, read before another build could replace it.
    pub(crate) bytes: Arc<[u8]>,
    /// The files that it was built from.
    pub(crate) sources: Vec<PathBuf>,
}

/// Builds the components of `stages`, in their order. Installs the target if it is missing.
///
/// A component that cargo considers fresh is rebuilt if it was not built from these packages: see `torvyn_build`.
///
/// Cargo's status and the compiler's diagnostics go to stderr at once. With `Json`, the diagnostics are among the messages
/// instead, which [`Shell::cargo_line`] gets first. `message` is called with each line that cargo prints.
///
/// # Errors
///
/// A [`Stop`] if the build failed, which cargo has explained, or if two packages build the same file. An error of `message`
/// ends the build too.
pub(crate) fn build(
    args: &CargoArgs,
    workspace: &Workspace,
    stages: &[Stage],
    target: Target,
    format: MessageFormat,
    shell: &mut Shell,
    mut message: impl FnMut(&mut Shell, &str) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Artifact>> {
    refuse_shared_file(stages)?;
    toolchain::install_target(target, args, shell)?;
    let target_dir = workspace.target_dir(args);
    let waiting = || {
        let folder = paths::from_here(&target_dir);
        shell.status("Blocking", format_args!("waiting for another build in `{}`", folder.display())).ok();
    };
    let mut builds = Builds::lock(&target_dir, waiting)?;
    let mut built_again = false;
    loop {
        let mut report = Report::new(&workspace.build_dir(args));
        run(args, workspace, stages, format, shell, |shell, line| {
            report.add(line);
            message(shell, line)
        })?;
        match builds.judge(&report)? {
            Judged::Built(components) => {
                return stages.iter().map(|stage| artifact(stage, &components, built_again)).collect();
            }
            Judged::Again(packages) => {
                let named =
                    packages.iter().map(|id| format!("`{}`", package_folder(id))).collect::<Vec<_>>().join(", ");
                let what = format_args!(
                    "{named}: the output in the target folder was not built from these sources, or is older"
                );
                shell.verbose("Rebuilding", what)?;
                built_again = true;
            }
        }
    }
}

/// Runs cargo to its end, and calls `message` with each line that it prints.
fn run(
    args: &CargoArgs,
    workspace: &Workspace,
    stages: &[Stage],
    format: MessageFormat,
    shell: &mut Shell,
    mut message: impl FnMut(&mut Shell, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut command = command(args, stages, format, shell);
    shell.verbose("Running", format_args!("{command:?}"))?;
    let mut cargo = child::spawn(&mut command).context("could not run `cargo`")?;
    let stdout = cargo.stdout().context("the output of cargo is a pipe")?;
    let read: anyhow::Result<()> = BufReader::new(stdout).lines().try_for_each(|line| {
        let line = line.context("could not read what cargo says")?;
        shell.cargo_line(&line, workspace.root())?;
        message(shell, &line)
    });
    if read.is_err() {
        // It may have ended already; either way nobody reads its output any more.
        cargo.kill();
    }
    let status = cargo.wait().context("could not wait for cargo")?;
    read?;
    interrupt::check()?;
    if !status.success() {
        let message = "cargo could not build the components; see standard error";
        return Err(Stop::silent_with(Exit::Failed, failure::BUILD_FAILED, message).into());
    }
    Ok(())
}

/// Refuses packages that build the same file. Cargo names the file after the library and writes `_` for `-`, so one of two
/// such components would be overwritten.
fn refuse_shared_file(stages: &[Stage]) -> anyhow::Result<()> {
    for (index, stage) in stages.iter().enumerate() {
        let Some(other) = stages[..index].iter().find(|other| other.file_name() == stage.file_name()) else { continue };
        let mut names = [&other.package, &stage.package];
        names.sort();
        let [first, second] = names;
        let message = format!("packages `{first}` and `{second}` both build `{}`", stage.file_name());
        let help =
            format!("rename one of them, or its library: `[lib] name = \"...\"` in `{}`", stage.manifest.display());
        return Err(Stop::new(Exit::Failed, message).code(failure::BAD_PROJECT).help(help).into());
    }
    Ok(())
}

/// The component of a stage among the built ones.
fn artifact(stage: &Stage, components: &[torvyn_build::Component], built_again: bool) -> anyhow::Result<Artifact> {
    let built = components.iter().find(|component| component.package == stage.id);
    let built = built.with_context(|| format!("cargo reported no component for package `{}`", stage.package))?;
    let (bytes, sources) = (built.bytes.as_slice().into(), built.sources.clone());
    let fresh = built.fresh && !built_again;
    Ok(Artifact { package: stage.package.clone(), path: built.path.clone(), fresh, bytes, sources })
}

/// The folder of a package, from its id.
fn package_folder(id: &str) -> String {
    let folder = id.split_once("path+file://").map_or(id, |(_, folder)| folder);
    let folder = folder.split_once('#').map_or(folder, |(folder, _)| folder);
    let here = fs::canonicalize(folder).unwrap_or_else(|_| PathBuf::from(folder));
    paths::from_here(&here).display().to_string()
}

fn command(args: &CargoArgs, stages: &[Stage], format: MessageFormat, shell: &Shell) -> Command {
    let mut command = Command::new(toolchain::cargo());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.args(["build", "--target", TARGET, "--message-format"]);
    // Programs get each compiler error as a failure, even if they do not get the messages themselves.
    let format = if shell.is_for_programs() { MessageFormat::Json } else { format };
    command.arg(match format {
        MessageFormat::Human => "json-render-diagnostics",
        MessageFormat::Json => "json",
    });
    // A binary of the package could have the file name of its library.
    command.arg("--lib");
    for stage in stages {
        command.args(["--package", &stage.id]);
    }
    command.args(["--profile", args.profile()]);
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
