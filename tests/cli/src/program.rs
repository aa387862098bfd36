//! The program under test, as cargo starts it, isolated from the settings of whoever runs the tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn program() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_cargo-torvyn").expect("cargo runs the tests of its package").into()
}

/// A folder for files of the running file of tests, as `CARGO_TARGET_TMPDIR` has them.
pub(crate) fn folder_of_tests(what: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let (name, _hash) = tests.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap();
    program().ancestors().nth(2).unwrap().join("tmp").join(format!("{name}-{what}"))
}

/// The target folder. Of each file of tests its own: components of one name from different projects would be put in one
/// place.
pub fn target() -> PathBuf {
    folder_of_tests("target")
}

/// `cargo torvyn` with these arguments, in a folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("torvyn").args(args).current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    // No compile cache, unless a test has one of its own.
    command.env("CARGO_TORVYN_CACHE_DIR", "");
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    command
}

/// Runs it.
pub fn torvyn(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// What it printed on stderr.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
