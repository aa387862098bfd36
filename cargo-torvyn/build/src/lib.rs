//! Checks that the component file that cargo reports for a package was built from that package, in its workspace, from
//! its current sources.
//!
//! The path of a `cdylib` depends only on its name: `deps/NAME.wasm`. Two workspaces that share a target folder, or two
//! packages `my-stage` and `my_stage`, share this file, and cargo reports it as fresh for both. So a file that cargo
//! reports as fresh is accepted only if it is the very file that cargo reported before as just built, and if the
//! sources have not changed since. `stamps` records these files. All other files are removed, which makes cargo build
//! them again.
//!
//! This crate knows the messages of cargo and the target folder. Its callers, the plugin and `torvyn-testing`, run
//! cargo.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed unwrap fails the test"))]

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::report::Unit;
pub use crate::report::{Component, Report};
use crate::stamps::{Stamp, Stamps};

mod report;
mod stamps;

/// The target that components are built for.
pub const TARGET: &str = "wasm32-wasip2";

/// How often cargo is run before [`Builds::judge`] gives up. Two runs are enough, unless plain cargo builds other
/// workspaces in the same folder at the same time: it does not wait for the lock.
const TRIES: u32 = 20;

/// The lock and the stamps of a target folder. Only one exists for a folder at a time, in all processes.
#[derive(Debug)]
pub struct Builds {
    /// Locks the folder. The system releases the lock when the process ends.
    _lock: File,
    stamps: Stamps,
    tries: u32,
}

/// The result of a run of cargo.
#[derive(Debug)]
pub enum Judged {
    /// The components of the packages, with their bytes.
    Built(Vec<Component>),
    /// Files of these packages were built from other sources and have been removed: run cargo again.
    Again(Vec<String>),
}

impl Builds {
    /// Waits until no other build uses the target folder. Calls `waiting` if it has to wait.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created or locked.
    pub fn lock(target: &Path, waiting: impl FnOnce()) -> io::Result<Builds> {
        let folder = target.join("torvyn");
        let with_path = |error: io::Error, path: &Path| {
            io::Error::new(error.kind(), format!("cannot use `{}`: {error}", path.display()))
        };
        mark_as_cache(target);
        fs::create_dir_all(&folder).map_err(|error| with_path(error, &folder))?;
        let path = folder.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|error| with_path(error, &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(|error| with_path(error, &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(with_path(error, &path)),
        }
        Ok(Builds { _lock: lock, stamps: Stamps::load(&folder), tries: 0 })
    }

    /// Judges the report of a successful run of cargo.
    ///
    /// # Errors
    ///
    /// If a component cannot be read or a file cannot be removed, and if another build replaces the files repeatedly.
    pub fn judge(&mut self, report: &Report) -> io::Result<Judged> {
        let units = report.units();
        let mut wrong: Vec<&Unit> = units.iter().filter(|unit| !self.is_ours(unit)).collect();
        let mut components = Vec::new();
        if wrong.is_empty() {
            for unit in units.iter().filter(|unit| unit.is_component()) {
                match unit.component()? {
                    Some(component) => components.push(component),
                    None => wrong.push(unit),
                }
            }
        }
        if wrong.is_empty() {
            for unit in units {
                self.stamps.insert(unit.place(), Stamp::of(unit));
            }
            self.stamps.save()?;
            return Ok(Judged::Built(components));
        }
        self.tries += 1;
        if self.tries == TRIES {
            let message = format!("another build keeps replacing `{}`", wrong[0].place().display());
            return Err(io::Error::other(message));
        }
        let mut packages: Vec<_> = wrong.iter().map(|unit| unit.package.clone()).collect();
        packages.sort();
        packages.dedup();
        // A changed source with an old modification time may belong to a dependency, so all packages are built again.
        let has_sources = |unit: &&Unit| self.stamps.get(unit.place()).is_some_and(|stamp| stamp.has_sources_of(unit));
        let all = !wrong.iter().filter(|unit| unit.is_component()).all(has_sources);
        let is_removed = |unit: &&Unit| all || wrong.iter().any(|wrong| wrong.package == unit.package);
        remove(units.iter().filter(is_removed))?;
        Ok(Judged::Again(packages))
    }

    /// Whether a unit was just built, or is unchanged since this crate last saw it built.
    fn is_ours(&self, unit: &Unit) -> bool {
        !unit.fresh || self.stamps.get(unit.place()) == Some(&Stamp::of(unit))
    }
}

/// Tags a new target folder as a cache, as cargo does, for backup programs.
fn mark_as_cache(target: &Path) {
    let mark = target.join("CACHEDIR.TAG");
    if !target.exists() && fs::create_dir_all(target).is_ok() {
        let text = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by cargo.\n\
                    # For information about cache directory tags see https://bford.info/cachedir/\n";
        // Only a hint: everything works without it.
        fs::write(mark, text).ok();
    }
}

/// Removes the files of units, while no cargo builds in their folders.
fn remove<'a>(units: impl Iterator<Item = &'a Unit>) -> io::Result<()> {
    let files: Vec<&PathBuf> = units.flat_map(Unit::files).collect();
    let mut folders: Vec<_> = files.iter().filter_map(|file| file.parent()?.parent()).collect();
    folders.sort();
    folders.dedup();
    // The lock that cargo takes on the folder of a profile. If there is none, no cargo builds there.
    let locks = folders.iter().filter_map(|folder| File::open(folder.join(".cargo-lock")).ok());
    let locks: Vec<File> = locks.inspect(|lock| _ = lock.lock()).collect();
    for file in files {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), format!("cannot remove `{}`: {error}", file.display())));
            }
            _ => {}
        }
    }
    drop(locks);
    Ok(())
}
