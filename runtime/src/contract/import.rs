//! [`TrackedImport`]: the functions of the contract that proofs are about.

use std::fmt;

use serde::Serialize;

/// A function of the contract that proofs are about: it copies payload bytes, or holds or makes elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackedImport {
    /// `payload-read.read`
    Read,
    /// `payload-read.read-all`
    ReadAll,
    /// `payload-read.read-held`
    ReadHeld,
    /// `payload-write.emit-all`
    EmitAll,
    /// `payload-buffer.buffer.allocate`: copies nothing, but without it there is no buffer to write to.
    Allocate,
    /// `payload-buffer.buffer.append`
    Append,
    /// `payload-buffer.buffer.write-at`
    WriteAt,
    /// `payload-view.slice-all`: makes several elements of one, and copies nothing.
    SliceAll,
    /// `payload-lease.take`: copies nothing, but nothing is held without it.
    Take,
    /// `payload-lease.forward-all`: makes elements of held elements, and copies nothing.
    ForwardAll,
    /// `payload-lease.join`: makes one element of held elements, and copies nothing.
    Join,
}

impl TrackedImport {
    /// All tracked imports.
    pub const ALL: [TrackedImport; 11] = [
        TrackedImport::Read,
        TrackedImport::ReadAll,
        TrackedImport::ReadHeld,
        TrackedImport::EmitAll,
        TrackedImport::Allocate,
        TrackedImport::Append,
        TrackedImport::WriteAt,
        TrackedImport::SliceAll,
        TrackedImport::Take,
        TrackedImport::ForwardAll,
        TrackedImport::Join,
    ];
    /// The imports through which payload bytes enter a component. There are no others: a buffer cannot be read back,
    /// and all else that the host passes to a component are sizes, sequence numbers, times, failures and attributes.
    /// (Attributes can contain anything that an earlier stage has read and put there.)
    pub const READS: &[TrackedImport] = &[TrackedImport::Read, TrackedImport::ReadAll, TrackedImport::ReadHeld];
    /// The imports through which payload bytes leave a component, and the one that allocates a payload.
    pub const WRITES: &[TrackedImport] =
        &[TrackedImport::EmitAll, TrackedImport::Allocate, TrackedImport::Append, TrackedImport::WriteAt];

    /// The interface that the function belongs to.
    pub fn interface(self) -> &'static str {
        self.path().0
    }

    /// The interface that the function belongs to, and its name there in the binary format.
    fn path(self) -> (&'static str, &'static str) {
        match self {
            TrackedImport::Read => ("payload-read", "read"),
            TrackedImport::ReadAll => ("payload-read", "read-all"),
            TrackedImport::ReadHeld => ("payload-read", "read-held"),
            TrackedImport::EmitAll => ("payload-write", "emit-all"),
            TrackedImport::Allocate => ("payload-buffer", "[static]buffer.allocate"),
            TrackedImport::Append => ("payload-buffer", "[method]buffer.append"),
            TrackedImport::WriteAt => ("payload-buffer", "[method]buffer.write-at"),
            TrackedImport::SliceAll => ("payload-view", "slice-all"),
            TrackedImport::Take => ("payload-lease", "take"),
            TrackedImport::ForwardAll => ("payload-lease", "forward-all"),
            TrackedImport::Join => ("payload-lease", "join"),
        }
    }

    /// The tracked import with this interface and function name, as they are in the binary format.
    pub(crate) fn from_path(interface: &str, function: &str) -> Option<TrackedImport> {
        TrackedImport::ALL.into_iter().find(|import| import.path() == (interface, function))
    }
}

impl fmt::Display for TrackedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, function) = self.path();
        let function = function.split_once(']').map_or(function, |(_, function)| function);
        f.pad(&format!("{interface}.{function}"))
    }
}
