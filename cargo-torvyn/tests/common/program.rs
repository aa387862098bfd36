//! The program under test, as cargo starts it, isolated from the settings of whoever runs the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Each test file has its own: components of one name from different projects would replace each other.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!(env!("CARGO_CRATE_NAME"), "-target"))
}

pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-torvyn"));
    command.arg("torvyn").args(args).current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    command
}

pub(crate) fn torvyn(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
