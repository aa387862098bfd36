//! The code that runs is that of this package of this workspace in its present state, whoever else builds in the same
//! folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use cli_tests::{project, said, target, torvyn};

use crate::expect;

/// A project of a single stage, built in the same folder as the others.
fn stage(folder: &Path, name: &str, lower: bool) -> PathBuf {
    project();
    fs::create_dir_all(folder).unwrap();
    let new = torvyn(folder, &["new", name, "--template", "transform", "--vcs", "none"]);
    assert!(new.status.success(), "{}", said(&new));
    let root = folder.join(name);
    if lower {
        make_lower(&root);
    }
    fs::write(root.join("Torvyn.toml"), format!("[pipeline.main]\nstages = ['{name}']\n")).unwrap();
    fs::write(root.join("in.txt"), "Text\n").unwrap();
    root
}

fn make_lower(root: &Path) {
    let code = root.join("src/lib.rs");
    let text = fs::read_to_string(&code).unwrap();
    assert!(text.contains("ascii_uppercase"));
    fs::write(&code, text.replace("ascii_uppercase", "ascii_lowercase")).unwrap();
}

#[track_caller]
fn runs(root: &Path, expected: &str) {
    let ran = expect(root, &["run", "--quiet", "--input", "in.txt"], 0, &[]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "{}", root.display());
}

#[test]
fn workspaces_that_share_a_target_folder_run_their_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let upper = stage(&folder.path().join("a"), "twice-named", false);
    let lower = stage(&folder.path().join("b"), "twice-named", true);
    for _ in 0..2 {
        runs(&upper, "TEXT\n");
        runs(&lower, "text\n");
    }
    let checked = expect(&upper, &["build", "--artifact-dir", "dist"], 0, &["Shipped"]);
    assert!(!said(&checked).contains("warning"), "{}", said(&checked));
    // What is shipped belongs to this workspace too: it runs without a build.
    runs(&lower, "text\n");
    fs::write(upper.join("Torvyn.toml"), "[pipeline.main]\nstages = ['./dist/twice_named.wasm']\n").unwrap();
    runs(&upper, "TEXT\n");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| runs(&lower, "text\n"));
        }
    });
}

#[test]
fn packages_with_one_file_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let root = stage(folder.path(), "same-name", false);
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    fs::create_dir_all(root.join("other/src")).unwrap();
    let other = workspace.replace("name = \"same-name\"", "name = \"same_name\"");
    let other = other.replace("path = \"wit\"", "path = \"../wit\"");
    let other: String = other.split("\n[workspace").next().unwrap().to_string();
    let other = other.split("\n[profile").next().unwrap();
    fs::write(root.join("other/Cargo.toml"), other).unwrap();
    fs::copy(root.join("src/lib.rs"), root.join("other/src/lib.rs")).unwrap();
    make_lower(&root.join("other"));
    let members = if workspace.contains("[workspace]") { "" } else { "\n[workspace]\n" };
    let text = format!("{workspace}{members}");
    let text = text.replace("[workspace]\n", "[workspace]\nmembers = [\"other\"]\n");
    fs::write(root.join("Cargo.toml"), text).unwrap();
    let pipelines = "[pipeline.main]\nstages = ['same-name']\n[pipeline.other]\nstages = ['same_name']\n\
                     [pipeline.both]\nstages = ['same-name', 'same_name']\n";
    fs::write(root.join("Torvyn.toml"), pipelines).unwrap();
    for _ in 0..2 {
        runs(&root, "TEXT\n");
        let ran = expect(&root, &["run", "other", "--quiet", "--input", "in.txt"], 0, &[]);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "text\n");
    }
    let texts = ["packages `same-name` and `same_name` both build `same_name.wasm`", "[lib] name"];
    expect(&root, &["run", "both", "--input", "in.txt"], 101, &texts);
    expect(&root, &["check", "--workspace", "--built"], 101, &texts);
}

#[test]
fn a_program_beside_the_library_is_not_the_component() {
    let folder = tempfile::tempdir().unwrap();
    let root = stage(folder.path(), "with-program", false);
    fs::write(root.join("src/main.rs"), "fn main() {}\n").unwrap();
    runs(&root, "TEXT\n");
    // Files that the component is built from are not overwritten.
    let code = fs::read(root.join("src/lib.rs")).unwrap();
    fs::create_dir(root.join("tests")).unwrap();
    fs::write(root.join("tests/cases.toml"), "").unwrap();
    for (file, what) in [
        ("src/lib.rs", "a source file"),
        ("wit/src/output.rs", "a source file"),
        ("Cargo.toml", "a package"),
        ("./Cargo.lock", "the workspace"),
        ("wit/Cargo.toml", "the workspace"),
        ("wit/types.wit", "a source file"),
        ("src/main.rs", "the workspace"),
        ("tests/cases.toml", "a file of cases"),
    ] {
        let args = ["run", "--quiet", "--input", "in.txt", "--records", file];
        let refused = said(&expect(&root, &args, 2, &["records"]));
        // By its use, or already by what is in it.
        assert!(refused.contains(what) || refused.contains("exists and is not a file of records"), "{refused}");
    }
    assert_eq!(fs::read(root.join("src/lib.rs")).unwrap(), code);
}

#[test]
fn what_is_shipped_goes_through_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let root = stage(folder.path(), "shipped", false);
    fs::create_dir(root.join("dist")).unwrap();
    fs::write(root.join("precious"), "precious").unwrap();
    std::os::unix::fs::symlink("../precious", root.join("dist/shipped.wasm")).unwrap();
    expect(&root, &["build", "--artifact-dir", "dist"], 0, &["Shipped"]);
    assert_eq!(fs::read_to_string(root.join("precious")).unwrap(), "precious");
    assert!(!root.join("dist/shipped.wasm").is_symlink());
    let release = target().join("wasm32-wasip2/release");
    for folder in [&release, &release.join("deps")] {
        let args = ["build", "--artifact-dir", folder.to_str().unwrap()];
        expect(&root, &args, 2, &["is the folder that cargo itself builds into", "--artifact-dir dist"]);
    }
    expect(&root, &["build", "--artifact-dir", "precious"], 101, &["cannot write to `precious`"]);
    fs::create_dir(root.join("dist2")).unwrap();
    fs::create_dir(root.join("dist2/shipped.wasm")).unwrap();
    expect(&root, &["build", "--artifact-dir", "dist2"], 101, &["`dist2/shipped.wasm` is a directory"]);
}
