//! `cargo torvyn build`: has the components of a project built and says what they are.

use std::path::Path;

use serde::Serialize;
use torvyn_runtime::Limits;
use torvyn_runtime::profile::Profile;

use crate::cargo::{self, Artifact};
use crate::cli::{BuildArgs, MessageFormat};
use crate::exit::Exit;
use crate::shell::Shell;
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
}

pub(crate) fn exec(args: BuildArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let workspace = Workspace::load(&args.cargo)?;
    let stages = workspace.select(&args.workspace)?;
    let json = args.message_format == MessageFormat::Json;
    let artifacts =
        cargo::build(
            &args.cargo,
            &stages,
            args.message_format,
            shell,
            |shell, line| {
                if json { shell.result(line) } else { Ok(()) }
            },
        )?;
    for artifact in &artifacts {
        let built = built(artifact)?;
        if json {
            shell.result(serde_json::to_string(&built)?)?;
        } else {
            let Built { package, path, profile: Profile { kind, world, verdict, size, .. }, .. } = built;
            let (size, path) = (kib(size), path.display());
            shell
                .status("Component", format_args!("`{package}`: {kind}, world {world}, {verdict}, {size} ({path})"))?;
        }
    }
    Ok(Exit::Ok)
}

fn built(artifact: &Artifact) -> anyhow::Result<Built<'_>> {
    let Artifact { package, path, fresh } = artifact;
    let profile = Profile::of(path, Limits::default().component_size)?;
    Ok(Built { package, path, fresh: *fresh, profile })
}

fn kib(bytes: u64) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}
