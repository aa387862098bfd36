//! A component, compiled and checked against the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::engine::Engine;
use crate::error::Error;
use crate::host::Host;
use crate::host::bindings::processor::ProcessorStagePre;
use crate::host::bindings::sink::SinkStagePre;
use crate::host::bindings::source::SourceStagePre;
use crate::limits::Limits;
use crate::profile::{self, Kind, Profile};

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

    /// What it is, as far as that can be told without analysing its code.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs.
    pub fn profile(&self) -> Result<Profile, Error> {
        Profile::parse(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    /// Checks, analyses and compiles it.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile(&self, engine: &Engine) -> Result<Component, Error> {
        let Binary { path, bytes } = self;
        let analysis = Analysis::parse(bytes).map_err(|reason| Error::load(path, reason))?;
        let refused = |error: wasmtime::Error| Error::Compile { path: path.clone(), source: error.into() };
        let component = wasmtime::component::Component::from_binary(&engine.engine, bytes).map_err(refused)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(refused)?;
        let exports = match analysis.profile.kind {
            Kind::Source => SourceStagePre::new(pre).map(ExportsPre::Source),
            Kind::Processor => ProcessorStagePre::new(pre).map(ExportsPre::Processor),
            Kind::Sink => SinkStagePre::new(pre).map(ExportsPre::Sink),
        };
        let exports = Arc::new(exports.map_err(refused)?);
        Ok(Component { path: path.clone(), analysis: Arc::new(analysis), exports })
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
