//! Components that were compiled, kept in memory for as long as their files have the same bytes. Nothing of it is on disk:
//! machine code that is read from there would run whatever somebody has put into it.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use torvyn_runtime::component::Binary;
use torvyn_runtime::{Component, Engine, Error, Limits};

/// The engine, and what it has compiled.
#[derive(Default)]
pub(crate) struct Compiled {
    engine: Mutex<Option<Engine>>,
    kept: Mutex<HashMap<PathBuf, Kept>>,
    /// How often something was compiled.
    times: AtomicUsize,
}

#[derive(Clone)]
struct Kept {
    binary: Binary,
    component: Component,
    version: usize,
}

/// A component, and which of the compiled ones it is: another one of the same file has another number.
#[derive(Clone)]
pub(crate) struct Versioned {
    pub(crate) component: Component,
    pub(crate) version: usize,
}

impl Compiled {
    /// The engine, which is started when it is first asked for.
    ///
    /// # Errors
    ///
    /// Where the machine cannot do it.
    pub(crate) fn engine(&self) -> Result<Engine, Error> {
        let mut engine = locked(&self.engine);
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let started = Engine::new()?;
        *engine = Some(started.clone());
        Ok(started)
    }

    /// How often something was compiled.
    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::Relaxed)
    }

    /// Reads the files, and compiles those that are not as they were: several at a time. `done` is called with the index of
    /// each that is ready.
    pub(crate) fn load(&self, files: &[(&Path, Limits)], done: impl Fn(usize) + Sync) -> Vec<Result<Versioned, Error>> {
        let (next, loaded) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((path, limits)) = files.get(index) else { break };
                let one = self.load_one(path, limits);
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

    fn load_one(&self, path: &Path, limits: &Limits) -> Result<Versioned, Error> {
        let binary = Binary::read(path, limits)?;
        let kept = locked(&self.kept).get(path).filter(|kept| kept.binary == binary).cloned();
        if let Some(Kept { component, version, .. }) = kept {
            return Ok(Versioned { component, version });
        }
        let component = binary.compile(&self.engine()?)?;
        let version = self.times.fetch_add(1, Ordering::Relaxed);
        let kept = Kept { binary, component: component.clone(), version };
        locked(&self.kept).insert(path.to_path_buf(), kept);
        Ok(Versioned { component, version })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
