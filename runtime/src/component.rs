//! A component, compiled and checked against the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::engine::Engine;
use crate::error::{Error, LoadError};
use crate::host::Host;
use crate::host::bindings::processor::ProcessorStagePre;
use crate::host::bindings::sink::SinkStagePre;
use crate::host::bindings::source::SourceStagePre;
use crate::limits::Limits;
use crate::outline::outline;
use crate::profile::{self, Kind, Profile};

mod exports;

/// A component that can be started as a stage, any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    path: PathBuf,
    analysis: Arc<Analysis>,
    pub(crate) exports: Arc<ExportsPre>,
}

/// The file of a component, read: what is analysed and what is compiled are these bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The component linked, with its exports found.
pub(crate) enum ExportsPre {
    Source(SourceStagePre<Host>),
    Processor(ProcessorStagePre<Host>),
    Sink(SinkStagePre<Host>),
}

impl Binary {
    /// Reads a file that is no greater than it may be.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it cannot be read.
    pub fn read(path: &Path, limits: &Limits) -> Result<Binary, Error> {
        Ok(Binary { path: path.to_path_buf(), bytes: profile::read(path, limits.component_size)? })
    }

    /// What was read of the file at `path` already.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is greater than it may be.
    pub fn new(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Binary, Error> {
        if bytes.len() as u64 > limits.component_size {
            return Err(Error::load(path, LoadError::TooLarge { limit: limits.component_size }));
        }
        Ok(Binary { path: path.to_path_buf(), bytes: bytes.to_vec() })
    }

    /// Checks, analyses and compiles it.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile(&self, engine: &Engine) -> Result<Component, Error> {
        let Binary { path, bytes } = self;
        let analysis = self.parse()?;
        let exports = Arc::new(self.link(engine, analysis.profile.kind, bytes)?);
        Ok(Component { path: path.clone(), analysis: Arc::new(analysis), exports })
    }

    /// Checks and analyses it as [`Binary::compile`] does, and compiles none of its code: the engine links its outline. What
    /// is refused there is refused here, but for code that is too large to be compiled.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn analyse(&self, engine: &Engine) -> Result<Analysis, Error> {
        let analysis = self.parse()?;
        let outline = outline(&self.bytes).map_err(|reason| Error::load(&self.path, reason))?;
        self.link(engine, analysis.profile.kind, &outline)?;
        Ok(analysis)
    }

    /// Analyses it, whether or not the engine accepts it.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs.
    pub fn parse(&self) -> Result<Analysis, Error> {
        Analysis::parse(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    /// Compiles `bytes`, links it to the host, and looks for the exports of a role.
    fn link(&self, engine: &Engine, kind: Kind, bytes: &[u8]) -> Result<ExportsPre, Error> {
        let refused = |error: wasmtime::Error| Error::Compile { path: self.path.clone(), source: error.into() };
        let component = wasmtime::component::Component::from_binary(&engine.engine, bytes).map_err(refused)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(refused)?;
        exports::check(&pre, kind).map_err(refused)?;
        let exports = match kind {
            Kind::Source => SourceStagePre::new(pre).map(ExportsPre::Source),
            Kind::Processor => ProcessorStagePre::new(pre).map(ExportsPre::Processor),
            Kind::Sink => SinkStagePre::new(pre).map(ExportsPre::Sink),
        };
        exports.map_err(refused)
    }
}

impl Component {
    /// Reads, checks, analyses and compiles the component at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs, [`Error::Compile`] where the
    /// engine refuses it.
    pub fn load(engine: &Engine, path: &Path, limits: &Limits) -> Result<Component, Error> {
        Binary::read(path, limits)?.compile(engine)
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match &*self.exports {
            ExportsPre::Source(pre) => pre.engine(),
            ExportsPre::Processor(pre) => pre.engine(),
            ExportsPre::Sink(pre) => pre.engine(),
        }
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn profile(&self) -> &Profile {
        &self.analysis.profile
    }

    /// What its code can do with payloads, proven from the bytes that run.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }
}
