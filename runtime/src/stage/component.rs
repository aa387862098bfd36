//! A component, compiled and checked against the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::component::compile::{Compiler, Complexity};
use crate::component::outline::outline;
use crate::component::profile::{self, Profile};
use crate::contract::Kind;
use crate::error::{CompileError, Error, LoadError};
use crate::pipeline::limits::Limits;
use crate::stage::engine::Engine;
use crate::stage::host::Host;
use crate::stage::host::bindings::processor::ProcessorStagePre;
use crate::stage::host::bindings::sink::SinkStagePre;
use crate::stage::host::bindings::source::SourceStagePre;

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

    /// What it is, as far as that can be told without analysing its code.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs.
    pub fn profile(&self) -> Result<Profile, Error> {
        Profile::parse(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    /// Checks, analyses and compiles it, in this process: what is too complex for that is refused.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile(&self, engine: &Engine) -> Result<Component, Error> {
        let analysis = self.parse()?;
        let component = self.build(engine)?;
        self.link(engine, analysis, &component)
    }

    /// Checks, analyses and compiles it: here if that is quick, and otherwise with `compiler`.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile_with(&self, engine: &Engine, compiler: &Compiler, limits: &Limits) -> Result<Component, Error> {
        let analysis = self.parse()?;
        let component = self.build_with(engine, compiler, limits)?;
        self.link(engine, analysis, &component)
    }

    /// Checks and analyses it as [`Binary::compile`] does, and compiles none of its code: the engine links its outline. What
    /// is refused there is refused here, but for code that is too large or too complex to be compiled.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn analyse(&self, engine: &Engine) -> Result<Analysis, Error> {
        let analysis = self.parse()?;
        let outline = self.outline()?.build(engine)?;
        self.exports(engine, analysis.profile.kind, &outline)?;
        Ok(analysis)
    }

    /// The same, with `compiler` where the outline itself takes long to compile: as it does where components in it are
    /// instantiated very often, or call one another with very large types.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn analyse_with(&self, engine: &Engine, compiler: &Compiler, limits: &Limits) -> Result<Analysis, Error> {
        let analysis = self.parse()?;
        let outline = self.outline()?.build_with(engine, compiler, limits)?;
        self.exports(engine, analysis.profile.kind, &outline)?;
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

    fn outline(&self) -> Result<Binary, Error> {
        let bytes = outline(&self.bytes).map_err(|reason| Error::load(&self.path, reason))?;
        Ok(Binary { path: self.path.clone(), bytes })
    }

    /// Compiles it here, if it can be.
    fn build(&self, engine: &Engine) -> Result<wasmtime::component::Component, Error> {
        match self.complexity()?.why_too_complex() {
            Some(why) => Err(self.not_compiled(CompileError::Complex(why))),
            None => self.compile_here(engine),
        }
    }

    /// Compiles it here if that is quick, and otherwise with `compiler`.
    fn build_with(
        &self,
        engine: &Engine,
        compiler: &Compiler,
        limits: &Limits,
    ) -> Result<wasmtime::component::Component, Error> {
        let complexity = self.complexity()?;
        if complexity.is_small() {
            return self.compile_here(engine);
        }
        if let Some(why) = complexity.why_refused() {
            return Err(self.not_compiled(CompileError::Complex(why)));
        }
        let code = compiler.compile(&self.bytes, limits).map_err(|reason| match reason {
            CompileError::Refused(why) => Error::Compile { path: self.path.clone(), source: why.into() },
            reason => self.not_compiled(reason),
        })?;
        code.load(&engine.engine).map_err(|error| self.refused(error))
    }

    fn complexity(&self) -> Result<Complexity, Error> {
        let malformed = |error: wasmparser::BinaryReaderError| LoadError::Malformed(error.to_string());
        Complexity::measure(&self.bytes).map_err(|error| Error::load(&self.path, malformed(error)))
    }

    fn not_compiled(&self, reason: CompileError) -> Error {
        Error::NotCompiled { path: self.path.clone(), reason }
    }

    fn refused(&self, error: wasmtime::Error) -> Error {
        Error::Compile { path: self.path.clone(), source: error.into() }
    }

    fn compile_here(&self, engine: &Engine) -> Result<wasmtime::component::Component, Error> {
        wasmtime::component::Component::from_binary(&engine.engine, &self.bytes).map_err(|error| self.refused(error))
    }

    fn link(
        &self,
        engine: &Engine,
        analysis: Analysis,
        component: &wasmtime::component::Component,
    ) -> Result<Component, Error> {
        let exports = Arc::new(self.exports(engine, analysis.profile.kind, component)?);
        Ok(Component { path: self.path.clone(), analysis: Arc::new(analysis), exports })
    }

    /// Links it to the host, and looks for the exports of a role.
    fn exports(
        &self,
        engine: &Engine,
        kind: Kind,
        component: &wasmtime::component::Component,
    ) -> Result<ExportsPre, Error> {
        let refused = |error: wasmtime::Error| self.refused(error);
        let pre = engine.linker.instantiate_pre(component).map_err(refused)?;
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
    /// Reads, checks, analyses and compiles the component at `path`, in this process.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs, [`Error::NotCompiled`] where that
    /// would take too much, [`Error::Compile`] where the engine refuses it.
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
