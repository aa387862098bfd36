//! `cargo torvyn doctor`: shows what is installed, what is missing, and how to fix it.

use std::ffi::OsStr;
use std::process::Command;

use clap::Args;
use torvyn_runtime::stage::engine::WASMTIME_VERSION;

use crate::exit::Exit;
use crate::output::shell::Shell;
use crate::project::toolchain::{self, RUSTUP, TARGET};

/// A program or target that may be installed.
struct Finding {
    what: &'static str,
    /// The version or place; or why there is none.
    found: Result<String, String>,
    /// How to fix it if it is missing; `None` if it is optional.
    fix: Option<String>,
}

/// Check what is missing on this machine and how to fix it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn doctor
  cargo torvyn doctor && cargo torvyn build")]
pub(crate) struct DoctorArgs {}

pub(crate) fn exec(_: DoctorArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let rustup = version("rustup", "rustup");
    let install = Some(format!("install Rust: {RUSTUP}"));
    let add_target = target_fix(rustup.is_ok(), toolchain::target_dir().is_ok());
    let findings = [
        Finding { what: "cargo-torvyn", found: Ok(env!("CARGO_PKG_VERSION").to_owned()), fix: None },
        Finding { what: "wasmtime", found: Ok(format!("{WASMTIME_VERSION} (bundled)")), fix: None },
        Finding { what: "cargo", found: version("cargo", toolchain::cargo()), fix: install.clone() },
        Finding { what: "rustc", found: version("rustc", toolchain::rustc()), fix: install },
        Finding { what: TARGET, found: target(), fix: Some(add_target) },
        Finding { what: "rustup", found: rustup, fix: None },
        Finding { what: "git", found: version("git", "git"), fix: None },
    ];
    let mut fixes: Vec<&str> = Vec::new();
    for Finding { what, found, fix } in &findings {
        let (verdict, text) = match (found, fix) {
            (Ok(text), _) => ("ok", text),
            (Err(text), None) => ("none", text),
            (Err(text), Some(fix)) => {
                fixes.push(fix);
                ("missing", text)
            }
        };
        shell.result(format_args!("{what:13}  {verdict:7}  {text}"))?;
    }
    fixes.dedup();
    for fix in &fixes {
        shell.result(format_args!("help: {fix}"))?;
    }
    Ok(if fixes.is_empty() { Exit::Ok } else { Exit::SetupMissing })
}

fn version(name: &str, program: impl AsRef<OsStr>) -> Result<String, String> {
    match toolchain::run_for_stdout(Command::new(program).arg("--version")) {
        Ok(Some(version)) => {
            let version = version.lines().next().unwrap_or_default();
            Ok(version.trim_start_matches(name).trim_start_matches(" version").trim_start().to_owned())
        }
        Ok(None) => Err("not installed".to_owned()),
        Err(error) => Err(one_line(&error)),
    }
}

fn target() -> Result<String, String> {
    match (toolchain::has_target(), toolchain::target_dir()) {
        (Ok(true), Ok(dir)) => Ok(dir.display().to_string()),
        (Ok(_), Ok(_)) => Err("not installed".to_owned()),
        (Err(error), _) | (_, Err(error)) => Err(one_line(&error)),
    }
}

fn target_fix(has_rustup: bool, has_rustc: bool) -> String {
    match (has_rustup, has_rustc) {
        (_, false) => format!("install Rust: {RUSTUP}"),
        (true, true) => toolchain::ADD_TARGET.to_owned(),
        (false, true) => toolchain::ADD_TARGET_WITHOUT_RUSTUP.to_owned(),
    }
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
