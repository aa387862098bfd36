//! Runs cargo for tests: builds components, once for all tests of a process, and runs declared cases.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::Deserialize;
use torvyn_build::{Builds, Judged, Report};
use torvyn_runtime::Component;

use crate::stage::{built_component, package};
use crate::{Error, Stage};

/// Builds the component of a package of the workspace that contains the test. The stage has the name of the package.
///
/// Cargo builds it as `cargo torvyn build` does: for `wasm32-wasip2`, with profile `release`. Concurrent tests wait for
/// one another, and a process builds and loads each package once.
///
/// # Errors
///
/// [`Error::Build`] with the output of the compiler, [`Error::NoComponent`], and [`Error::Load`].
pub fn build(package: &str) -> Result<Stage, Error> {
    build_in("", package)
}

/// As [`build`], for a package of the workspace in the folder `workspace`, relative to the package of the test.
///
/// # Errors
///
/// As [`build`], and [`Error::Missing`] if there is no such folder.
pub fn build_in(workspace: impl AsRef<Path>, package: &str) -> Result<Stage, Error> {
    static BUILT: Mutex<Option<HashMap<(PathBuf, String), Component>>> = Mutex::new(None);
    let folder = resolve(workspace.as_ref())?;
    // Locked while cargo builds, so that other tests wait and then find the component.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    let key = (folder, package.to_string());
    let component = match built.get(&key) {
        Some(known) => known.clone(),
        None => {
            let compiled = compile(&key.0, package)?;
            let fresh = built_component(&compiled.path, &compiled.bytes)?;
            built.insert(key, fresh.clone());
            fresh
        }
    };
    Ok(Stage::new(package.to_string(), component))
}

/// Runs `cargo torvyn test` for the cases that belong to `manifest`, a path relative to the package of the test.
///
/// `cargo-torvyn` must be installed.
///
/// # Errors
///
/// [`Error::Cases`], with the report, if a case fails or there is no case.
pub fn cases(manifest: impl AsRef<Path>) -> Result<(), Error> {
    let path = resolve(manifest.as_ref())?;
    let mut command = cargo(path.parent().unwrap_or(Path::new("/")));
    let Output { status, stderr, .. } = command.args(["torvyn", "test"]).output().map_err(Error::Cargo)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Cases { path, output: String::from_utf8_lossy(&stderr).into_owned() })
}

fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let path = package().join(path);
    fs::canonicalize(&path).map_err(|source| Error::Missing { path, source })
}

/// A command for the cargo that runs the tests, in this folder.
fn cargo(folder: &Path) -> Command {
    let cargo = env::var_os("CARGO").filter(|cargo| !cargo.is_empty()).unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(folder).stdin(Stdio::null()).env("CARGO_TERM_COLOR", "never");
    command
}

/// Builds a package, and returns its component.
fn compile(folder: &Path, package: &str) -> Result<torvyn_build::Component, Error> {
    let folders = Folders::of(folder, package)?;
    let mut builds = Builds::lock(&folders.target_directory, || ()).map_err(Error::Cargo)?;
    loop {
        let mut report = Report::new(folders.build_directory.as_ref().unwrap_or(&folders.target_directory));
        run(folder, package, &mut report)?;
        if let Judged::Built(components) = builds.judge(&report).map_err(Error::Cargo)? {
            // The package itself is built last, after its dependencies.
            return components.into_iter().last().ok_or_else(|| Error::NoComponent { package: package.to_string() });
        }
    }
}

/// Where cargo builds.
#[derive(Deserialize)]
struct Folders {
    target_directory: PathBuf,
    build_directory: Option<PathBuf>,
}

impl Folders {
    fn of(folder: &Path, package: &str) -> Result<Folders, Error> {
        let mut command = cargo(folder);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let Output { status, stdout, stderr } = command.output().map_err(Error::Cargo)?;
        if !status.success() {
            let output = String::from_utf8_lossy(&stderr).into_owned();
            return Err(Error::Build { package: package.to_string(), output });
        }
        serde_json::from_slice(&stdout).map_err(|error| Error::Cargo(error.into()))
    }
}

/// Runs `cargo build` to its end.
fn run(folder: &Path, package: &str, report: &mut Report) -> Result<(), Error> {
    let mut command = cargo(folder);
    command.args(["build", "--release", "--target", torvyn_build::TARGET, "--lib", "--package", package]);
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().map_err(Error::Cargo)?;
    let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
    let listening = thread::spawn(move || {
        let mut output = Vec::new();
        stderr.map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut output)).map(|_| output)
    });
    for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        report.add(&line.map_err(Error::Cargo)?);
    }
    let status = running.wait().map_err(Error::Cargo)?;
    let output = listening.join().unwrap_or_else(|_| Err(io::Error::other("cannot read its output")));
    let output = output.map_err(Error::Cargo)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Build { package: package.to_string(), output: String::from_utf8_lossy(&output).into_owned() })
}
