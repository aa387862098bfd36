//! `cargo torvyn build`: has the components of a project built and says what they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use torvyn_runtime::Limits;
use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::profile::{Profile, Verdict};
use torvyn_runtime::strip::strip;

use crate::cargo::{self, Artifact};
use crate::check::BadComponent;
use crate::cli::{BuildArgs, MessageFormat};
use crate::exit::{Exit, Stop};
use crate::report::bytes;
use crate::shell::Shell;
use crate::toolchain;
use crate::whole;
use crate::workspace::Workspace;

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
    let stages = workspace.select(&args.workspace, shell)?;
    let json = args.message_format == MessageFormat::Json;
    let artifacts = cargo::build(&args.cargo, &stages, target, args.message_format, shell, |shell, line| {
        if json { shell.result(line) } else { Ok(()) }
    })?;
    let mut exit = Exit::Ok;
    for artifact in &artifacts {
        // One that is none does not hide the others.
        let built = match built(artifact, args.artifact_dir.as_deref()) {
            Ok(built) => built,
            Err(error) => {
                shell.error(&error)?;
                exit = Exit::Failed;
                continue;
            }
        };
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
    Ok(exit)
}

fn built<'a>(artifact: &'a Artifact, ship: Option<&Path>) -> anyhow::Result<Built<'a>> {
    let Artifact { package, path, fresh } = artifact;
    let bad_component = |error| {
        let BadComponent { causes, help } = BadComponent::of(error);
        let stop = Stop::new(Exit::Failed, format!("package `{package}` builds no stage: {}", causes.join(": ")));
        match help {
            Some(help) => stop.help(help),
            None => stop,
        }
    };
    let analysis = Analysis::of(path, Limits::default().component_size).map_err(bad_component)?;
    let shipped = ship.map(|folder| shipped(path, folder)).transpose()?;
    let verdict = analysis.bounds().verdict();
    Ok(Built { package, path, fresh: *fresh, profile: analysis.profile, verdict, shipped })
}

/// Puts the component into the folder, stripped; whole or not at all.
fn shipped(component: &Path, folder: &Path) -> anyhow::Result<Shipped> {
    let bytes = fs::read(component).with_context(|| format!("cannot read `{}`", component.display()))?;
    let stripped = strip(&bytes).with_context(|| format!("cannot strip `{}`", component.display()))?;
    let path = folder.join(component.file_name().context("a component has a name")?);
    let write = || {
        fs::create_dir_all(folder)?;
        whole::write(&path, &stripped)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Shipped { path, size: stripped.len() as u64 })
}
