//! The records of copies, calls, hand-offs and buffer transitions that a flow in diagnostic mode leaves.
//!
//! Records are plain values of at most 56 bytes. Nodes and edges are indices into the graph; times are nanoseconds since the
//! [`Recorder`](super::Recorder) was made. Everything within a call has the time at which the call began.

use std::num::NonZeroU64;

use crate::ledger::ownership::{BufferId, Owner, State, Transition};

/// Something that happened in a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Bytes were copied.
    Transfer(TransferRecord),
    /// A node was called.
    Call(CallRecord),
    /// Elements went from one node to another.
    HandOff(HandOffRecord),
    /// A buffer changed its state or its owner.
    Transition(TransitionRecord),
}

const _: () = assert!(size_of::<Record>() <= 56, "65,536 records take 3.5 MiB");

/// Why bytes were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A component read a payload.
    PayloadRead,
    /// A component wrote a payload.
    PayloadWrite,
    /// A column of metadata was lowered or lifted.
    MetadataMarshal,
    /// The host copied a payload within its own memory.
    HostSerialize,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 4] =
        [Reason::PayloadRead, Reason::PayloadWrite, Reason::MetadataMarshal, Reason::HostSerialize];

    /// Its name in the run report.
    pub fn name(self) -> &'static str {
        match self {
            Reason::PayloadRead => "payload_read",
            Reason::PayloadWrite => "payload_write",
            Reason::MetadataMarshal => "metadata_marshal",
            Reason::HostSerialize => "host_serialize",
        }
    }
}

/// The direction of a copy across a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the host to the component.
    Lowered,
    /// From the component to the host.
    Lifted,
    /// Within the host.
    Within,
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In memory of the host.
    Host,
    /// In the memory of this node's component.
    Node(u16),
}

/// One copy. A read of a batch leaves one record per element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferRecord {
    /// When the call that made the copy began.
    pub timestamp: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// The buffer of the bytes, if known.
    pub buffer: Option<BufferId>,
    /// The sequence number plus one.
    pub(super) element: Option<NonZeroU64>,
    /// The flow.
    pub flow: u32,
    /// The node at whose boundary the copy was made.
    pub node: u16,
    /// The direction of the copy.
    pub direction: Direction,
    /// The reason of the copy.
    pub reason: Reason,
}

impl TransferRecord {
    /// A copy at the boundary of `node`.
    pub(super) fn new(
        node: u16,
        direction: Direction,
        reason: Reason,
        bytes: u64,
        sequence: Option<u64>,
        buffer: Option<BufferId>,
    ) -> TransferRecord {
        let element = sequence.and_then(|sequence| NonZeroU64::new(sequence.wrapping_add(1)));
        TransferRecord { timestamp: 0, bytes, buffer, element, flow: 0, node, direction, reason }
    }

    /// Where the bytes came from.
    pub fn from(&self) -> Place {
        if self.direction == Direction::Lifted { Place::Node(self.node) } else { Place::Host }
    }

    /// Where they went.
    pub fn to(&self) -> Place {
        if self.direction == Direction::Lowered { Place::Node(self.node) } else { Place::Host }
    }

    /// The sequence number of the element, if known. Metadata belongs to no element.
    pub fn sequence(&self) -> Option<u64> {
        self.element.map(|above| above.get() - 1)
    }
}

/// Which function was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `init` of a stage, and its instantiation.
    Init,
    /// `pull` of a source, or a pull from an input.
    Pull,
    /// `process` of a processor.
    Process,
    /// `flush` of a processor.
    Flush,
    /// `push` of a sink, or a push to an output.
    Push,
    /// `complete` of a sink.
    Complete,
    /// `teardown` of a stage.
    Teardown,
    /// No call: held elements were sent once there was room for them.
    Send,
}

impl Call {
    /// The name of the function in the contract, or `send`.
    pub fn name(self) -> &'static str {
        match self {
            Call::Init => "init",
            Call::Pull => "pull",
            Call::Process => "process",
            Call::Flush => "flush",
            Call::Push => "push",
            Call::Complete => "complete",
            Call::Teardown => "teardown",
            Call::Send => "send",
        }
    }
}

/// One call of a node, including the sending of its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRecord {
    /// When it began.
    pub timestamp: u64,
    /// How long it took.
    pub duration: u64,
    /// Payload bytes of the elements that it was lent, or that it made if it is a source.
    pub bytes: u64,
    /// The number of these elements.
    pub elements: u32,
    /// The flow.
    pub flow: u32,
    /// The node.
    pub node: u16,
    /// The function that was called.
    pub call: Call,
    /// Whether the flow failed in it.
    pub failed: bool,
}

/// Elements that one call sent over an edge and another call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOffRecord {
    /// When the taking call began.
    pub timestamp: u64,
    /// When the sending call began.
    pub sent: u64,
    /// The sequence number of the first element.
    pub first: u64,
    /// The number of elements.
    pub elements: u32,
    /// The flow.
    pub flow: u32,
    /// The edge.
    pub edge: u16,
    /// The node that sent them.
    pub from: u16,
    /// The node that took them.
    pub to: u16,
}

/// One transition of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransitionRecord {
    /// When the call in which it happened began.
    pub timestamp: u64,
    /// The buffer.
    pub buffer: BufferId,
    /// The name of the transition.
    pub transition: &'static str,
    /// The flow.
    pub flow: u32,
    /// The node that caused it, or `BY_HOST`.
    pub(super) by: NodeIndex,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
}

/// In place of a node index, which keeps the record small.
const BY_HOST: NodeIndex = NodeIndex::MAX;

impl TransitionRecord {
    /// The record of a transition.
    pub(super) fn new(transition: Transition) -> Self {
        let Transition { buffer, from, to, by, how } = transition;
        let by = match by {
            Owner::Host => BY_HOST,
            Owner::Stage(stage) => NodeIndex::try_from(stage.0).unwrap_or(NodeIndex::MAX - 1),
        };
        TransitionRecord { timestamp: 0, buffer, transition: how, flow: 0, by, from, to }
    }

    /// Who caused it.
    pub fn by(&self) -> Place {
        if self.by == BY_HOST { Place::Host } else { Place::Node(self.by) }
    }
}

/// The index of a node in a graph.
pub type NodeIndex = u16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_origin_and_destination() {
        let copy = |direction| TransferRecord::new(3, direction, Reason::PayloadRead, 1, None, None);
        let ends = |direction| (copy(direction).from(), copy(direction).to());
        assert_eq!(ends(Direction::Lowered), (Place::Host, Place::Node(3)));
        assert_eq!(ends(Direction::Lifted), (Place::Node(3), Place::Host));
        assert_eq!(ends(Direction::Within), (Place::Host, Place::Host));
    }

    #[test]
    fn packs_sequence_numbers_without_loss() {
        for sequence in [Some(0), Some(1), Some(u64::MAX - 1), None] {
            assert_eq!(
                TransferRecord::new(0, Direction::Within, Reason::HostSerialize, 1, sequence, None).sequence(),
                sequence
            );
        }
    }
}
