//! Files: which of them are one, how they are replaced, and which have changed.

pub(crate) mod atomic_file;
pub(crate) mod paths;
pub(crate) mod standard_streams;
pub(crate) mod watcher;
