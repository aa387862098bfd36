//! A project whose components are built once for all tests of a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::program::{said, target, torvyn};

/// Created from the template `pipeline`. Its inspector is replaced by a stage that fails on demand.
pub(crate) fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!(env!("CARGO_CRATE_NAME"), "-project"));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        let new = torvyn(&folder, &["new", "logs", "--template", "pipeline", "--vcs", "none"]);
        assert!(new.status.success(), "{}", said(&new));
        let project = folder.join("logs");
        let faulty = include_str!("../../../tests/programs/examples/faulty.rs");
        fs::write(project.join("inspector/src/lib.rs"), faulty).unwrap();
        let build = torvyn(&project, &["build"]);
        assert!(build.status.success(), "{}", said(&build));
        project
    })
}

/// A folder with the manifest `text`, whose components are those of the project.
pub(crate) fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    project();
    let release = target().join("wasm32-wasip2/release");
    let text = text.replace("COMPONENTS", release.to_str().unwrap());
    fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
    folder
}
