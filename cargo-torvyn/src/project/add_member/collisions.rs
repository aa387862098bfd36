//! Refuses a new project that would collide with packages of the enclosing workspace or with other folders, or that would lie
//! in a folder whose contents cargo or git do not keep. Checked before any file is written: later, every command would fail.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use torvyn_runtime::base::text;

use super::EnclosingWorkspace;
use crate::cli::Vcs;
use crate::exit::{Exit, Stop};
use crate::fs::paths::from_here;
use crate::project::scaffold::{Template, name};
use crate::project::toolchain;

/// Marks folders whose contents can be regenerated: <https://bford.info/cachedir/>.
const CACHE_MARK: &str = "CACHEDIR.TAG";
const ANOTHER_FOLDER: &str = "name another folder";
const ANOTHER_NAME: &str = "choose another name with `--name NAME`";

/// A project to be created.
pub(crate) struct NewProject<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its folder, as an absolute path without links.
    pub(crate) destination: &'a Path,
    /// Its template.
    pub(crate) template: &'a Template,
    /// The choice of version control, if any.
    pub(crate) vcs: Option<Vcs>,
}

impl NewProject<'_> {
    /// Checks for collisions, with the enclosing workspace `around` if there is one. `joins` is the same workspace if the
    /// project is to become a member of it.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that names the collision, or an error if cargo cannot load the workspace to join.
    pub(crate) fn refuse_collisions(
        &self,
        around: Option<&EnclosingWorkspace>,
        joins: Option<&EnclosingWorkspace>,
    ) -> anyhow::Result<()> {
        self.refuse_folder_names(joins.is_some())?;
        let metadata = self.metadata_around().transpose();
        if joins.is_some() || self.vcs != Some(Vcs::None) {
            self.refuse_cleaned_folder(metadata.as_ref().ok().and_then(Option::as_ref))?;
        }
        self.refuse_ignored_folder()?;
        match (joins, around) {
            (Some(workspace), _) => {
                let root = workspace.root.display();
                match metadata {
                    Ok(metadata) => metadata.iter().try_for_each(|metadata| self.refuse_packages(metadata))?,
                    // Cargo cannot load a workspace with a pattern that matches nothing: the project may be its first match.
                    Err(_) if workspace.covered(self.destination).is_some() => {}
                    Err(error) => return Err(error.context(format!("could not load the workspace `{root}`"))),
                }
            }
            (None, Some(workspace)) => self.refuse_second_workspace(workspace)?,
            (None, None) => {}
        }
        if self.template.is_stage()
            && let Some(workspace) = super::nearest(self.destination)?.filter(|workspace| workspace.has_guest)
            && let Some(entry) = workspace.excluded_by(self.destination)
        {
            let manifest = from_here(&workspace.root.join("Cargo.toml"));
            let message = format!("`{}` is excluded from the workspace `{}`", self.shown(), workspace.root.display());
            let help = format!("{ANOTHER_FOLDER}, or remove `{entry}` from `exclude` in `{}`", manifest.display());
            return Err(Stop::new(Exit::Failed, message).help(help).into());
        }
        Ok(())
    }

    fn shown(&self) -> String {
        from_here(self.destination).display().to_string()
    }

    /// The folders to be created, outermost first: each parent with the name of the new folder.
    fn new_folders(&self) -> impl Iterator<Item = (&Path, &str)> {
        let existing = self.existing();
        let new: Vec<_> = self.destination.ancestors().take_while(|folder| *folder != existing).collect();
        new.into_iter().rev().filter_map(|folder| Some((folder.parent()?, folder.file_name()?.to_str()?)))
    }

    /// The innermost existing folder around the project.
    fn existing(&self) -> &Path {
        self.destination.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
    }

    /// Refuses folder names that are not portable, or that name an existing folder on some systems.
    fn refuse_folder_names(&self, is_member: bool) -> Result<(), Stop> {
        for (parent, name) in self.new_folders() {
            let reason = if name::is_device(name) {
                "Windows keeps this name for a device".to_owned()
            } else if let Some(letter) = name.chars().find(|letter| "<>:\"|?*\\".contains(*letter)) {
                // In the members of a workspace, `\` separates folders too.
                format!("Windows does not allow `{letter}` in a name")
            } else if text::visible(name, usize::MAX, false) != name {
                "it has invisible characters".to_owned()
            } else if name.ends_with(['.', ' ']) {
                "Windows drops a `.` or a space at the end".to_owned()
            } else if is_member && name.contains(['[', ']']) {
                "`[` and `]` are patterns in the members of a workspace".to_owned()
            } else if let Some(other) = same_but_for_case(parent, name) {
                format!("`{other}` is the same folder on Windows and macOS")
            } else {
                continue;
            };
            let message = format!("cannot create the folder `{}`: {reason}", text::visible(name, usize::MAX, false));
            return Err(Stop::new(Exit::Failed, message).help(ANOTHER_FOLDER));
        }
        Ok(())
    }

    /// The cargo metadata of the nearest project around it; `None` if there is none, or no cargo.
    fn metadata_around(&self) -> Option<anyhow::Result<Metadata>> {
        let manifest = self.destination.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
        let manifest = manifest.into_iter().find(|manifest| manifest.is_file())?;
        let mut command = MetadataCommand::new();
        command.cargo_path(toolchain::cargo()).no_deps().manifest_path(manifest);
        let printed = toolchain::run_for_stdout(&mut command.cargo_command()).transpose()?;
        Some(printed.and_then(|printed| MetadataCommand::parse(printed).context("could not read what cargo says")))
    }

    /// Refuses folders that `cargo clean` deletes. The caller allows them for separate projects without version control.
    fn refuse_cleaned_folder(&self, around: Option<&Metadata>) -> Result<(), Stop> {
        let target = around.map(|metadata| metadata.target_directory.as_std_path());
        let cleaned = target.filter(|target| self.destination.starts_with(target));
        let marked = || self.destination.ancestors().skip(1).find(|folder| folder.join(CACHE_MARK).is_file());
        let Some(folder) = cleaned.or_else(marked) else { return Ok(()) };
        let (shown, folder) = (self.shown(), from_here(folder));
        let message = format!("`{shown}` is in `{}`, which tools like `cargo clean` delete", folder.display());
        Err(Stop::new(Exit::Failed, message).help(ANOTHER_FOLDER))
    }

    /// Refuses folders that git does not track.
    fn refuse_ignored_folder(&self) -> Result<(), Stop> {
        let shown = self.shown();
        if self.destination.components().any(|part| part == Component::Normal(".git".as_ref())) {
            let message = format!("`{shown}` is in `.git`, where git keeps its own files");
            return Err(Stop::new(Exit::Failed, message).help(ANOTHER_FOLDER));
        }
        if self.vcs.is_none() && self.is_ignored() {
            let stop = Stop::new(Exit::Failed, format!("git ignores `{shown}`"));
            return Err(stop.help(format!("{ANOTHER_FOLDER}, or add `--vcs none` if git should not track it")));
        }
        Ok(())
    }

    /// Whether git is installed and ignores the folder.
    fn is_ignored(&self) -> bool {
        let mut folder = self.destination.as_os_str().to_owned();
        // A pattern may match folders only, and this folder does not exist yet.
        folder.push("/");
        let mut git = Command::new("git");
        git.args(["check-ignore", "--quiet", "--"]).arg(folder).current_dir(self.existing());
        git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        git.status().is_ok_and(|status| status.success())
    }

    /// Refuses the name, or the component file, of another package.
    fn refuse_packages(&self, metadata: &Metadata) -> Result<(), Stop> {
        let name = self.name;
        for package in metadata.workspace_packages() {
            let Some(file) = same_artifact(package, name) else { continue };
            let manifest = from_here(package.manifest_path.as_std_path());
            let manifest = manifest.display();
            let message = if package.name == name {
                format!("the workspace already has a package `{name}`: `{manifest}`")
            } else {
                let other = &package.name;
                format!("package `{name}` would build the file `{file}.wasm`, as `{other}` does: `{manifest}`")
            };
            return Err(Stop::new(Exit::Failed, message).help(ANOTHER_NAME));
        }
        // Two local packages with the same name, and perhaps the same version, cannot both be in Cargo.lock.
        let dependencies = metadata.packages.iter().flat_map(|package| &package.dependencies);
        if let Some(folder) = dependencies.filter(|other| other.name == name).find_map(|other| other.path.as_ref()) {
            let manifest = from_here(folder.join("Cargo.toml").as_std_path());
            let message = format!("the workspace already has a dependency `{name}`: `{}`", manifest.display());
            return Err(Stop::new(Exit::Failed, message).help(ANOTHER_NAME));
        }
        Ok(())
    }

    /// Refuses a separate workspace that the enclosing workspace would cover, itself or one of its packages.
    fn refuse_second_workspace(&self, around: &EnclosingWorkspace) -> Result<(), Stop> {
        let packages = self.template.packages().map(|package| self.destination.join(package));
        let all: Vec<PathBuf> = [self.destination.to_path_buf()].into_iter().chain(packages).collect();
        let Some(covered) = all.iter().find_map(|package| around.covered(package)) else { return Ok(()) };
        let root = around.root.display();
        let path = self.destination.strip_prefix(&around.root).unwrap_or(self.destination).display();
        let message = format!("`{covered}` would be a member of two workspaces: `{root}` and the new project");
        let manifest = from_here(&around.root.join("Cargo.toml"));
        let help = format!("{ANOTHER_FOLDER}, or add `{path}` to `exclude` in `{}` first", manifest.display());
        Err(Stop::new(Exit::Failed, message).help(help))
    }
}

/// A folder or file in `parent` whose name differs only in case.
fn same_but_for_case(parent: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(parent).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.into_iter().find(|other| other != name && other.to_lowercase() == name.to_lowercase())
}

/// The output of a package that a component of this name would overwrite, or the package itself.
fn same_artifact(package: &Package, name: &str) -> Option<String> {
    // Examples and tests are built in separate folders, and build scripts for another target.
    let apart = [TargetKind::Example, TargetKind::Test, TargetKind::Bench, TargetKind::CustomBuild];
    let targets = package.targets.iter().filter(|target| !target.kind.iter().any(|kind| apart.contains(kind)));
    let names = targets.map(|target| target.name.as_str()).chain([package.name.as_str()]);
    names.map(name::artifact).find(|other| *other == name::artifact(name))
}
