//! Where an analysis stops: at what is no component, and at what it does not follow.

use crate::error::LoadError;

/// Core modules that are instantiated in one component, and components within it.
pub(super) const MAX_INSTANCES: usize = 256;
/// Components within one another, components instantiated by one another, and instances within one another.
pub(super) const MAX_DEPTH: usize = 32;
/// Functions of all instances, with their calls and their entries in tables.
pub(super) const MAX_FUNCTIONS: usize = 1 << 21;
/// Values that are followed through one function: locals times branches.
pub(super) const MAX_VALUES: usize = 1 << 22;
/// The same through all functions.
pub(super) const MAX_VALUES_IN_ALL: usize = 1 << 25;
/// Operators that are looked at, and values that are followed, to tell what is done with the bytes that are read.
pub(super) const MAX_LOOKED_AT: usize = 1 << 21;
/// Above this a count is no bound anyone would use.
pub(super) const MAX_COUNT: u32 = 1 << 16;

/// Why an analysis stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file is not a valid component.
    Malformed(String),
    /// It is valid, and cannot be followed; why, as a phrase.
    Beyond(String),
}

impl Stop {
    pub(super) fn beyond(why: impl Into<String>) -> Stop {
        Stop::Beyond(why.into())
    }

    /// Something that validation rules out.
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
