//! Tells whether the file that cargo calls the component of a package was built from that package, in its workspace, from
//! its sources as they are now.
//!
//! Cargo puts a `cdylib` where its name alone says: `deps/NAME.wasm`. Two workspaces that share a target folder, or two
//! packages `my-stage` and `my_stage`, have one such file, and cargo calls it fresh for both. So what cargo reports as fresh
//! is believed only where it is the very file that was there when cargo reported that it had just built it, and the
//! sources have not changed since. `stamps` remembers these files; whatever else is there is removed, which makes
//! cargo build it again.
//!
//! This crate knows the messages of cargo and the target folder. Which command is run is for its callers: the plugin
//! and `torvyn-testing`.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed"))]

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

/// How often cargo is run before [`Builds::judge`] gives up. Twice is enough unless plain cargo builds other workspaces in
/// the same folder meanwhile: it waits for no lock of ours.
const TRIES: u32 = 20;

/// The builds in a target folder. While it exists no other one does for the same folder, in this process or another.
#[derive(Debug)]
pub struct Builds {
    /// The lock of the folder, which the system releases when the process ends.
    _lock: File,
    stamps: Stamps,
    tries: u32,
}

/// What a run of cargo has come to.
#[derive(Debug)]
pub enum Judged {
    /// The components of its packages, with their bytes.
    Built(Vec<Component>),
    /// Files of these packages were built from something else and are removed: cargo is to be run again.
    Again(Vec<String>),
}

impl Builds {
    /// Waits until no other build uses the target folder; `waiting` is called where it has to.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be made or locked.
    pub fn lock(target: &Path, waiting: impl FnOnce()) -> io::Result<Builds> {
        let folder = target.join("torvyn");
        let named = |error: io::Error, path: &Path| {
            io::Error::new(error.kind(), format!("cannot use `{}`: {error}", path.display()))
        };
        mark_as_cache(target);
        fs::create_dir_all(&folder).map_err(|error| named(error, &folder))?;
        let path = folder.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|error| named(error, &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(|error| named(error, &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(named(error, &path)),
        }
        Ok(Builds { _lock: lock, stamps: Stamps::load(&folder), tries: 0 })
    }

    /// Judges what cargo has reported of a build that succeeded.
    ///
    /// # Errors
    ///
    /// A component that cannot be read, files that cannot be removed, and an error where others replace the files again
    /// and again.
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
            let message = format!("another build replaces `{}` again and again", wrong[0].place().display());
            return Err(io::Error::other(message));
        }
        let mut packages: Vec<_> = wrong.iter().map(|unit| unit.package.clone()).collect();
        packages.sort();
        packages.dedup();
        // A source that changed and kept its time may be one of a package beneath, so all of them are built again.
        let has_sources = |unit: &&Unit| self.stamps.get(unit.place()).is_some_and(|stamp| stamp.has_sources_of(unit));
        let all = !wrong.iter().filter(|unit| unit.is_component()).all(has_sources);
        let is_removed = |unit: &&Unit| all || wrong.iter().any(|wrong| wrong.package == unit.package);
        remove(units.iter().filter(is_removed))?;
        Ok(Judged::Again(packages))
    }

    /// Whether a unit was built just now, or is still what was built when it was last.
    fn is_ours(&self, unit: &Unit) -> bool {
        !unit.fresh || self.stamps.get(unit.place()) == Some(&Stamp::of(unit))
    }
}

/// As cargo marks a target folder that it makes: for programs that make backups.
fn mark_as_cache(target: &Path) {
    let mark = target.join("CACHEDIR.TAG");
    if !target.exists() && fs::create_dir_all(target).is_ok() {
        let text = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by cargo.\n\
                    # For information about cache directory tags see https://bford.info/cachedir/\n";
        // Without it everything works as well.
        fs::write(mark, text).ok();
    }
}

/// Removes what units consist of, while no cargo builds in their folders.
fn remove<'a>(units: impl Iterator<Item = &'a Unit>) -> io::Result<()> {
    let files: Vec<&PathBuf> = units.flat_map(Unit::files).collect();
    let mut folders: Vec<_> = files.iter().filter_map(|file| file.parent()?.parent()).collect();
    folders.sort();
    folders.dedup();
    // The lock that cargo takes of a profile's folder. Where there is none, there is nothing to wait for.
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
