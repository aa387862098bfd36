//! The functions of the contract that proofs are about.

use std::fmt;

use serde::Serialize;

/// A function of the contract that proofs are about: payload bytes are copied through it, or elements are kept or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
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

impl Door {
    /// All of them.
    pub const ALL: [Door; 11] = [
        Door::Read,
        Door::ReadAll,
        Door::ReadHeld,
        Door::EmitAll,
        Door::Allocate,
        Door::Append,
        Door::WriteAt,
        Door::SliceAll,
        Door::Take,
        Door::ForwardAll,
        Door::Join,
    ];
    /// Those through which payload bytes come into a component. There is no other: a buffer cannot be read back, and what
    /// else the host tells are sizes, sequence numbers, times, failures, and attributes, where a stage that reads can have put
    /// what it likes.
    pub const READS: &[Door] = &[Door::Read, Door::ReadAll, Door::ReadHeld];
    /// Those through which payload bytes leave a component, and the one that begins a payload.
    pub const WRITES: &[Door] = &[Door::EmitAll, Door::Allocate, Door::Append, Door::WriteAt];

    /// The interface it is of.
    pub fn interface(self) -> &'static str {
        self.place().0
    }

    /// The interface it is of, and its name there as a component has it.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Door::Read => ("payload-read", "read"),
            Door::ReadAll => ("payload-read", "read-all"),
            Door::ReadHeld => ("payload-read", "read-held"),
            Door::EmitAll => ("payload-write", "emit-all"),
            Door::Allocate => ("payload-buffer", "[static]buffer.allocate"),
            Door::Append => ("payload-buffer", "[method]buffer.append"),
            Door::WriteAt => ("payload-buffer", "[method]buffer.write-at"),
            Door::SliceAll => ("payload-view", "slice-all"),
            Door::Take => ("payload-lease", "take"),
            Door::ForwardAll => ("payload-lease", "forward-all"),
            Door::Join => ("payload-lease", "join"),
        }
    }

    /// The function of an interface of the contract, by its name in a component.
    pub(crate) fn named(interface: &str, function: &str) -> Option<Door> {
        Door::ALL.into_iter().find(|door| door.place() == (interface, function))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, function) = self.place();
        let function = function.split_once(']').map_or(function, |(_, function)| function);
        f.pad(&format!("{interface}.{function}"))
    }
}
