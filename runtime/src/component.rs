//! A component, compiled and checked against the contract.

use std::path::{Path, PathBuf};

use crate::engine::Engine;
use crate::error::Error;
use crate::host::Host;
use crate::limits::Limits;
use crate::profile::{self, Profile};

/// A component that can be started as a stage, any number of times.
#[derive(Clone)]
pub struct Component {
    path: PathBuf,
    profile: Profile,
    pub(crate) pre: wasmtime::component::InstancePre<Host>,
}

impl Component {
    /// Reads, checks and compiles the component at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where it is not a component for a world that this runtime runs, [`Error::Compile`] where the
    /// engine refuses it.
    pub fn load(engine: &Engine, path: &Path, limits: &Limits) -> Result<Component, Error> {
        let bytes = profile::read(path, limits.component_size)?;
        let profile = Profile::parse(&bytes).map_err(|reason| Error::load(path, reason))?;
        let refused = |error: wasmtime::Error| Error::Compile { path: path.to_path_buf(), source: error.into() };
        let component = wasmtime::component::Component::from_binary(&engine.engine, &bytes).map_err(refused)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(refused)?;
        Ok(Component { path: path.to_path_buf(), profile, pre })
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
}
