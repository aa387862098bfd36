//! The compile cache of this user: where it is, and whether it can be used.

use std::env;
use std::io;
use std::path::PathBuf;

use torvyn_runtime::component::compile::Cache;

use crate::cli::CacheArgs;
use crate::output::shell::Shell;

/// The variable that names another folder. If it is empty, the cache is off.
const FOLDER: &str = "CARGO_TORVYN_CACHE_DIR";
/// The folder in the folder of caches.
const NAME: &str = "cargo-torvyn";

/// The folder of the cache. `None` if the cache is off, or if this user has no home folder.
pub(crate) fn folder() -> Option<PathBuf> {
    match env::var_os(FOLDER) {
        Some(folder) => Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty()),
        None => {
            let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|caches| caches.is_absolute());
            let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
            Some(caches.or_else(home)?.join(NAME))
        }
    }
}

/// Opens the cache. Warns if it cannot be used.
///
/// # Errors
///
/// If the warning cannot be printed.
pub(crate) fn open(args: &CacheArgs, shell: &mut Shell) -> io::Result<Option<Cache>> {
    let Some(folder) = folder().filter(|_| !args.no_cache) else { return Ok(None) };
    match Cache::open(&folder, Cache::DEFAULT_SIZE) {
        Ok(cache) => Ok(Some(cache)),
        Err(error) => {
            shell.warn(format_args!("the compile cache `{}` is not used: {error}", folder.display()))?;
            Ok(None)
        }
    }
}
