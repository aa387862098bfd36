//! `cargo torvyn doctor`: what is on this machine, what is missing, and the command that mends it.

use std::process::Command;

use crate::cli::DoctorArgs;
use crate::exit::Exit;
use crate::shell::Shell;
use crate::toolchain::{self, RUSTUP, TARGET};

/// Something that may be on this machine.
struct Finding {
    what: &'static str,
    /// What was found, or that it was not.
    found: String,
    /// What to type, where something needed is missing.
    mend: Option<String>,
}

impl Finding {
    fn of(what: &'static str, found: impl Into<String>) -> Self {
        Finding { what, found: found.into(), mend: None }
    }

    fn mend(self, command: impl Into<String>) -> Self {
        Finding { mend: Some(command.into()), ..self }
    }
}

pub(crate) fn exec(_: DoctorArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let rustup = version("rustup", &mut Command::new("rustup"));
    let has_rustup = rustup.mend.is_none();
    let findings = [
        Finding::of("cargo-torvyn", env!("CARGO_PKG_VERSION")),
        version("cargo", &mut Command::new(toolchain::cargo())),
        version("rustc", &mut Command::new(toolchain::rustc())),
        target(has_rustup),
        // Without it only the toolchain that is there can be used; that is no fault.
        Finding { mend: None, ..rustup },
        Finding { mend: None, ..version("git", &mut Command::new("git")) },
    ];
    for Finding { what, found, mend } in &findings {
        let verdict = if mend.is_some() { "MISSING" } else { "ok" };
        shell.result(format_args!("{what:13}  {verdict:7}  {found}"))?;
    }
    let missing: Vec<_> = findings.iter().filter_map(|finding| finding.mend.as_deref()).collect();
    for mend in &missing {
        shell.result(format_args!("help: {mend}"))?;
    }
    Ok(if missing.is_empty() { Exit::Ok } else { Exit::SetupMissing })
}

fn version(what: &'static str, program: &mut Command) -> Finding {
    match toolchain::printed(program.arg("--version")) {
        Ok(Some(version)) => {
            let version = version.lines().next().unwrap_or_default();
            Finding::of(what, version.trim_start_matches(what).trim_start())
        }
        Ok(None) => Finding::of(what, "not installed").mend(format!("install Rust: {RUSTUP}")),
        Err(error) => Finding::of(what, format!("{error:#}")).mend(format!("install Rust: {RUSTUP}")),
    }
}

fn target(has_rustup: bool) -> Finding {
    match (toolchain::has_target(), toolchain::target_dir()) {
        (Ok(true), Ok(dir)) => Finding::of(TARGET, dir.display().to_string()),
        (Ok(false), _) if has_rustup => {
            Finding::of(TARGET, "not installed").mend(format!("type `rustup target add {TARGET}`"))
        }
        (Ok(false), _) => Finding::of(TARGET, "not installed").mend(format!(
            "type `rustup target add {TARGET}` after installing rustup from {RUSTUP}, or install the standard library \
             for {TARGET} as you installed Rust"
        )),
        (Err(error), _) | (_, Err(error)) => {
            Finding::of(TARGET, format!("{error:#}")).mend(format!("install Rust: {RUSTUP}"))
        }
    }
}
