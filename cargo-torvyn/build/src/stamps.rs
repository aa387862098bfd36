//! [`Stamps`]: records which files cargo has just built. Stored in the target folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::report::{Identity, Unit};

const FILE: &str = "built.json";
/// The format of the file. Increase it when the meaning changes: files of other versions are ignored.
const VERSION: u32 = 1;

/// The record of a file that cargo built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The ID of the package that the file was built from; it contains the folder of the package.
    package: String,
    kind: Vec<String>,
    identity: Option<Identity>,
    sources: u64,
}

impl Stamp {
    pub(crate) fn of(unit: &Unit) -> Stamp {
        let (package, kind) = (unit.package.clone(), unit.kind().to_vec());
        Stamp { package, kind, identity: unit.identity(), sources: unit.sources() }
    }

    /// Whether the sources of the package are unchanged.
    pub(crate) fn has_sources_of(&self, unit: &Unit) -> bool {
        self.package == unit.package && self.sources == unit.sources()
    }
}

/// The records of all files of a target folder.
#[derive(Debug)]
pub(crate) struct Stamps {
    path: PathBuf,
    stamps: BTreeMap<PathBuf, Stamp>,
    is_changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Written<M> {
    version: u32,
    built: M,
}

impl Stamps {
    /// Loads the saved records. An unreadable file counts as empty, and everything is built again.
    pub(crate) fn load(folder: &Path) -> Stamps {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let written = serde_json::from_str::<Written<BTreeMap<_, _>>>(&text).ok();
        let written = written.filter(|written| written.version == VERSION);
        let stamps = written.map(|written| written.built).unwrap_or_default();
        Stamps { path, stamps, is_changed: false }
    }

    pub(crate) fn get(&self, place: &Path) -> Option<&Stamp> {
        self.stamps.get(place)
    }

    pub(crate) fn insert(&mut self, place: &Path, stamp: Stamp) {
        if self.get(place) != Some(&stamp) {
            self.stamps.insert(place.to_path_buf(), stamp);
            self.is_changed = true;
        }
    }

    /// Saves the records of all files that still exist.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        self.stamps.retain(|place, _| place.exists());
        let written = Written { version: VERSION, built: &self.stamps };
        let text = serde_json::to_vec(&written).map_err(io::Error::other)?;
        let beside = self.path.with_extension("json.new");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|error| io::Error::new(error.kind(), format!("cannot write `{}`: {error}", self.path.display())))
    }
}
