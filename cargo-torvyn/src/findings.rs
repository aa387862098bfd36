//! Diagnostics for programs: as the messages of rustc that editors read, and as SARIF for code hosts. Knows nothing of
//! what is wrong; how it looks on a terminal is in `diagnostic`.

use std::path::{Component, Path, PathBuf};

pub(crate) use message::{About, message};
pub(crate) use sarif::sarif;

mod message;
mod region;
mod sarif;

/// Where files are seen from: programs take paths relative to the folder of the workspace, as those of rustc are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewpoint {
    here: PathBuf,
    root: PathBuf,
}

impl Viewpoint {
    /// `here` is the folder that paths which are not absolute are relative to; both are absolute.
    pub(crate) fn new(here: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Viewpoint { here: here.into(), root: root.into() }
    }

    /// The path of a file from the folder of the workspace; absolute where it is outside of it.
    fn path(&self, file: &Path) -> PathBuf {
        let absolute = without_dots(&self.here.join(file));
        absolute.strip_prefix(&self.root).map(Path::to_path_buf).unwrap_or(absolute)
    }
}

/// The path as it is written, with nothing looked up: `a/../b` is `b`.
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
    fn paths_are_seen_from_the_workspace() {
        let seen = |file: &str| Viewpoint::new("/ws/a/src", "/ws").path(Path::new(file)).to_str().unwrap().to_string();
        assert_eq!(seen("lib.rs"), "a/src/lib.rs");
        assert_eq!(seen("../../Torvyn.toml"), "Torvyn.toml");
        assert_eq!(seen("./../Cargo.toml"), "a/Cargo.toml");
        assert_eq!(seen("/ws/b/Cargo.toml"), "b/Cargo.toml");
        assert_eq!(seen("/other/Cargo.toml"), "/other/Cargo.toml");
        assert_eq!(seen("../../../other.wasm"), "/other.wasm");
    }
}
