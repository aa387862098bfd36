//! The project that a command works on: its workspace, and the packages of it that are stages.

use std::env;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package, Target};

use crate::cli::CargoArgs;
use crate::exit::{Exit, Stop};
use crate::{cargo, code, failure, toolchain};

/// A workspace, as cargo sees it; a package that is in none is one of its own.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
    /// The manifest that the command is about: `--manifest-path`, or the nearest one.
    manifest: PathBuf,
}

/// A package that makes a component: a `cdylib` with `[package.metadata.torvyn]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    /// The name of the package.
    pub(crate) package: String,
    /// Its id, which cargo takes wherever it takes a package and which is never ambiguous.
    pub(crate) id: String,
    /// Its Cargo.toml.
    pub(crate) manifest: PathBuf,
    /// The target that is the component.
    pub(crate) target: Target,
}

impl Workspace {
    /// Whether one was named, or there is one around the current folder.
    pub(crate) fn is_here(args: &CargoArgs) -> bool {
        args.manifest_path.is_some() || env::current_dir().is_ok_and(|here| nearest_manifest(&here).is_ok())
    }

    /// Asks cargo. Resolves no dependencies and needs no network.
    ///
    /// # Errors
    ///
    /// Where there is no project, or its Cargo.toml is not one.
    pub(crate) fn load(args: &CargoArgs) -> anyhow::Result<Workspace> {
        let manifest = match &args.manifest_path {
            Some(manifest) => manifest.clone(),
            None => nearest_manifest(&env::current_dir().context("the current folder cannot be read")?)?,
        };
        let mut command = MetadataCommand::new();
        command.cargo_path(toolchain::cargo()).no_deps().manifest_path(&manifest);
        let printed = toolchain::printed(&mut command.cargo_command()).with_context(not_loaded)?;
        let printed = printed.ok_or_else(|| {
            Stop::new(Exit::SetupMissing, "there is no `cargo`").help(format!("install Rust: {}", toolchain::RUSTUP))
        })?;
        let metadata = MetadataCommand::parse(printed).with_context(not_loaded)?;
        Ok(Workspace { metadata, manifest: manifest.canonicalize().unwrap_or(manifest) })
    }

    /// The folder of the workspace.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// The Cargo.toml of the workspace.
    pub(crate) fn manifest(&self) -> PathBuf {
        from_here(&self.root().join("Cargo.toml"))
    }

    /// All stages, by package name.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        self.metadata.workspace_packages().into_iter().filter_map(stage).collect()
    }

    /// The folders that its packages are made of: its own, and those of packages elsewhere that they depend on.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let dependencies = self.metadata.packages.iter().flat_map(|package| &package.dependencies);
        let elsewhere = dependencies.filter_map(|dependency| dependency.path.as_deref());
        let elsewhere = elsewhere.filter(|path| !path.starts_with(&self.metadata.workspace_root));
        [self.root()].into_iter().chain(elsewhere.map(AsRef::as_ref)).map(from_here).collect()
    }

    /// The folder for everything that is built.
    pub(crate) fn target_dir(&self, args: &CargoArgs) -> PathBuf {
        match &args.target_dir {
            Some(folder) => env::current_dir().unwrap_or_default().join(folder),
            None => self.metadata.target_directory.as_std_path().to_path_buf(),
        }
    }

    /// Where cargo puts the component of a stage.
    pub(crate) fn component(&self, stage: &Stage, args: &CargoArgs) -> PathBuf {
        // The folder of a profile has its name, but for the one that cargo users had before profiles had names.
        let profile = match cargo::profile(args) {
            "dev" => "debug",
            profile => profile,
        };
        self.target_dir(args)
            .join(toolchain::TARGET)
            .join(profile)
            .join(format!("{}.wasm", stage.target.name.replace('-', "_")))
    }

    /// The stages that the flags select: those named, or else what cargo would build here.
    ///
    /// # Errors
    ///
    /// A [`Stop`] where a package is unknown or not a stage, or where nothing is left.
    pub(crate) fn select(&self, flags: &clap_cargo::Workspace) -> anyhow::Result<Vec<Stage>> {
        for name in flags.package.iter().chain(&flags.exclude) {
            self.find(name)?;
        }
        let all = flags.workspace || flags.all || !flags.exclude.is_empty();
        let selected = if !flags.package.is_empty() {
            flags.package.iter().map(|name| self.named_stage(name)).collect::<Result<_, _>>()?
        } else if all {
            self.stages()
        } else {
            self.here().into_iter().filter_map(stage).collect::<Vec<_>>()
        };
        let mut selected: Vec<_> =
            selected.into_iter().filter(|stage| !flags.exclude.contains(&stage.package)).collect();
        selected.sort_by(|a, b| a.package.cmp(&b.package));
        selected.dedup();
        if selected.is_empty() { Err(self.no_stage().into()) } else { Ok(selected) }
    }

    /// What cargo would build without flags: the member one stands in, or the default members.
    fn here(&self) -> Vec<&Package> {
        let members = self.metadata.workspace_packages();
        let is_here = |package: &&Package| {
            package.manifest_path != self.metadata.workspace_root.join("Cargo.toml")
                && package.manifest_path.as_std_path() == self.manifest
        };
        match members.into_iter().find(is_here) {
            Some(member) => vec![member],
            None => self.metadata.workspace_default_packages(),
        }
    }

    fn find(&self, name: &str) -> Result<&Package, Stop> {
        let members = self.metadata.workspace_packages();
        members.iter().find(|package| package.name == name).copied().ok_or_else(|| {
            let names: Vec<_> = members.iter().map(|package| format!("`{}`", package.name)).collect();
            Stop::new(Exit::Failed, format!("no package `{}` in `{}`", name.escape_debug(), self.root().display()))
                .code(code::UNKNOWN_PACKAGE)
                .help(format!("the packages are {}", names.join(", ")))
        })
    }

    fn named_stage(&self, name: &str) -> Result<Stage, Stop> {
        let not_one = || Stop::new(Exit::Failed, format!("package `{name}` is not a stage")).help(WHAT_A_STAGE_IS);
        stage(self.find(name)?).ok_or_else(|| not_one().code(failure::PACKAGE_NOT_A_STAGE))
    }

    fn no_stage(&self) -> Stop {
        Stop::new(Exit::NothingSelected, format!("no stage is selected in `{}`", self.root().display()))
            .help(WHAT_A_STAGE_IS)
    }
}

const WHAT_A_STAGE_IS: &str = "a stage has `crate-type = [\"cdylib\"]` and `[package.metadata.torvyn]` in its \
                               Cargo.toml; `cargo torvyn new NAME --template router` makes one";

fn stage(package: &Package) -> Option<Stage> {
    package.metadata.get("torvyn")?;
    let target = package.targets.iter().find(|target| target.crate_types.contains(&CrateType::CDyLib))?;
    Some(Stage {
        package: package.name.to_string(),
        id: package.id.repr.clone(),
        manifest: from_here(package.manifest_path.as_std_path()),
        target: target.clone(),
    })
}

/// The path as people see it: from the current folder, where it is below that or in one project with it.
pub(crate) fn from_here(path: &Path) -> PathBuf {
    seen_from(&env::current_dir().unwrap_or_default(), path)
}

fn seen_from(here: &Path, path: &Path) -> PathBuf {
    let common =
        here.ancestors().enumerate().find_map(|(up, common)| Some((up, common, path.strip_prefix(common).ok()?)));
    match common {
        Some((0, _, below)) => below.to_path_buf(),
        Some((up, common, below)) if common.join("Cargo.toml").is_file() => {
            let mut seen: PathBuf = iter::repeat_n("..", up).collect();
            seen.push(below);
            seen
        }
        _ => path.to_path_buf(),
    }
}

/// The folder of the Cargo.toml that a command is about, where there is one.
pub(crate) fn nearest(args: &CargoArgs) -> Option<PathBuf> {
    let manifest = match &args.manifest_path {
        Some(manifest) => manifest.clone(),
        None => nearest_manifest(&env::current_dir().ok()?).ok()?,
    };
    manifest.parent().map(Path::to_path_buf)
}

fn not_loaded() -> Stop {
    Stop::new(Exit::Failed, "could not load the project").code(failure::BAD_PROJECT)
}

fn nearest_manifest(from: &Path) -> Result<PathBuf, Stop> {
    from.ancestors().map(|folder| folder.join("Cargo.toml")).find(|manifest| manifest.is_file()).ok_or_else(|| {
        let message = format!("could not find `Cargo.toml` in `{}` or any folder above it", from.display());
        let stop = Stop::new(Exit::Failed, message).code(failure::NO_PROJECT);
        stop.help("`cargo torvyn new NAME --template pipeline` begins a project")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_a_project_are_told_from_the_current_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("Cargo.toml"), "").unwrap();
        let seen = |here: &str, path: &Path| seen_from(&root.join(here), path).to_str().unwrap().to_string();
        assert_eq!(seen("", &root.join("a/Cargo.toml")), "a/Cargo.toml");
        assert_eq!(seen("a", &root.join("a/Cargo.toml")), "Cargo.toml");
        assert_eq!(seen("a/src", &root.join("wit/worlds.wit")), "../../wit/worlds.wit");
        // What is elsewhere is named whole.
        assert_eq!(seen("a", Path::new("/rustc/library/lib.rs")), "/rustc/library/lib.rs");
        assert_eq!(seen("a", Path::new("b/lib.rs")), "b/lib.rs");
    }
}
