//! The functions of the contract that proofs are about.

use std::fmt;

use serde::Serialize;

/// A function of the contract that proofs are about: payload bytes are copied through it, or elements are kept or made.
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
    /// `payload-buffer.buffer.allocate`: copies nothing, but nothing is written to a buffer that is not there.
    Allocate,
    /// `payload-buffer.buffer.append`
    Append,
    /// `payload-buffer.buffer.write-at`
    WriteAt,
    /// `payload-view.slice-all`: makes several elements of one, and copies nothing.
    SliceAll,
    /// `payload-lease.take`: copies nothing, but nothing is held without it.
    Take,
    /// `payload-lease.forward-all`: makes elements of what is held, and copies nothing.
    ForwardAll,
    /// `payload-lease.join`: makes an element of what is held, and copies nothing.
    Join,
}

impl TrackedImport {
    /// All of them.
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
    /// Those through which payload bytes come into a component. There is no other: a buffer cannot be read back, and what
    /// else the host tells are sizes, sequence numbers, times, failures, and attributes, where a stage that reads can have put
    /// what it likes.
    pub const READS: &[TrackedImport] = &[TrackedImport::Read, TrackedImport::ReadAll, TrackedImport::ReadHeld];
    /// Those through which payload bytes leave a component, and the one that begins a payload.
    pub const WRITES: &[TrackedImport] =
        &[TrackedImport::EmitAll, TrackedImport::Allocate, TrackedImport::Append, TrackedImport::WriteAt];

    /// The interface it is of.
    pub fn interface(self) -> &'static str {
        self.place().0
    }

    /// The interface it is of, and its name there as a component has it.
    fn place(self) -> (&'static str, &'static str) {
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

    /// The function of an interface of the contract, by its name in a component.
    pub(crate) fn named(interface: &str, function: &str) -> Option<TrackedImport> {
        TrackedImport::ALL.into_iter().find(|door| door.place() == (interface, function))
    }
}

impl fmt::Display for TrackedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, function) = self.place();
        let function = function.split_once(']').map_or(function, |(_, function)| function);
        f.pad(&format!("{interface}.{function}"))
    }
}
