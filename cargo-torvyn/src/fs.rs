//! Files: paths for display, atomic replacement, standard streams, and change detection.

pub(crate) mod atomic_file;
pub(crate) mod paths;
pub(crate) mod standard_streams;
pub(crate) mod watcher;
