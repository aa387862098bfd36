//! Finds the workspace around a new project and adds the project to its members.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use torvyn_runtime::base::regular_file;

use crate::fs::atomic_file;
use crate::output::shell::Shell;
use crate::process::interrupt;

pub(crate) use self::collisions::NewProject;

mod collisions;

/// How long another run of this program may keep the workspace locked. It should only take as long as writing a manifest.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to check the lock.
const LOOK: Duration = Duration::from_millis(5);

/// The workspace that a new project would be in.
#[derive(Debug)]
pub(crate) struct EnclosingWorkspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Whether `torvyn-guest` is among its `[workspace.dependencies]`.
    pub(crate) has_guest: bool,
    text: String,
    members: Option<Spanned<Vec<Spanned<String>>>>,
    exclude: Vec<String>,
}

/// The manifest of the workspace with a new member.
#[derive(Debug)]
pub(crate) struct Manifest {
    path: PathBuf,
    member: String,
    /// `None` if a pattern covers the member already.
    text: Option<String>,
}

#[derive(Deserialize)]
struct CargoToml {
    workspace: Option<WorkspaceTable>,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    members: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, IgnoredAny>,
}

/// The nearest workspace above `project`, an absolute path, that does not exclude it.
///
/// # Errors
///
/// If a Cargo.toml above the project cannot be read.
pub(crate) fn find_enclosing(project: &Path) -> anyhow::Result<Option<EnclosingWorkspace>> {
    for root in project.ancestors().skip(1) {
        if let Some(around) = read(root)?.filter(|around| around.excluded_by(project).is_none()) {
            return Ok(Some(around));
        }
    }
    Ok(None)
}

/// The nearest workspace above `project`, whether it excludes the project or not.
///
/// # Errors
///
/// As [`find_enclosing`].
pub(crate) fn nearest(project: &Path) -> anyhow::Result<Option<EnclosingWorkspace>> {
    for root in project.ancestors().skip(1) {
        if let Some(around) = read(root)? {
            return Ok(Some(around));
        }
    }
    Ok(None)
}

/// The workspace whose Cargo.toml is in this folder, if any.
fn read(root: &Path) -> anyhow::Result<Option<EnclosingWorkspace>> {
    let path = root.join("Cargo.toml");
    if !path.is_file() {
        return Ok(None);
    }
    let text = regular_file::read_to_string(&path).with_context(|| format!("could not read `{}`", path.display()))?;
    let manifest: CargoToml = toml::from_str(&text).with_context(|| format!("could not parse `{}`", path.display()))?;
    Ok(manifest.workspace.map(|workspace| EnclosingWorkspace {
        root: root.to_owned(),
        has_guest: workspace.dependencies.contains_key("torvyn-guest"),
        text,
        members: workspace.members,
        exclude: workspace.exclude,
    }))
}

impl EnclosingWorkspace {
    /// Adds `project`, a folder in the workspace, to the members in the manifest.
    ///
    /// # Errors
    ///
    /// If the path of the project is not valid in a manifest.
    pub(crate) fn with_member(&self, project: &Path) -> anyhow::Result<Manifest> {
        let member = self.path_to(project).context("the path of the project is not valid in a manifest")?;
        let text = if self.covered(project).is_some() { None } else { Some(self.insert_member(&member)?) };
        Ok(Manifest { path: self.root.join("Cargo.toml"), member, text })
    }

    /// The path to `project`, if it is among the members already.
    pub(crate) fn covered(&self, project: &Path) -> Option<String> {
        self.path_to(project).filter(|member| self.listed().iter().any(|listed| covers(listed.get_ref(), member)))
    }

    /// The entry of `exclude` that keeps `project` out of the workspace. An explicit member is not excluded.
    pub(crate) fn excluded_by(&self, project: &Path) -> Option<&str> {
        let is_above = |folder: &str| project.starts_with(self.root.join(folder));
        let is_member = self.listed().iter().any(|member| is_above(member.get_ref()));
        self.exclude.iter().map(String::as_str).find(|excluded| !is_member && is_above(excluded))
    }

    fn listed(&self) -> &[Spanned<String>] {
        self.members.as_ref().map(|members| members.get_ref().as_slice()).unwrap_or_default()
    }

    /// The path to `project` as a manifest writes it.
    fn path_to(&self, project: &Path) -> Option<String> {
        Some(project.strip_prefix(&self.root).ok()?.to_str()?.replace('\\', "/"))
    }

    fn insert_member(&self, member: &str) -> anyhow::Result<String> {
        let quoted = toml::Value::String(member.to_owned()).to_string();
        let (at, inserted) = match (&self.members, self.listed().last()) {
            (Some(_), Some(last)) => (last.span().end, format!(",{}{quoted}", self.space_before(last.span().start))),
            (Some(members), None) => (members.span().start + 1, quoted),
            (None, _) => {
                let header = |begin| self.text.lines().find(|line| line.trim_start().starts_with(begin));
                let begin = |line: &str| line.as_ptr() as usize - self.text.as_ptr() as usize;
                match (header("[workspace]"), header("[workspace.")) {
                    (Some(header), _) => (begin(header) + header.len(), format!("\nmembers = [{quoted}]")),
                    // Tables such as `[workspace.package]` make a workspace too.
                    (None, Some(table)) => (begin(table), format!("[workspace]\nmembers = [{quoted}]\n\n")),
                    (None, None) => bail!("the workspace has no `members` to add to"),
                }
            }
        };
        let mut text = self.text.clone();
        text.insert_str(at, &inserted);
        Ok(text)
    }

    /// The white space before position `at`, which is repeated before the new member.
    fn space_before(&self, at: usize) -> &str {
        let before = &self.text[..at];
        let space = &before[before.trim_end().len()..];
        if space.is_empty() { " " } else { space }
    }
}

/// Whether a pattern of `members` matches, as in cargo: `*` and `?` match within one folder name, `**` any folders.
fn covers(pattern: &str, member: &str) -> bool {
    let parts: Vec<_> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    match glob::Pattern::new(&parts.join("/")) {
        Ok(pattern) => pattern.matches_with(member, options),
        Err(_) => false,
    }
}

/// Keeps other runs of this program from adding members until the lock is dropped.
fn lock(root: &Path) -> anyhow::Result<File> {
    let (folder, began) = (File::open(root)?, Instant::now());
    loop {
        match folder.try_lock() {
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(folder),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => interrupt::sleep(LOOK)?,
            Err(TryLockError::WouldBlock) => {
                bail!("another process has kept `{}` locked for {} s", root.display(), PATIENCE.as_secs())
            }
        }
    }
}

impl Manifest {
    /// Writes the manifest, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then the manifest is unchanged.
    pub(crate) fn write(self, shell: &mut Shell) -> anyhow::Result<()> {
        if self.text.is_none() {
            return Ok(());
        }
        let root = self.path.parent().unwrap_or(&self.path);
        let refused = || format!("could not write `{}`", self.path.display());
        let _lock = lock(root).with_context(refused)?;
        // Another process may have added members since it was read.
        let around = read(root)?.context("it is no longer a workspace").with_context(refused)?;
        if !around.listed().iter().any(|listed| covers(listed.get_ref(), &self.member)) {
            atomic_file::write(&self.path, around.insert_member(&self.member)?.as_bytes()).with_context(refused)?;
        }
        shell.status("Adding", format_args!("`{}` as member of workspace at `{}`", self.member, root.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn added(manifest: &str, member: &str) -> Option<String> {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("Cargo.toml"), manifest).unwrap();
        let project = temp.path().join(member);
        let text = find_enclosing(&project).unwrap().unwrap().with_member(&project).unwrap().text;
        if let Some(text) = &text {
            let parsed: toml::Table = toml::from_str(text).unwrap();
            let members = parsed["workspace"]["members"].as_array().unwrap();
            assert_eq!(members.last().unwrap().as_str(), Some(member));
        }
        text
    }

    #[test]
    fn adds_a_member_in_the_style_of_the_manifest() {
        let cases = [
            ("[workspace]\nmembers = [\"a\"] # all\n", "[workspace]\nmembers = [\"a\", \"x/b\"] # all\n"),
            (
                "[workspace]\nmembers = [\n    \"a\",\n    \"c\", # late\n]\n",
                "[workspace]\nmembers = [\n    \"a\",\n    \"c\",\n    \"x/b\", # late\n]\n",
            ),
            ("[workspace]\nmembers = []\n", "[workspace]\nmembers = [\"x/b\"]\n"),
            ("[workspace]\nresolver = \"3\"\n", "[workspace]\nmembers = [\"x/b\"]\nresolver = \"3\"\n"),
            (
                "[workspace.package]\nversion = \"1.0.0\"\n",
                "[workspace]\nmembers = [\"x/b\"]\n\n[workspace.package]\nversion = \"1.0.0\"\n",
            ),
        ];
        for (before, after) in cases {
            assert_eq!(added(before, "x/b").as_deref(), Some(after));
        }
    }

    #[test]
    fn does_not_add_a_covered_member() {
        assert_eq!(added("[workspace]\nmembers = [\"x/*\"]\n", "x/b"), None);
        for pattern in ["./x/b/", "*/b", "x/?", "**/b", "x/[a-c]"] {
            assert_eq!(added(&format!("[workspace]\nmembers = [\"{pattern}\"]\n"), "x/b"), None, "{pattern}");
        }
    }

    #[test]
    fn skips_workspaces_that_exclude_the_project() {
        let temp = tempfile::tempdir().unwrap();
        let manifest = |folder: &str, text| {
            fs::create_dir_all(temp.path().join(folder)).unwrap();
            fs::write(temp.path().join(folder).join("Cargo.toml"), text).unwrap();
        };
        manifest("", "[workspace]\nexclude = [\"out\"]\n[workspace.dependencies]\ntorvyn-guest = { path = \"wit\" }\n");
        manifest("a", "[package]\nname = \"a\"\n");
        let found = find_enclosing(&temp.path().join("a/new")).unwrap().unwrap();
        assert_eq!((found.root.as_path(), found.has_guest), (temp.path(), true));
        assert!(find_enclosing(&temp.path().join("out/new")).unwrap().is_none_or(|found| found.root != temp.path()));
        let excluding = nearest(&temp.path().join("out/new")).unwrap().unwrap();
        assert_eq!(excluding.excluded_by(&temp.path().join("out/new")), Some("out"));
    }
}
