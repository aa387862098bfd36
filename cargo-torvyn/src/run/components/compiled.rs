//! A cache of compiled components, in memory, valid while their files have the same bytes. What is not there may be in the
//! compile cache on disk.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::component::compile::{Cache, Compiler};
use torvyn_runtime::contract::{Grant, grant};
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::{Component, Engine, Error, Limits};

/// The argument that makes this program compile one component. Not for people.
pub(crate) const COMPILE: &str = "compile-component-from-stdin";

/// The engine and the components that it has loaded.
#[derive(Default)]
pub(crate) struct Compiled {
    engine: Mutex<Option<Engine>>,
    kept: Mutex<HashMap<PathBuf, Kept>>,
    /// The number of components that were loaded.
    times: AtomicUsize,
    /// The compile cache on disk.
    cache: Option<Arc<Cache>>,
}

#[derive(Clone)]
struct Kept {
    binary: Binary,
    component: Component,
    version: usize,
}

/// A component and its number: another version of the same file has another number.
#[derive(Clone)]
pub(crate) struct Versioned {
    pub(crate) component: Component,
    pub(crate) version: usize,
}

/// The file of a component.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) path: &'a Path,
    /// The bytes of the file, if it was read before.
    pub(crate) bytes: Option<&'a [u8]>,
}

impl File<'_> {
    fn read(&self, limits: &Limits) -> Result<Binary, Error> {
        match self.bytes {
            Some(bytes) => Binary::new(self.path, bytes, limits),
            None => Binary::read(self.path, limits),
        }
    }
}

impl Compiled {
    /// With this compile cache on disk.
    pub(crate) fn with_cache(cache: Option<Cache>) -> Compiled {
        Compiled { cache: cache.map(Arc::new), ..Compiled::default() }
    }

    /// Why the compile cache could not be written, if that happened since the last call.
    pub(crate) fn take_cache_problem(&self) -> Option<io::Error> {
        self.cache.as_ref()?.take_problem()
    }

    /// The engine, started on first use.
    ///
    /// # Errors
    ///
    /// If the engine cannot run on this machine.
    pub(crate) fn engine(&self) -> Result<Engine, Error> {
        let mut engine = locked(&self.engine);
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let started = Engine::new()?;
        *engine = Some(started.clone());
        Ok(started)
    }

    /// Analyses a component without compiling it. Refuses a component that cannot be loaded, unless the reason is an
    /// interface that the host does not provide.
    ///
    /// # Errors
    ///
    /// Why the component cannot be loaded.
    pub(crate) fn analyse(&self, file: File<'_>, limits: &Limits) -> Result<Analysis, Error> {
        let binary = file.read(limits)?;
        let refused = match binary.analyse_with(&self.engine()?, &compiler(), limits) {
            Ok(analysis) => return Ok(analysis),
            Err(refused) => refused,
        };
        // A missing interface has its own lint, which labels the import.
        let is_missing = |interface: &String| grant(interface) == Grant::Absent;
        let imports_missing = |analysis: &Analysis| analysis.profile.other_imports.iter().any(is_missing);
        binary.parse().ok().filter(imports_missing).ok_or(refused)
    }

    /// How many components were loaded so far.
    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::Relaxed)
    }

    /// Reads the files and compiles those that have changed, several at a time. Calls `done` with the index of each component
    /// that is ready.
    pub(crate) fn load(
        &self,
        files: &[(File<'_>, Limits)],
        done: impl Fn(usize) + Sync,
    ) -> Vec<Result<Versioned, Error>> {
        let (next, loaded) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((file, limits)) = files.get(index) else { break };
                let one = self.load_one(*file, limits);
                done(index);
                locked(&loaded).push((index, one));
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(files.len());
        thread::scope(|scope| (0..threads).for_each(|_| _ = scope.spawn(work)));
        let mut loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        loaded.sort_by_key(|(index, _)| *index);
        loaded.into_iter().map(|(_, one)| one).collect()
    }

    fn load_one(&self, file: File<'_>, limits: &Limits) -> Result<Versioned, Error> {
        let (path, binary) = (file.path, file.read(limits)?);
        let kept = locked(&self.kept).get(path).filter(|kept| kept.binary == binary).cloned();
        if let Some(Kept { component, version, .. }) = kept {
            return Ok(Versioned { component, version });
        }
        let compiler = compiler().with_cache(self.cache.clone());
        let component = binary.compile_with(&self.engine()?, &compiler, limits)?;
        let version = self.times.fetch_add(1, Ordering::Relaxed);
        let kept = Kept { binary, component: component.clone(), version };
        locked(&self.kept).insert(path.to_path_buf(), kept);
        Ok(Versioned { component, version })
    }
}

/// Compiles large components in another process of this program: see [`crate::main`].
fn compiler() -> Compiler {
    Compiler::new([COMPILE])
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
