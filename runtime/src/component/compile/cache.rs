//! The compile cache: machine code of components in a private folder, so that another start compiles nothing.
//!
//! Machine code is trusted blindly when it is loaded. So each entry ends with an authentication code that only the key of
//! the folder can produce (`mac`), and an entry is read whole, verified in memory, and only then loaded, from that
//! memory. `folder` keeps the key and the entries away from other users. An entry that does not verify is compiled again
//! and replaced. A cache never makes compiling fail.

use std::hash::{Hash as _, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use self::folder::PrivateFolder;
use self::mac::{Key, TAG_SIZE};
use super::MachineCode;
use crate::pipeline::limits::Limits;

mod folder;
mod mac;

/// The file of the key.
const KEY: &str = "compile-cache.key";
/// The ends of the names of entries, and of files that are not complete yet.
const ENTRY: &str = ".machine-code";
const UNFINISHED: &str = ".unfinished";

/// A folder of machine code that this program compiled for this user.
#[derive(Debug)]
pub struct Cache {
    folder: PrivateFolder,
    key: Key,
    most: u64,
    /// Why an entry could not be written.
    problem: Mutex<Option<io::Error>>,
}

/// What [`Cache::clean`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Cache {
    /// The size of the entries together, in bytes, unless another is given.
    pub const DEFAULT_SIZE: u64 = 1 << 30;

    /// Opens the cache at `path`, and creates the folder (mode 0700) and its key (mode 0600) if they do not exist. The
    /// entries together have at most `most` bytes: those that were not used for the longest time are removed.
    ///
    /// # Errors
    ///
    /// If the folder or the key cannot be created, belongs to another user, is a link, or can be used by other users.
    pub fn open(path: &Path, most: u64) -> io::Result<Cache> {
        let folder = PrivateFolder::create(path)?;
        let key = match folder.read(KEY, Key::SIZE as u64) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // If another process is faster, its key is the key.
                folder.create_file(KEY, &unfinished()?, &Key::generate()?)?;
                folder.read(KEY, Key::SIZE as u64)
            }
            read => read,
        };
        let key = key.map_err(|error| io::Error::new(error.kind(), format!("`{KEY}`: {error}")))?;
        let key = Key::new(&key).ok_or_else(|| io::Error::other(format!("`{KEY}` is not complete")))?;
        Ok(Cache { folder, key, most, problem: Mutex::default() })
    }

    /// Removes all files of the cache at `path`, also one that [`Cache::open`] refuses.
    ///
    /// # Errors
    ///
    /// If the folder is a link, or a file cannot be removed.
    pub fn clean(path: &Path) -> io::Result<Removed> {
        let mut removed = Removed::default();
        let folder = match PrivateFolder::open_unchecked(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(removed),
            folder => folder?,
        };
        for file in folder.files(|name| name == KEY || is_entry(name))? {
            folder.remove(&file.name)?;
            removed.files += 1;
            removed.bytes += file.size;
        }
        Ok(removed)
    }

    /// Why an entry could not be written, if that happened since the last call.
    pub fn take_problem(&self) -> Option<io::Error> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The entry for a component that this engine compiles within these limits. A component that was compiled within
    /// higher limits has another entry: the cache does not hide that a limit is too low.
    pub(crate) fn entry(&self, engine: &Engine, component: &[u8], limits: &Limits) -> Entry<'_> {
        let mut hasher = Fingerprint(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        // The version of Wasmtime, the target, the features of the processor, and the settings.
        engine.precompile_compatibility_hash().hash(&mut hasher);
        (limits.compile_memory, limits.compile_time).hash(&mut hasher);
        component.hash(&mut hasher);
        Entry { cache: self, id: hasher.0.finalize().into() }
    }

    /// Removes the entries that were not used for the longest time, until all together are within the limit.
    fn evict(&self) -> io::Result<()> {
        let mut files = self.folder.files(is_entry)?;
        files.sort_by_key(|file| file.used);
        let mut size: u64 = files.iter().map(|file| file.size).sum();
        for file in files {
            if size <= self.most {
                break;
            }
            self.folder.remove(&file.name)?;
            size -= file.size;
        }
        Ok(())
    }
}

/// The entry of one component, whether or not it exists.
pub(crate) struct Entry<'a> {
    cache: &'a Cache,
    id: [u8; 32],
}

impl Entry<'_> {
    /// Loads the machine code, if the entry exists and verifies.
    pub(crate) fn load(&self, engine: &Engine) -> Option<Component> {
        self.machine_code()?.load(engine).ok()
    }

    fn machine_code(&self) -> Option<MachineCode> {
        let Cache { folder, key, most, .. } = self.cache;
        let mut bytes = folder.read(&self.name(), *most).ok()?;
        let len = bytes.len().checked_sub(TAG_SIZE)?;
        let (code, tag) = bytes.split_at(len);
        if !key.verifies(&[&self.id, code], tag) {
            return None;
        }
        bytes.truncate(len);
        Some(MachineCode::from_verified_entry(bytes))
    }

    /// Writes the entry, or replaces it. [`Cache::take_problem`] says if that failed.
    pub(crate) fn store(&self, code: &MachineCode) {
        if let Err(error) = self.try_store(code) {
            *self.cache.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn try_store(&self, code: &MachineCode) -> io::Result<()> {
        let Cache { folder, key, most, .. } = self.cache;
        let code = code.as_bytes();
        if (code.len() + TAG_SIZE) as u64 > *most {
            return Ok(());
        }
        let tag = key.tag(&[&self.id, code]);
        folder.replace_file(&self.name(), &unfinished()?, &[code, &tag])?;
        self.cache.evict()
    }

    fn name(&self) -> String {
        let id: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{id}{ENTRY}")
    }
}

/// A random name for a file that is not complete yet.
fn unfinished() -> io::Result<String> {
    Ok(format!("{:016x}{UNFINISHED}", getrandom::u64()?))
}

fn is_entry(name: &str) -> bool {
    name.ends_with(ENTRY) || name.ends_with(UNFINISHED)
}

/// SHA-256 of everything that is hashed.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is the result.
    fn finish(&self) -> u64 {
        0
    }
}
