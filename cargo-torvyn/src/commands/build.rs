//! `cargo torvyn build`: has the components of a project built and says what they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use torvyn_runtime::Limits;
use torvyn_runtime::endpoint::FileId;
use torvyn_runtime::profile::{Profile, Verdict};
use torvyn_runtime::strip::strip;

use crate::cargo::{self, Artifact};
use crate::cli::{BuildArgs, CargoArgs, MessageFormat};
use crate::components::{Compiled, File};
use crate::exit::{Exit, Stop};
use crate::report::bytes;
use crate::shell::Shell;
use crate::toolchain;
use crate::whole;
use crate::workspace::{Stage, Workspace};

/// A line of `--message-format json` for a component.
#[derive(Debug, Serialize)]
#[serde(tag = "reason", rename = "component-built")]
struct Built<'a> {
    package: &'a str,
    path: &'a Path,
    fresh: bool,
    #[serde(flatten)]
    profile: Profile,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped: Option<Shipped>,
}

/// The copy without names and line tables.
#[derive(Debug, Serialize)]
struct Shipped {
    path: PathBuf,
    size: u64,
}

pub(crate) fn exec(args: BuildArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let target = toolchain::look_for_target();
    let workspace = Workspace::load(&args.cargo)?;
    let stages = workspace.select(&args.workspace)?;
    let json = args.message_format == MessageFormat::Json;
    if let Some(folder) = &args.artifact_dir {
        check_folder(folder, &workspace, &stages, &args.cargo)?;
    }
    let artifacts =
        cargo::build(&args.cargo, &workspace, &stages, target, args.message_format, shell, |shell, line| {
            if json { shell.result(line) } else { Ok(()) }
        })?;
    let engine = Compiled::default();
    for artifact in &artifacts {
        let built = built(artifact, &engine, args.artifact_dir.as_deref())?;
        if json {
            shell.result(serde_json::to_string(&built)?)?;
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
    Ok(Exit::Ok)
}

fn built<'a>(artifact: &'a Artifact, engine: &Compiled, ship: Option<&Path>) -> anyhow::Result<Built<'a>> {
    let Artifact { package, path, fresh, bytes, .. } = artifact;
    let analysis = engine.analyse(File { path, bytes: Some(bytes) }, &Limits::default())?;
    let shipped = ship.map(|folder| shipped(path, bytes, folder)).transpose()?;
    let verdict = analysis.bounds().verdict();
    Ok(Built { package, path, fresh: *fresh, profile: analysis.profile, verdict, shipped })
}

/// Refuses a folder that the components cannot be put into, and one in which cargo has them.
fn check_folder(folder: &Path, workspace: &Workspace, stages: &[Stage], args: &CargoArgs) -> anyhow::Result<()> {
    let nearest = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    tempfile::tempfile_in(nearest)
        .map_err(|error| std::io::Error::from(error.kind()))
        .with_context(|| format!("cannot write to `{}`", nearest.display()))?;
    for stage in stages {
        let (shipped, built) = (folder.join(stage.file_name()), workspace.component(stage, args));
        if FileId::of_folder(&shipped).is_some() && FileId::of_folder(&shipped) == FileId::of_folder(&built) {
            let message = format!("`{}` is the folder in which cargo has what it builds", folder.display());
            return Err(Stop::new(Exit::Usage, message).help("name another one: `--artifact-dir dist`").into());
        }
        if shipped.is_dir() && !shipped.is_symlink() {
            return Err(anyhow::anyhow!("`{}` is a directory", shipped.display()));
        }
    }
    Ok(())
}

/// Puts the component into the folder, stripped; whole or not at all. A link with its name there is replaced, as cargo does
/// with what it puts into folders.
fn shipped(component: &Path, bytes: &[u8], folder: &Path) -> anyhow::Result<Shipped> {
    let stripped = strip(bytes).with_context(|| format!("cannot strip `{}`", component.display()))?;
    let path = folder.join(component.file_name().context("a component has a name")?);
    let write = || {
        fs::create_dir_all(folder)?;
        whole::write_at(&path, &stripped)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Shipped { path, size: stripped.len() as u64 })
}
