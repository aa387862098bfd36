//! `cargo torvyn doctor`: what is on this machine, what is missing, and the command that mends it.

use std::ffi::OsStr;
use std::process::Command;

use torvyn_runtime::stage::engine::WASMTIME_VERSION;

use crate::cli::DoctorArgs;
use crate::exit::Exit;
use crate::output::shell::Shell;
use crate::project::toolchain::{self, RUSTUP, TARGET};

/// Something that may be on this machine.
struct Finding {
    what: &'static str,
    /// What was found; otherwise why not.
    found: Result<String, String>,
    /// What to type where it is missing; `None` where it can be done without.
    mend: Option<String>,
}

pub(crate) fn exec(_: DoctorArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let rustup = version("rustup", "rustup");
    let install = Some(format!("install Rust: {RUSTUP}"));
    let add_target = target_mend(rustup.is_ok(), toolchain::target_dir().is_ok());
    let findings = [
        Finding { what: "cargo-torvyn", found: Ok(env!("CARGO_PKG_VERSION").to_owned()), mend: None },
        Finding { what: "wasmtime", found: Ok(format!("{WASMTIME_VERSION} (bundled)")), mend: None },
        Finding { what: "cargo", found: version("cargo", toolchain::cargo()), mend: install.clone() },
        Finding { what: "rustc", found: version("rustc", toolchain::rustc()), mend: install },
        Finding { what: TARGET, found: target(), mend: Some(add_target) },
        Finding { what: "rustup", found: rustup, mend: None },
        Finding { what: "git", found: version("git", "git"), mend: None },
    ];
    let mut mends: Vec<&str> = Vec::new();
    for Finding { what, found, mend } in &findings {
        let (verdict, text) = match (found, mend) {
            (Ok(text), _) => ("ok", text),
            (Err(text), None) => ("none", text),
            (Err(text), Some(mend)) => {
                mends.push(mend);
                ("missing", text)
            }
        };
        shell.result(format_args!("{what:13}  {verdict:7}  {text}"))?;
    }
    mends.dedup();
    for mend in &mends {
        shell.result(format_args!("help: {mend}"))?;
    }
    Ok(if mends.is_empty() { Exit::Ok } else { Exit::SetupMissing })
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

fn target_mend(has_rustup: bool, has_rustc: bool) -> String {
    match (has_rustup, has_rustc) {
        (_, false) => format!("install Rust: {RUSTUP}"),
        (true, true) => toolchain::ADD_TARGET.to_owned(),
        (false, true) => toolchain::ADD_TARGET_WITHOUT_RUSTUP.to_owned(),
    }
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
