//! The limits of the analysis, and [`Stop`]: why it stops.

use crate::error::LoadError;

/// The most instantiated core modules and nested components of a component.
pub(super) const MAX_INSTANCES: usize = 256;
/// The deepest nesting of components, of instantiations, and of instances.
pub(super) const MAX_DEPTH: usize = 32;
/// The most functions of all instances, together with their calls and table entries.
pub(super) const MAX_FUNCTIONS: usize = 1 << 21;
/// The most values that are tracked through one function: locals times branches.
pub(super) const MAX_VALUES: usize = 1 << 22;
/// The most values that are tracked through all functions.
pub(super) const MAX_VALUES_IN_ALL: usize = 1 << 25;
/// The most instructions and values that are examined to find how read bytes are used.
pub(super) const MAX_EXAMINED: usize = 1 << 21;
/// A greater count is not a useful bound.
pub(super) const MAX_COUNT: u32 = 1 << 16;

/// Why an analysis stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file is not a valid component.
    Malformed(String),
    /// The component is valid, but cannot be analysed; why, as a phrase.
    Beyond(String),
}

impl Stop {
    pub(super) fn beyond(why: impl Into<String>) -> Stop {
        Stop::Beyond(why.into())
    }

    /// An inconsistency that validation rules out.
    pub(super) fn inconsistent() -> Stop {
        Stop::Malformed("an index is out of range".to_string())
    }
}

impl From<wasmparser::Error> for Stop {
    fn from(error: wasmparser::Error) -> Stop {
        Stop::Malformed(error.to_string())
    }
}

impl From<Stop> for LoadError {
    fn from(stop: Stop) -> LoadError {
        match stop {
            Stop::Malformed(why) | Stop::Beyond(why) => LoadError::Malformed(why),
        }
    }
}

/// The element at `index`.
pub(super) fn find<T>(list: &[T], index: u32) -> Result<&T, Stop> {
    list.get(index as usize).ok_or_else(Stop::inconsistent)
}
