//! A component that is compiled and checked against the contract.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::component::compile::{Compiler, Complexity, MachineCode};
use crate::component::debug_info::without_excessive;
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

use self::start::Refused;

mod exports;
mod start;

/// A component that can be started as a stage any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    path: PathBuf,
    analysis: Arc<Analysis>,
    is_from_cache: bool,
    pub(crate) exports: Arc<ExportsPre>,
}

/// The bytes of a component file. Exactly these bytes are analysed and compiled.
#[derive(Clone, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Machine code that is loaded.
struct Built {
    component: wasmtime::component::Component,
    is_from_cache: bool,
}

/// A linked component with its exports found.
pub(crate) enum ExportsPre {
    Source(SourceStagePre<Host>),
    Processor(ProcessorStagePre<Host>),
    Sink(SinkStagePre<Host>),
}

impl Binary {
    /// Reads a file that is within `limits.component_size`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if it cannot be read.
    pub fn read(path: &Path, limits: &Limits) -> Result<Binary, Error> {
        Ok(Binary { path: path.to_path_buf(), bytes: profile::read(path, limits.component_size)? })
    }

    /// Takes bytes that were already read from the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if they exceed `limits.component_size`.
    pub fn new(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Binary, Error> {
        if bytes.len() as u64 > limits.component_size {
            return Err(Error::load(path, LoadError::TooLarge { limit: limits.component_size }));
        }
        Ok(Binary { path: path.to_path_buf(), bytes: bytes.to_vec() })
    }

    /// Describes the component without analysing its code.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if it is not a component for a world that this runtime runs.
    pub fn profile(&self) -> Result<Profile, Error> {
        Profile::parse(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    /// Checks, analyses and compiles the component in this process. A component that is too complex for that is refused.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile(&self, engine: &Engine) -> Result<Component, Error> {
        let analysis = self.parse()?;
        let component = self.build(engine)?;
        self.link(engine, analysis, &Built { component, is_from_cache: false })
    }

    /// Checks, analyses and compiles the component: in this process if that is quick, and otherwise with `compiler`. If
    /// `compiler` has a cache, the machine code may come from there.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn compile_with(&self, engine: &Engine, compiler: &Compiler, limits: &Limits) -> Result<Component, Error> {
        let analysis = self.parse()?;
        let built = self.build_with(engine, compiler, limits)?;
        self.link(engine, analysis, &built)
    }

    /// Checks and analyses the component as [`Binary::compile`] does, but compiles none of its code: the engine links and
    /// instantiates its outline. It refuses what [`Binary::compile`] or the start of a stage refuses, except code that is too
    /// large or too complex to compile, and what depends on `limits.memory`: see [`Analysis::check_limits`].
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn analyse(&self, engine: &Engine) -> Result<Analysis, Error> {
        let analysis = self.parse()?;
        let outline = self.outline()?.build(engine)?;
        self.judge(engine, analysis, &outline)
    }

    /// As [`Binary::analyse`], but uses `compiler` if the outline itself takes long to compile: if it instantiates components
    /// very often, or if they call one another with very large types.
    ///
    /// # Errors
    ///
    /// As [`Component::load`].
    pub fn analyse_with(&self, engine: &Engine, compiler: &Compiler, limits: &Limits) -> Result<Analysis, Error> {
        let analysis = self.parse()?;
        let outline = self.outline()?.build_with(engine, compiler, limits)?;
        self.judge(engine, analysis, &outline.component)
    }

    /// Analyses the component, whether or not the engine accepts it.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if it is not a component for a world that this runtime runs.
    pub fn parse(&self) -> Result<Analysis, Error> {
        Analysis::parse(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    fn outline(&self) -> Result<Binary, Error> {
        let bytes = outline(&self.bytes).map_err(|reason| Error::load(&self.path, reason))?;
        Ok(Binary { path: self.path.clone(), bytes })
    }

    /// Links and instantiates the outline, as a stage is started.
    fn judge(
        &self,
        engine: &Engine,
        analysis: Analysis,
        outline: &wasmtime::component::Component,
    ) -> Result<Analysis, Error> {
        self.exports(engine, analysis.profile.kind, outline)?;
        let memory = start::measure_memory(engine, outline).map_err(|refused| match refused {
            Refused::Limit(limit) => Error::load(&self.path, limit.into()),
            Refused::Engine(error) => self.refused(error),
        })?;
        Ok(Analysis { memory: Some(memory), ..analysis })
    }

    /// Compiles the component in this process, if it is simple enough.
    fn build(&self, engine: &Engine) -> Result<wasmtime::component::Component, Error> {
        match self.complexity()?.why_too_complex() {
            Some(why) => Err(self.not_compiled(CompileError::Complex(why))),
            None => self.compile_here(engine),
        }
    }

    /// Takes the component from the cache, or compiles it: in this process if that is quick, and otherwise with `compiler`.
    fn build_with(&self, engine: &Engine, compiler: &Compiler, limits: &Limits) -> Result<Built, Error> {
        let complexity = self.complexity()?;
        if let Some(why) = complexity.why_refused() {
            return Err(self.not_compiled(CompileError::Complex(why)));
        }
        let bytes = self.compiled_bytes()?;
        let entry = compiler.cache().map(|cache| cache.entry(&engine.engine, &bytes, limits));
        if let Some(component) = entry.as_ref().and_then(|entry| entry.load(&engine.engine)) {
            return Ok(Built { component, is_from_cache: true });
        }
        let code = match complexity.is_small() {
            true => MachineCode::compile(&engine.engine, &bytes).map_err(|error| self.refused(error))?,
            false => compiler.compile(&bytes, limits).map_err(|reason| match reason {
                CompileError::Refused(why) => Error::Compile { path: self.path.clone(), source: why.into() },
                reason => self.not_compiled(reason),
            })?,
        };
        if let Some(entry) = entry {
            entry.store(&code);
        }
        let component = code.load(&engine.engine).map_err(|error| self.refused(error))?;
        Ok(Built { component, is_from_cache: false })
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
        let bytes = self.compiled_bytes()?;
        wasmtime::component::Component::from_binary(&engine.engine, &bytes).map_err(|error| self.refused(error))
    }

    /// The bytes that the engine compiles.
    fn compiled_bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        without_excessive(&self.bytes).map_err(|reason| Error::load(&self.path, reason))
    }

    fn link(&self, engine: &Engine, analysis: Analysis, built: &Built) -> Result<Component, Error> {
        let exports = Arc::new(self.exports(engine, analysis.profile.kind, &built.component)?);
        let (path, is_from_cache) = (self.path.clone(), built.is_from_cache);
        Ok(Component { path, analysis: Arc::new(analysis), is_from_cache, exports })
    }

    /// Links the component to the host, and finds the exports of its role.
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
    /// [`Error::Load`] if it is not a component for a world that this runtime runs, [`Error::NotCompiled`] if compiling it would
    /// take too much, [`Error::Compile`] if the engine refuses it.
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

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its machine code came from a compile cache, so that nothing was compiled.
    pub fn is_from_cache(&self) -> bool {
        self.is_from_cache
    }

    /// The profile of the component.
    pub fn profile(&self) -> &Profile {
        &self.analysis.profile
    }

    /// What its code can do with payloads, proven from the bytes that run.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }
}
