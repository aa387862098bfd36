//! [`Stage`]: a component with its settings for a test.

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

/// A component with its settings.
///
/// Each setter returns a new stage and leaves the original unchanged, so that a test can vary one stage.
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
    /// The stages and outputs that it takes elements from; empty for the previous stage.
    pub(crate) from: Vec<(String, usize)>,
    pub(crate) merge: Merge,
    limits: Limits,
    budget: Budget,
    policy: Policy,
    batch: usize,
    replicas: usize,
    /// The faults to inject: at which element, how often, and what.
    faults: Vec<(u64, u32, InjectedFault)>,
}

/// Loads the component file `path`, relative to the package of the test. The stage has the name of the file.
///
/// # Errors
///
/// [`Error::Missing`], and [`Error::Load`] if the component is not a stage that the runtime can run.
pub fn load(path: impl AsRef<Path>) -> Result<Stage, Error> {
    let path = package().join(path);
    fs::metadata(&path).map_err(|source| Error::Missing { path: path.clone(), source })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Stage::new(name, load_component(&path)?))
}

/// The folder of the package of the test.
pub(crate) fn package() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default()
}

/// Loads a component file into the engine of this process.
fn load_component(path: &Path) -> Result<Component, Error> {
    Component::load(&engine()?, path, &Limits::default()).map_err(Error::Load)
}

/// Loads a component whose bytes were already read.
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
    pub(crate) fn new(name: String, component: Component) -> Stage {
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
            replicas: 1,
            faults: Vec::new(),
        }
    }

    /// Sets the name, which the run report and the log use.
    pub fn named(&self, name: impl Into<String>) -> Stage {
        Stage { name: name.into(), ..self.clone() }
    }

    /// Sets a value of its `config`, replacing an existing one.
    pub fn with(&self, name: &str, value: impl ToString) -> Stage {
        let mut stage = self.clone();
        stage.config.retain(|(known, _)| known != name);
        stage.config.push((name.to_string(), value.to_string()));
        stage
    }

    /// Sets the number of outputs. The default is 1 for a source or processor.
    pub fn outputs(&self, outputs: usize) -> Stage {
        Stage { outputs, ..self.clone() }
    }

    /// Takes elements from an output of an earlier stage of the pipeline, in place of output 0 of the previous stage.
    /// Stage `input` stands for the elements of the test. Can be called several times, to take from several outputs.
    pub fn from(&self, stage: &str, output: usize) -> Stage {
        let mut taking = self.clone();
        taking.from.push((stage.to_string(), output));
        taking
    }

    /// Sets the order in which elements are taken from several outputs.
    pub fn merge(&self, merge: Merge) -> Stage {
        Stage { merge, ..self.clone() }
    }

    /// Sets the limits of its resources.
    pub fn limits(&self, limits: Limits) -> Stage {
        Stage { limits, ..self.clone() }
    }

    /// Sets the copy budget. Copies beyond the budget are refused.
    pub fn budget(&self, budget: Budget) -> Stage {
        Stage { budget, ..self.clone() }
    }

    /// Sets the most elements per call: 1 to [`torvyn_runtime::Stage::MAX_BATCH`].
    pub fn batch(&self, batch: usize) -> Stage {
        Stage { batch, ..self.clone() }
    }

    /// Sets how many instances of the component take turns: 1 to [`torvyn_runtime::Stage::MAX_REPLICAS`]. In a test, they are
    /// called one after the other.
    pub fn replicas(&self, replicas: usize) -> Stage {
        Stage { replicas, ..self.clone() }
    }

    /// Sets the policy for elements that it fails on. By default the run fails.
    pub fn policy(&self, policy: Policy) -> Stage {
        Stage { policy, ..self.clone() }
    }

    /// Adds a fault: `what` is injected at this element, numbered from 0, the first `times` times that the stage is
    /// lent the element or, if it is a source, makes it. A run in which a fault is never injected is an error.
    pub fn fault(&self, element: u64, times: u32, what: InjectedFault) -> Stage {
        let mut stage = self.clone();
        stage.faults.push((element, times, what));
        stage
    }

    /// The component, with its profile and what is proven about it.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// A pipeline of only this stage, to change settings of the pipeline.
    pub fn alone(&self) -> Pipeline {
        Pipeline::new(self.clone())
    }

    /// A pipeline of this stage and a next one.
    pub fn then(&self, next: &Stage) -> Pipeline {
        self.alone().then(next)
    }

    /// Runs only this stage, on these payloads; as [`Pipeline::run`].
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`].
    pub fn run<T: AsRef<[u8]>>(&self, elements: impl IntoIterator<Item = T>) -> Result<Run, Error> {
        self.alone().run(elements)
    }

    /// Runs only this stage, which must be a source; as [`Pipeline::run_source`].
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

    /// The faults of one run.
    pub(crate) fn injections(&self) -> Vec<Injection> {
        self.faults.iter().map(|(element, times, what)| Injection::new(*element, *times, what.clone())).collect()
    }

    /// The stage for one run, with the proven bounds of its component, which the run checks.
    pub(crate) fn body(&self, faults: Vec<Injection>) -> flow::Stage {
        flow::Stage {
            config: self.config.clone(),
            limits: self.limits.clone(),
            budget: self.budget,
            bounds: self.component.analysis().bounds(),
            policy: self.policy,
            batch: self.batch,
            replicas: self.replicas,
            injections: faults,
            ..flow::Stage::new(self.component.clone())
        }
    }
}
