//! The Rust toolchain: what is installed, and the target that components are built for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::{env, io};

use anyhow::{Context as _, bail};
use torvyn_runtime::base::regular_file;

use crate::cli::CargoArgs;
use crate::exit::{Exit, Stop};
use crate::output::shell::{Shell, Verbosity};
use crate::process::child;

/// The target that components are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";
/// What to type if the target is missing.
pub(crate) const ADD_TARGET: &str = "type `rustup target add wasm32-wasip2`";
/// What to type if rustup is missing too.
pub(crate) const ADD_TARGET_WITHOUT_RUSTUP: &str = "type `rustup target add wasm32-wasip2` after installing rustup from \
                                                    https://rustup.rs, or install the standard library for \
                                                    wasm32-wasip2 the way you installed Rust";
/// Where to get a toolchain.
pub(crate) const RUSTUP: &str = "https://rustup.rs";
/// How deep configuration files of cargo may include others.
const DEEPEST_INCLUDE: usize = 8;

/// The cargo that started this program, or else the one on the path.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").filter(|cargo| !cargo.is_empty()).unwrap_or_else(|| "cargo".into())
}

/// The compiler that cargo would run, without regard to cargo's own configuration.
pub(crate) fn rustc() -> OsString {
    env::var_os("RUSTC").filter(|rustc| !rustc.is_empty()).unwrap_or_else(|| "rustc".into())
}

/// Runs a program and returns its stdout; `None` if there is no such program.
///
/// # Errors
///
/// If the program cannot be run or fails; the error has its stderr.
pub(crate) fn run_for_stdout(command: &mut Command) -> anyhow::Result<Option<String>> {
    let program = command.get_program().to_string_lossy().into_owned();
    match child::output(command.stdin(Stdio::null())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not run `{program}`")),
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()))
        }
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            match stderr.trim() {
                "" => bail!("`{program}` failed: {}", output.status),
                message => bail!("{}", message.trim_start_matches("error: ")),
            }
        }
    }
}

/// Where the target is or would be installed.
///
/// # Errors
///
/// If there is no compiler.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let sysroot = run_for_stdout(Command::new(rustc()).args(["--print", "sysroot"]))?.ok_or_else(|| {
        Stop::new(Exit::SetupMissing, "`rustc` was not found").help(format!("install Rust: {RUSTUP}"))
    })?;
    Ok(PathBuf::from(sysroot).join("lib/rustlib").join(TARGET))
}

/// Whether the standard library for the target is installed.
///
/// # Errors
///
/// As [`target_dir`].
pub(crate) fn has_target() -> anyhow::Result<bool> {
    Ok(target_dir()?.join("lib").is_dir())
}

/// A running check whether the target is installed.
pub(crate) struct Target(JoinHandle<anyhow::Result<bool>>);

/// Starts to check for the target in the background.
pub(crate) fn look_for_target() -> Target {
    Target(thread::spawn(has_target))
}

impl Target {
    fn check(self) -> anyhow::Result<bool> {
        self.0.join().unwrap_or_else(|_| has_target())
    }
}

/// The argument or setting that keeps cargo off the network, if any.
pub(crate) fn offline(args: &CargoArgs) -> Option<&'static str> {
    if args.frozen {
        return Some("`--frozen`");
    }
    if args.offline {
        return Some("`--offline`");
    }
    // Cargo refuses values that are neither `true` nor `false` as soon as it would use the network.
    if let Some(value) = env::var_os("CARGO_NET_OFFLINE").filter(|value| !value.is_empty()) {
        return (value != "false").then_some("`CARGO_NET_OFFLINE`");
    }
    let here = env::current_dir().ok()?;
    let configured = cargo_config2::Walk::new(&here).find_map(|file| offline_in(&file, 0));
    (configured == Some(true)).then_some("`net.offline` in cargo's configuration")
}

/// `net.offline` of a configuration file of cargo, or else of the files that it includes, the last one first. Cargo reports
/// files that cannot be read.
fn offline_in(file: &Path, depth: usize) -> Option<bool> {
    let text = regular_file::read_to_string(file).ok()?;
    let config: toml::Table = text.parse().ok()?;
    if let Some(offline) = config.get("net").and_then(|net| net.get("offline")) {
        return offline.as_bool();
    }
    let include = config.get("include").filter(|_| depth < DEEPEST_INCLUDE)?.as_array()?;
    // An include can also be written as `{ path = "..." }`.
    let mut paths = include.iter().rev().filter_map(|path| path.get("path").unwrap_or(path).as_str());
    paths.find_map(|path| offline_in(&file.with_file_name("").join(path), depth + 1))
}

/// Installs the target with rustup if it is missing, unless cargo may not use the network.
///
/// # Errors
///
/// A [`Stop`] that says what to type if the target cannot be installed.
pub(crate) fn install_target(target: Target, args: &CargoArgs, shell: &mut Shell) -> anyhow::Result<()> {
    if target.check()? {
        return Ok(());
    }
    if let Some(offline) = offline(args) {
        let message = format!("the target {TARGET} is not installed, and {offline} forbids downloading it");
        return Err(Stop::new(Exit::SetupMissing, message).help(format!("{ADD_TARGET} while online")).into());
    }
    if run_for_stdout(Command::new("rustup").arg("--version"))?.is_none() {
        let stop = Stop::new(Exit::SetupMissing, format!("the target {TARGET} is not installed, nor is rustup"));
        return Err(stop.help(ADD_TARGET_WITHOUT_RUSTUP).into());
    }
    shell.status("Installing", format_args!("target {TARGET}"))?;
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).stdin(Stdio::null());
    if shell.verbosity() == Verbosity::Quiet {
        rustup.stderr(Stdio::null());
    }
    let installed = child::status(&mut rustup).context("could not run `rustup`")?.success() && has_target()?;
    if !installed {
        let stop = Stop::new(Exit::SetupMissing, format!("the target {TARGET} could not be installed"));
        return Err(stop.help(format!("{ADD_TARGET} and see what it says")).into());
    }
    Ok(())
}
