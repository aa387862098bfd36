//! What a flow in diagnostic mode leaves behind of each copy, call and hand-off.
//!
//! Records are plain values of 56 bytes: nodes and edges are indices of the graph, times are nanoseconds since the
//! [`Recorder`](super::Recorder) was made. All that happens within a call has the time at which the call began.

use std::num::NonZeroU64;

use crate::ledger::ownership::{BufferId, Owner, State, Transition};

/// Something that happened in a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Bytes were copied.
    Transfer(TransferRecord),
    /// A node was called.
    Call(CallRecord),
    /// Elements went from a node to another.
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
    /// The host needed a payload in one piece.
    HostSerialize,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 4] =
        [Reason::PayloadRead, Reason::PayloadWrite, Reason::MetadataMarshal, Reason::HostSerialize];

    /// Its name in the account.
    pub fn name(self) -> &'static str {
        match self {
            Reason::PayloadRead => "payload_read",
            Reason::PayloadWrite => "payload_write",
            Reason::MetadataMarshal => "metadata_marshal",
            Reason::HostSerialize => "host_serialize",
        }
    }
}

/// On which side of a boundary bytes were before, and are afterwards.
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

/// One copy. A read of a batch leaves one for each of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferRecord {
    /// When the call began in which it was made.
    pub timestamp: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// The buffer that they are of, where that is known.
    pub buffer: Option<BufferId>,
    /// One more than the sequence number.
    pub(super) element: Option<NonZeroU64>,
    /// The flow.
    pub flow: u32,
    /// The node at whose boundary it was made.
    pub node: u16,
    /// In which direction.
    pub direction: Direction,
    /// Why.
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

    /// The sequence number of the element, where that is known. Metadata is of no element.
    pub fn sequence(&self) -> Option<u64> {
        self.element.map(|above| above.get() - 1)
    }
}

/// Which call it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `init` of a stage, and its instantiation.
    Init,
    /// `pull` of a source, or an input asked for elements.
    Pull,
    /// `process` of a processor.
    Process,
    /// `flush` of a processor.
    Flush,
    /// `push` of a sink, or an output given elements.
    Push,
    /// `complete` of a sink.
    Complete,
    /// `teardown` of a stage.
    Teardown,
    /// No call: what a node made before was sent when there was room for it.
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

/// One call of a node, sending what it returned included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRecord {
    /// When it began.
    pub timestamp: u64,
    /// How long it took.
    pub duration: u64,
    /// Payload bytes that it was lent or given, or made if elements enter the flow there.
    pub bytes: u64,
    /// As many elements.
    pub elements: u32,
    /// The flow.
    pub flow: u32,
    /// The node.
    pub node: u16,
    /// What was called.
    pub call: Call,
    /// Whether the flow failed in it.
    pub failed: bool,
}

/// Elements that one call sent over an edge, and another took from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOffRecord {
    /// When the call began that took them.
    pub timestamp: u64,
    /// When the call began that sent them.
    pub sent: u64,
    /// The sequence number of the first of them.
    pub first: u64,
    /// How many.
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

/// One step of a buffer from state to state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransitionRecord {
    /// When the call began in which it happened.
    pub timestamp: u64,
    /// The buffer.
    pub buffer: BufferId,
    /// The name of the transition.
    pub transition: &'static str,
    /// The flow.
    pub flow: u32,
    /// The node that it is for, or `BY_HOST`.
    pub(super) by: NodeIndex,
    /// What the buffer was.
    pub from: State,
    /// What it is.
    pub to: State,
}

/// In place of the index of a node, so that the record takes no more room.
const BY_HOST: NodeIndex = NodeIndex::MAX;

impl TransitionRecord {
    /// What happened to a buffer.
    pub(super) fn new(transition: Transition) -> Self {
        let Transition { buffer, from, to, by, how } = transition;
        let by = match by {
            Owner::Host => BY_HOST,
            Owner::Stage(stage) => NodeIndex::try_from(stage.0).unwrap_or(NodeIndex::MAX - 1),
        };
        TransitionRecord { timestamp: 0, buffer, transition: how, flow: 0, by, from, to }
    }

    /// Who asked for it.
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
    fn a_copy_says_where_from_and_where_to() {
        let copy = |direction| TransferRecord::new(3, direction, Reason::PayloadRead, 1, None, None);
        let ends = |direction| (copy(direction).from(), copy(direction).to());
        assert_eq!(ends(Direction::Lowered), (Place::Host, Place::Node(3)));
        assert_eq!(ends(Direction::Lifted), (Place::Node(3), Place::Host));
        assert_eq!(ends(Direction::Within), (Place::Host, Place::Host));
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        for sequence in [Some(0), Some(1), Some(u64::MAX - 1), None] {
            assert_eq!(
                TransferRecord::new(0, Direction::Within, Reason::HostSerialize, 1, sequence, None).sequence(),
                sequence
            );
        }
    }
}
