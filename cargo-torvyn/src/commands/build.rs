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
use crate::cli::{BuildArgs, MessageFormat};
use crate::exit::Exit;
use crate::failure;
use crate::programs::lossy;
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
    #[serde(serialize_with = "lossy")]
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
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    size: u64,
}

/// What the last line of `--message-format json` has besides how it ended.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Those that were built or up to date.
    components: usize,
}

pub(crate) fn exec(args: BuildArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    shell.summary(&Summary::default())?;
    let target = toolchain::look_for_target();
    let workspace = Workspace::load(&args.cargo)?;
    let stages = workspace.select(&args.workspace)?;
    let json = args.message_format == MessageFormat::Json;
    let artifacts = cargo::build(&args.cargo, &stages, target, args.message_format, shell, |_, _| Ok(()))?;
    for (index, artifact) in artifacts.iter().enumerate() {
        let built = built(artifact, args.artifact_dir.as_deref())?;
        if json {
            shell.json(&built)?;
            shell.summary(&Summary { components: index + 1 })?;
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

fn built<'a>(artifact: &'a Artifact, ship: Option<&Path>) -> anyhow::Result<Built<'a>> {
    let Artifact { package, path, fresh } = artifact;
    let analysis = Analysis::of(path, Limits::default().component_size)?;
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
    write().with_context(|| failure::not_written(&path, ""))?;
    Ok(Shipped { path, size: stripped.len() as u64 })
}
