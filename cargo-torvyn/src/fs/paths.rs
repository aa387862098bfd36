//! Paths as they are shown to people.

use std::path::{Path, PathBuf};
use std::{env, iter};

/// The path to show: relative to the current folder if it is below that folder or in the same project.
pub(crate) fn from_here(path: &Path) -> PathBuf {
    seen_from(&env::current_dir().unwrap_or_default(), path)
}

/// Like [`from_here`], with another current folder.
pub(crate) fn seen_from(here: &Path, path: &Path) -> PathBuf {
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
