//! The folder that displayed paths are relative to.

use std::path::{Component, Path, PathBuf};

use crate::exit::Place;
use crate::output::diagnostic::{Label, Sources};
use crate::output::region::Region;

/// The folder that displayed paths are relative to; by default, paths stay as people see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Viewpoint {
    here: PathBuf,
    /// An absolute path; empty if paths stay as people see them.
    pub(crate) root: PathBuf,
}

impl Viewpoint {
    /// `here` is the folder that relative paths start from. Both folders are absolute.
    pub(crate) fn new(here: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Viewpoint { here: here.into(), root: root.into() }
    }

    /// The path of a file relative to the root, or absolute if the file is outside of it.
    pub(crate) fn path(&self, file: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() {
            return file.to_path_buf();
        }
        let absolute = without_dots(&self.here.join(file));
        absolute.strip_prefix(&self.root).map(Path::to_path_buf).unwrap_or(absolute)
    }
}

/// The place of a label.
pub(crate) fn place(label: &Label, sources: &Sources, seen: &Viewpoint) -> Place {
    let start = sources.text(&label.file).map(|text| Region::new(text, &label.span).start);
    let (line, column) = start.unzip();
    Place { file: seen.path(&label.file).to_string_lossy().into_owned(), line, column }
}

/// The root for a code host: the git work tree that contains `folder`, or else `folder`.
pub(crate) fn repository(folder: &Path) -> &Path {
    let is_root = |folder: &&Path| {
        let git = folder.join(".git");
        // It is a file in a linked work tree and in a submodule. An empty folder of that name does not count.
        git.is_file() || git.join("HEAD").is_file()
    };
    folder.ancestors().find(is_root).unwrap_or(folder)
}

/// Removes `.` and `..` lexically, without access to the file system: `a/../b` becomes `b`.
pub(crate) fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => _ = plain.pop(),
            _ => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_work_tree() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let below = root.join("services/logs");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(repository(&below), below);
        std::fs::create_dir_all(root.join("services/.git")).unwrap();
        assert_eq!(repository(&below), below, "a folder that git did not make");
        std::fs::create_dir(root.join(".git")).unwrap();
        std::fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(repository(&below), root);
        // A linked work tree.
        std::fs::remove_dir(root.join("services/.git")).unwrap();
        std::fs::write(root.join("services/.git"), "gitdir: ../elsewhere\n").unwrap();
        assert_eq!(repository(&below), root.join("services"));
    }

    #[test]
    fn paths_are_relative_to_the_root() {
        let seen = |file: &str| Viewpoint::new("/ws/a/src", "/ws").path(Path::new(file)).to_str().unwrap().to_string();
        assert_eq!(seen("lib.rs"), "a/src/lib.rs");
        assert_eq!(seen("../../Torvyn.toml"), "Torvyn.toml");
        assert_eq!(seen("./../Cargo.toml"), "a/Cargo.toml");
        assert_eq!(seen("/ws/b/Cargo.toml"), "b/Cargo.toml");
        assert_eq!(seen("/other/Cargo.toml"), "/other/Cargo.toml");
        assert_eq!(seen("../../../other.wasm"), "/other.wasm");
    }
}
