//! A stage of a test: a component with its settings.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use torvyn_runtime::contract::Budget;
use torvyn_runtime::pipeline::graph::{Merge, Role};
use torvyn_runtime::pipeline::injection::{InjectedFault, Injection};
use torvyn_runtime::pipeline::limits::Limits;
use torvyn_runtime::pipeline::policy::Policy;
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::{Component, Engine, flow};

use crate::{Error, Pipeline, Run};

/// A component with its settings. Each of its settings makes another stage of it and leaves it as it is, so that a test can
/// begin with one and vary it.
///
/// ```no_run
/// let find = torvyn_testing::build("find")?;
/// for needle in ["a", "b"] {
///     assert_eq!(find.with("needle", needle).run(["a", "b"])?.output(0), [needle]);
/// }
/// # Ok::<(), torvyn_testing::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a stage does nothing until it is run"]
pub struct Stage {
    pub(crate) name: String,
    pub(crate) component: Component,
    config: Vec<(String, String)>,
    pub(crate) outputs: usize,
    /// Where it takes its elements from, if that is not the stage before it: a name, and an output of it.
    pub(crate) from: Vec<(String, usize)>,
    pub(crate) merge: Merge,
    limits: Limits,
    budget: Budget,
    policy: Policy,
    batch: usize,
    /// What it suffers: at which element, how often, and what.
    faults: Vec<(u64, u32, InjectedFault)>,
}

/// The component in the file `path`, relative to the package of the test, under the name of the file.
///
/// # Errors
///
/// [`Error::Missing`], and [`Error::Load`] where it is no component that runs here.
pub fn load(path: impl AsRef<Path>) -> Result<Stage, Error> {
    let path = package().join(path);
    fs::metadata(&path).map_err(|source| Error::Missing { path: path.clone(), source })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Stage::of(name, component(&path)?))
}

/// The folder of the package whose tests run.
pub(crate) fn package() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default()
}

/// Loads into the engine of this process.
fn component(path: &Path) -> Result<Component, Error> {
    Component::load(&engine()?, path, &Limits::default()).map_err(Error::Load)
}

/// Loads what was read of a file already.
pub(crate) fn built_component(path: &Path, bytes: &[u8]) -> Result<Component, Error> {
    let engine = engine()?;
    Binary::new(path, bytes, &Limits::default()).and_then(|binary| binary.compile(&engine)).map_err(Error::Load)
}

/// The engine of this process.
fn engine() -> Result<Engine, Error> {
    static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match &*engine {
        Some(engine) => engine.clone(),
        None => engine.insert(Engine::new().map_err(Error::Load)?).clone(),
    })
}

impl Stage {
    pub(crate) fn of(name: String, component: Component) -> Stage {
        let role = Role::from(component.profile().kind);
        Stage {
            name,
            component,
            config: Vec::new(),
            outputs: usize::from(role != Role::Sink),
            from: Vec::new(),
            merge: Merge::default(),
            limits: Limits::default(),
            budget: Budget::default(),
            policy: Policy::default(),
            batch: torvyn_runtime::Stage::MAX_BATCH,
            faults: Vec::new(),
        }
    }

    /// With another name, which is what the account and the log have it under.
    pub fn named(&self, name: impl Into<String>) -> Stage {
        Stage { name: name.into(), ..self.clone() }
    }

    /// With a value in its `config`, in place of the one that it had.
    pub fn with(&self, name: &str, value: impl ToString) -> Stage {
        let mut stage = self.clone();
        stage.config.retain(|(known, _)| known != name);
        stage.config.push((name.to_string(), value.to_string()));
        stage
    }

    /// With so many outputs: a processor or a source has one where nothing is said.
    pub fn outputs(&self, outputs: usize) -> Stage {
        Stage { outputs, ..self.clone() }
    }

    /// Taking its elements from this output of an earlier stage of its pipeline, in place of output 0 of the one before
    /// it. `input` is where the elements of the test come from. It can take from several.
    pub fn from(&self, stage: &str, output: usize) -> Stage {
        let mut taking = self.clone();
        taking.from.push((stage.to_string(), output));
        taking
    }

    /// With this choice among several that it takes from.
    pub fn merge(&self, merge: Merge) -> Stage {
        Stage { merge, ..self.clone() }
    }

    /// With limits on its memory, its time, and what it holds.
    pub fn limits(&self, limits: Limits) -> Stage {
        Stage { limits, ..self.clone() }
    }

    /// With a copy budget: what is over it is not copied, and fails the run.
    pub fn budget(&self, budget: Budget) -> Stage {
        Stage { budget, ..self.clone() }
    }

    /// With at most so many elements in a call, 1 to [`torvyn_runtime::Stage::MAX_BATCH`].
    pub fn batch(&self, batch: usize) -> Stage {
        Stage { batch, ..self.clone() }
    }

    /// With a policy for elements that it fails at; without one the run fails.
    pub fn policy(&self, policy: Policy) -> Stage {
        Stage { policy, ..self.clone() }
    }

    /// With a fault that it suffers, besides those that it has: `what` happens at this element, counted from 0, the first
    /// so many `times` that the stage is given it, or that it makes it where it is a source. A run in which one does not
    /// happen at all is an error.
    pub fn fault(&self, element: u64, times: u32, what: InjectedFault) -> Stage {
        let mut suffering = self.clone();
        suffering.faults.push((element, times, what));
        suffering
    }

    /// What it is, and what is proven of it.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// A pipeline of this stage alone, for what is set of a pipeline.
    pub fn alone(&self) -> Pipeline {
        Pipeline::new(self.clone())
    }

    /// A pipeline of this stage and then another.
    pub fn then(&self, next: &Stage) -> Pipeline {
        self.alone().then(next)
    }

    /// Runs it alone, on these payloads; as [`Pipeline::run`].
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run<T: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = T>) -> Result<Run, Error> {
        self.alone().run(elements)
    }

    /// Runs it alone, a source; as [`Pipeline::run_source`].
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run_source(&self) -> Result<Run, Error> {
        self.alone().run_source()
    }

    pub(crate) fn role(&self) -> Role {
        Role::from(self.component.profile().kind)
    }

    /// What it suffers in one run.
    pub(crate) fn injections(&self) -> Vec<Injection> {
        self.faults.iter().map(|(element, times, what)| Injection::new(*element, *times, what.clone())).collect()
    }

    /// Held to what is proven of the component.
    pub(crate) fn body(&self, faults: Vec<Injection>) -> flow::Stage {
        flow::Stage {
            config: self.config.clone(),
            limits: self.limits.clone(),
            budget: self.budget,
            bounds: self.component.analysis().bounds(),
            policy: self.policy,
            batch: self.batch,
            injections: faults,
            ..flow::Stage::new(self.component.clone())
        }
    }
}
