//! Paths as people see them.

use std::path::{Path, PathBuf};
use std::{env, iter};

/// The path as people see it: from the current folder, where it is below that or in one project with it.
pub(crate) fn from_here(path: &Path) -> PathBuf {
    seen_from(&env::current_dir().unwrap_or_default(), path)
}

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
