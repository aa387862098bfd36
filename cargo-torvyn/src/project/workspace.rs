//! The project that a command works on: its workspace, and the packages that are stages.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package, PackageId, Target, TargetKind};
use spec::Spec;

use crate::cli::CargoArgs;
use crate::exit::{Exit, Stop};
use crate::fs::paths::from_here;
use crate::manifest::Unfit;
use crate::output::diagnostic::suggestion;
use crate::output::shell::Shell;
use crate::output::{codes, failure};
use crate::project::toolchain;

mod spec;

/// A workspace as cargo sees it. A package in no workspace is a workspace of its own.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
    /// The manifest that the command is about: `--manifest-path`, or the nearest one.
    manifest: PathBuf,
}

/// A package that builds a component: a `cdylib` with `[package.metadata.torvyn]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    /// The name of the package.
    pub(crate) package: String,
    /// Its package id, which cargo accepts for any package and which is never ambiguous.
    pub(crate) id: String,
    /// Its Cargo.toml.
    pub(crate) manifest: PathBuf,
    /// The target that builds the component.
    pub(crate) target: Target,
}

impl Stage {
    /// The name of the component file.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.wasm", self.target.name.replace('-', "_"))
    }
}

impl Workspace {
    /// Whether a manifest is given, or the current folder is in a project.
    pub(crate) fn is_here(args: &CargoArgs) -> bool {
        args.manifest_path.is_some() || env::current_dir().is_ok_and(|here| nearest_manifest(&here).is_ok())
    }

    /// Loads the workspace from `cargo metadata`. Resolves no dependencies and needs no network.
    ///
    /// # Errors
    ///
    /// If there is no project, or its Cargo.toml is invalid.
    pub(crate) fn load(args: &CargoArgs) -> anyhow::Result<Workspace> {
        let manifest = match &args.manifest_path {
            Some(manifest) => manifest.clone(),
            None => nearest_manifest(&env::current_dir().context("could not read the current folder")?)?,
        };
        let mut command = MetadataCommand::new();
        command.cargo_path(toolchain::cargo()).no_deps().manifest_path(&manifest);
        let printed = toolchain::run_for_stdout(&mut command.cargo_command()).with_context(not_loaded)?;
        let printed = printed.ok_or_else(|| {
            Stop::new(Exit::SetupMissing, "`cargo` was not found").help(format!("install Rust: {}", toolchain::RUSTUP))
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

    /// The folders of its packages: its own, and those of local packages elsewhere that they depend on.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let dependencies = self.metadata.packages.iter().flat_map(|package| &package.dependencies);
        let elsewhere = dependencies.filter_map(|dependency| dependency.path.as_deref());
        let elsewhere = elsewhere.filter(|path| !path.starts_with(&self.metadata.workspace_root));
        [self.root()].into_iter().chain(elsewhere.map(AsRef::as_ref)).map(from_here).collect()
    }

    /// The files that cargo reads to build its packages, as far as they are known before a build: manifests, the lock file,
    /// settings, and the root file of each target.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let root = self.root();
        let settings = [
            "Cargo.toml",
            "Cargo.lock",
            ".cargo/config.toml",
            ".cargo/config",
            "rust-toolchain.toml",
            "rust-toolchain",
        ];
        let packages = &self.metadata.packages;
        let own = packages.iter().map(|package| &package.manifest_path);
        let targets = packages.iter().flat_map(|package| &package.targets).map(|target| &target.src_path);
        let beneath = packages.iter().flat_map(|package| &package.dependencies);
        let beneath =
            beneath.filter_map(|dependency| Some(dependency.path.as_ref()?.join("Cargo.toml").into_std_path_buf()));
        let named = own.chain(targets).map(|path| path.as_std_path().to_path_buf()).chain(beneath);
        let mut files: Vec<_> =
            settings.iter().map(|file| root.join(file)).chain(named).map(|path| from_here(&path)).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The target folder.
    pub(crate) fn target_dir(&self, args: &CargoArgs) -> PathBuf {
        match &args.target_dir {
            Some(folder) => env::current_dir().unwrap_or_default().join(folder),
            None => self.metadata.target_directory.as_std_path().to_path_buf(),
        }
    }

    /// Where cargo puts the component of a stage.
    pub(crate) fn component(&self, stage: &Stage, args: &CargoArgs) -> PathBuf {
        profile_folder(self.target_dir(args), args).join(stage.file_name())
    }

    /// Where the compiler puts the component of a stage.
    pub(crate) fn compiled(&self, stage: &Stage, args: &CargoArgs) -> PathBuf {
        profile_folder(self.build_dir(args), args).join("deps").join(stage.file_name())
    }

    /// The folder for intermediate files; the target folder unless configured otherwise.
    pub(crate) fn build_dir(&self, args: &CargoArgs) -> PathBuf {
        match &self.metadata.build_directory {
            Some(folder) if *folder != self.metadata.target_directory => folder.as_std_path().to_path_buf(),
            _ => self.target_dir(args),
        }
    }

    /// Why a package is not a stage; `None` if it is one, or if there is no such package.
    pub(crate) fn unfit(&self, name: &str) -> Option<Unfit> {
        self.metadata.workspace_packages().into_iter().find(|package| package.name == name).and_then(unfit)
    }

    /// The stages that the flags select: the named ones, or else those that cargo would build here.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if a package is unknown or not a stage, or if no stage is selected.
    pub(crate) fn select(&self, flags: &clap_cargo::Workspace, shell: &mut Shell) -> anyhow::Result<Vec<Stage>> {
        let all = flags.workspace || flags.all || !flags.exclude.is_empty();
        let packages = if !flags.package.is_empty() {
            self.named_packages(&flags.package)?
        } else if all {
            self.metadata.workspace_packages()
        } else {
            self.default_packages()
        };
        let excluded = self.excluded_packages(&flags.exclude, shell)?;
        let packages: Vec<_> = packages.into_iter().filter(|package| !excluded.contains(&package.id)).collect();
        let mut selected: Vec<_> = packages.iter().copied().filter_map(stage).collect();
        if !selected.is_empty() {
            // A package with torvyn metadata is meant to be a stage.
            let declared = packages.iter().filter(|package| package.metadata.get("torvyn").is_some());
            for Unfit { why, help } in declared.filter_map(|package| unfit(package)) {
                shell.warn(format_args!("{why}; {help}"))?;
            }
        }
        selected.sort_by(|a, b| a.package.cmp(&b.package));
        selected.dedup();
        if selected.is_empty() { Err(self.no_stage(&packages).into()) } else { Ok(selected) }
    }

    /// The names of the packages that these specifications and patterns match, as with cargo's `--package`.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if one of them matches no package.
    pub(crate) fn package_names(&self, specs: &[String]) -> Result<Vec<String>, Stop> {
        let mut names = Vec::new();
        for text in specs {
            names.extend(self.matching_packages(text)?.into_iter().map(|package| package.name.to_string()));
        }
        Ok(names)
    }

    /// The names of the excluded packages. Warns if a specification matches none, as cargo does.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if a specification is invalid.
    pub(crate) fn excluded_names(&self, specs: &[String], shell: &mut Shell) -> anyhow::Result<Vec<String>> {
        let excluded = self.excluded_packages(specs, shell)?;
        let packages = self.metadata.workspace_packages().into_iter();
        Ok(packages.filter(|package| excluded.contains(&package.id)).map(|package| package.name.to_string()).collect())
    }

    /// The named packages. A package that is named alone must be a stage; of the matches of a pattern only some need to be.
    fn named_packages(&self, specs: &[String]) -> Result<Vec<&Package>, Stop> {
        let mut named = Vec::new();
        for text in specs {
            let packages = self.matching_packages(text)?;
            if let [package] = packages[..]
                && let Some(Unfit { why, help }) = unfit(package)
            {
                return Err(Stop::new(Exit::Failed, why).code(failure::PACKAGE_NOT_A_STAGE).help(help));
            }
            named.extend(packages);
        }
        Ok(named)
    }

    fn matching_packages(&self, text: &str) -> Result<Vec<&Package>, Stop> {
        let spec = Spec::parse(text)?;
        let members = self.metadata.workspace_packages();
        let packages: Vec<_> = members.iter().copied().filter(|package| spec.matches(package)).collect();
        if !packages.is_empty() {
            return Ok(packages);
        }
        let names: Vec<_> = members.iter().map(|package| package.name.as_str()).collect();
        let what = if spec.is_pattern() { "package matches" } else { "package" };
        let message = format!("no {what} `{}` in `{}`", text.escape_debug(), self.root().display());
        Err(Stop::new(Exit::Failed, message).code(codes::UNKNOWN_PACKAGE).help(suggestion(text, "packages", &names)))
    }

    fn excluded_packages(&self, specs: &[String], shell: &mut Shell) -> anyhow::Result<Vec<PackageId>> {
        let mut excluded = Vec::new();
        for text in specs {
            let spec = Spec::parse(text)?;
            let members = self.metadata.workspace_packages().into_iter();
            let ids: Vec<_> =
                members.filter(|package| spec.matches(package)).map(|package| package.id.clone()).collect();
            if ids.is_empty() {
                let root = self.root().display();
                shell.warn(format_args!(
                    "excluded package `{}` is not in the workspace `{root}`",
                    text.escape_debug()
                ))?;
            }
            excluded.extend(ids);
        }
        Ok(excluded)
    }

    /// The packages that cargo would build without flags: the member of the current folder, or the default members.
    fn default_packages(&self) -> Vec<&Package> {
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

    /// No stage is selected. For a single package, says what it lacks.
    fn no_stage(&self, packages: &[&Package]) -> Stop {
        let stop = Stop::new(Exit::NothingSelected, format!("no stage is selected in `{}`", self.root().display()));
        match packages {
            [package] if let Some(Unfit { why, help }) = unfit(package) => stop.help(format!("{why}; {help}")),
            _ => stop.help(WHAT_A_STAGE_IS),
        }
    }
}

/// The output folder of the profile.
fn profile_folder(target_dir: PathBuf, args: &CargoArgs) -> PathBuf {
    // Named after the profile, except for `dev`, whose folder is older than named profiles.
    let profile = match args.profile() {
        "dev" => "debug",
        profile => profile,
    };
    target_dir.join(toolchain::TARGET).join(profile)
}

const WHAT_A_STAGE_IS: &str = "a stage has `crate-type = [\"cdylib\"]` and `[package.metadata.torvyn]` in its \
                               Cargo.toml; `cargo torvyn new NAME --template router` creates one";

fn stage(package: &Package) -> Option<Stage> {
    package.metadata.get("torvyn")?;
    // An example can be a `cdylib` too, but is not the component of the package.
    let target = package.targets.iter().find(|target| target.is_kind(TargetKind::CDyLib))?;
    Some(Stage {
        package: package.name.to_string(),
        id: package.id.repr.clone(),
        manifest: from_here(package.manifest_path.as_std_path()),
        target: target.clone(),
    })
}

/// What a package lacks to be a stage.
fn unfit(package: &Package) -> Option<Unfit> {
    let manifest = from_here(package.manifest_path.as_std_path());
    let (mut why, mut help) = (Vec::new(), Vec::new());
    if !package.targets.iter().any(|target| target.crate_types.contains(&CrateType::CDyLib)) {
        let library = package.targets.iter().find(|target| is_library(target));
        why.push(match library {
            Some(library) => {
                let types: Vec<_> = library.crate_types.iter().map(|kind| format!("`{kind}`")).collect();
                format!("the type of its library is {}, not `cdylib`", types.join(" and "))
            }
            None => "it has no library".to_string(),
        });
        let is_macro = package.targets.iter().any(|target| target.is_kind(TargetKind::ProcMacro));
        help.push(match is_macro {
            true => "`crate-type = [\"cdylib\"]` in place of `proc-macro = true`",
            false => "`crate-type = [\"cdylib\"]` below `[lib]`",
        });
    }
    if package.metadata.get("torvyn").is_none() {
        why.push("it has no `[package.metadata.torvyn]`".to_string());
        help.push("`[package.metadata.torvyn]` with its world, as `world = \"router\"`");
    }
    (!why.is_empty()).then(|| Unfit {
        why: format!("package `{}` is not a stage: {}", package.name, why.join(", and ")),
        help: format!("write {} in `{}`", help.join(" and "), manifest.display()),
    })
}

fn is_library(target: &Target) -> bool {
    let library = [TargetKind::Lib, TargetKind::RLib, TargetKind::DyLib, TargetKind::CDyLib, TargetKind::StaticLib];
    target.kind.iter().any(|kind| library.contains(kind) || *kind == TargetKind::ProcMacro)
}

/// The folder of the Cargo.toml that a command is about, if there is one.
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
        stop.help("`cargo torvyn new NAME --template pipeline` creates a project")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::paths::seen_from;

    #[test]
    fn shows_paths_relative_to_the_current_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("Cargo.toml"), "").unwrap();
        let seen = |here: &str, path: &Path| seen_from(&root.join(here), path).to_str().unwrap().to_string();
        assert_eq!(seen("", &root.join("a/Cargo.toml")), "a/Cargo.toml");
        assert_eq!(seen("a", &root.join("a/Cargo.toml")), "Cargo.toml");
        assert_eq!(seen("a/src", &root.join("wit/worlds.wit")), "../../wit/worlds.wit");
        // Paths elsewhere are shown in full.
        assert_eq!(seen("a", Path::new("/rustc/library/lib.rs")), "/rustc/library/lib.rs");
        assert_eq!(seen("a", Path::new("b/lib.rs")), "b/lib.rs");
    }
}
