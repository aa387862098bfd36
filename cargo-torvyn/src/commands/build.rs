//! `cargo torvyn build`: builds the components of a project and prints what they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use torvyn_runtime::Limits;
use torvyn_runtime::component::profile::Profile;
use torvyn_runtime::component::strip::strip;
use torvyn_runtime::contract::Verdict;
use torvyn_runtime::endpoint::FileId;

use crate::cli::{CargoArgs, MessageFormat};
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::output::bad_component::BadComponent;
use crate::output::programs::lossy;
use crate::output::run_report::bytes;
use crate::output::shell::Shell;
use crate::output::{codes, failure};
use crate::project::cargo::{self, Artifact};
use crate::project::toolchain;
use crate::project::workspace::{Stage, Workspace};
use crate::run::components::{Compiled, File};

/// A line of `--message-format json` for a component.
#[derive(Debug, Serialize)]
#[serde(tag = "reason", rename = "component-built")]
struct Built<'a> {
    package: &'a str,
    #[serde(serialize_with = "lossy")]
    path: &'a Path,
    fresh: bool,
    #[serde(flatten)]
    profile: Profile,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped: Option<Shipped>,
}

/// The stripped copy, without names and line tables.
#[derive(Debug, Serialize)]
struct Shipped {
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    size: u64,
}

/// The fields of the last line of `--message-format json`, besides the outcome.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// The number of components that were built or up to date.
    components: usize,
}

/// Build the components of a project, in the release profile
///
/// Runs cargo to build the packages that are stages: those with a `cdylib` target and `[package.metadata.torvyn]`. Adds
/// the target wasm32-wasip2 to the toolchain if it is missing. The default profile is release, because components are
/// analysed and run as they are released.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn build                          build all stages of the project
  cargo torvyn build -p router --locked       build one stage, with Cargo.lock as it is
  cargo torvyn build --dev                    build faster, run slower
  cargo torvyn build --artifact-dir dist      copy the components to ship into `dist`
  cargo torvyn build --message-format json    print messages for programs")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    /// Also copy the components into this folder, without names and line tables
    #[arg(long, value_name = "DIR")]
    pub(crate) artifact_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, cargo's messages and one line per component
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

pub(crate) fn exec(args: BuildArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    shell.summary(&Summary::default())?;
    let target = toolchain::look_for_target();
    let workspace = Workspace::load(&args.cargo)?;
    let stages = workspace.select(&args.workspace, shell)?;
    let json = args.message_format == MessageFormat::Json;
    if let Some(folder) = &args.artifact_dir {
        check_folder(folder, &workspace, &stages, &args.cargo)?;
    }
    let format = args.message_format;
    let artifacts = cargo::build(&args.cargo, &workspace, &stages, target, format, shell, |_, _| Ok(()))?;
    let (engine, mut exit) = (Compiled::default(), Exit::Ok);
    let mut components = 0;
    for artifact in &artifacts {
        // An invalid component does not hide the others.
        let built = match describe(artifact, &engine, args.artifact_dir.as_deref()) {
            Ok(built) => built,
            Err(error) => {
                shell.error(&error)?;
                exit = Exit::Failed;
                continue;
            }
        };
        components += 1;
        if json {
            shell.json(&built)?;
            shell.summary(&Summary { components })?;
        } else {
            let Built { package, path, profile: Profile { kind, world, size, .. }, verdict, .. } = &built;
            let (size, path) = (bytes(*size), path.display());
            shell
                .status("Component", format_args!("`{package}`: {kind}, world {world}, {verdict}, {size} ({path})"))?;
            if let Some(Shipped { path, size }) = &built.shipped {
                shell.status("Shipped", format_args!("`{package}`: {} ({})", bytes(*size), path.display()))?;
            }
        }
    }
    Ok(exit)
}

fn describe<'a>(artifact: &'a Artifact, engine: &Compiled, ship: Option<&Path>) -> anyhow::Result<Built<'a>> {
    let Artifact { package, path, fresh, bytes, .. } = artifact;
    let bad_component = |error| {
        let BadComponent { causes, help } = BadComponent::from_error(error);
        let stop =
            Stop::new(Exit::Failed, format!("package `{package}` does not build a stage: {}", causes.join(": ")));
        let stop = stop.code(codes::BAD_COMPONENT);
        match help {
            Some(help) => stop.help(help),
            None => stop,
        }
    };
    let analysis = engine.analyse(File { path, bytes: Some(bytes) }, &Limits::default()).map_err(bad_component)?;
    let shipped = ship.map(|folder| ship_stripped(path, bytes, folder)).transpose()?;
    let verdict = analysis.bounds().verdict();
    Ok(Built { package, path, fresh: *fresh, profile: analysis.profile, verdict, shipped })
}

/// Refuses a folder that components cannot be written to, and a folder that cargo builds into.
fn check_folder(folder: &Path, workspace: &Workspace, stages: &[Stage], args: &CargoArgs) -> anyhow::Result<()> {
    let nearest = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    tempfile::tempfile_in(nearest).map_err(|error| std::io::Error::from(error.kind())).with_context(|| {
        let stop = Stop::new(Exit::Failed, format!("cannot write to `{}`", nearest.display()));
        stop.code(failure::RESULT_NOT_WRITTEN)
    })?;
    for stage in stages {
        let shipped = folder.join(stage.file_name());
        let (shown, built) = (workspace.component(stage, args), workspace.compiled(stage, args));
        let into = FileId::from_folder_of(&shipped);
        if into.is_some() && [shown, built].iter().any(|file| into == FileId::from_folder_of(file)) {
            let message = format!("`{}` is the folder that cargo itself builds into", folder.display());
            return Err(Stop::new(Exit::Usage, message).help("name another folder: `--artifact-dir dist`").into());
        }
        if shipped.is_dir() && !shipped.is_symlink() {
            let stop = Stop::new(Exit::Failed, format!("`{}` is a directory", shipped.display()));
            return Err(stop.code(failure::RESULT_NOT_WRITTEN).into());
        }
    }
    Ok(())
}

/// Writes the stripped component into the folder, as a whole or not at all. Replaces a link with its name there, as cargo
/// does for artifacts.
fn ship_stripped(component: &Path, bytes: &[u8], folder: &Path) -> anyhow::Result<Shipped> {
    let stripped = strip(bytes).with_context(|| format!("cannot strip `{}`", component.display()))?;
    let path = folder.join(component.file_name().context("a component has a name")?);
    let write = || {
        fs::create_dir_all(folder)?;
        atomic_file::write_at(&path, &stripped)
    };
    write().with_context(|| failure::not_written(&path, ""))?;
    Ok(Shipped { path, size: stripped.len() as u64 })
}
