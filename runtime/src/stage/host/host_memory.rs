//! The host memory that a stage uses besides payloads: charged before it is allocated, and refused beyond a limit.
//!
//! A charge is an upper bound on the memory, including what a later step of the same call needs. An element that is only lent
//! and passed on costs nothing: a batch has few of them.

use super::part::View;
use super::{Failure, Host};
use crate::base::text::format_bytes;
use crate::payload::{ElementRef, PIECE_BYTES, Payload, Run, SPAN_BYTES};

/// An element that waits for room on an edge by itself, and the mask of its outputs.
const WAITING_BYTES: u64 = (size_of::<Run>() + size_of::<u64>()) as u64;
/// An element of a run: while the run is made, its place exists in a list, which may have twice the room, and in the run.
const ONE_OF_RUN_BYTES: u64 = 3 * SPAN_BYTES as u64;
/// An element in a list of views, and the same element waiting for room: both exist while it is sent.
const VIEW_BYTES: u64 = size_of::<View>() as u64 + WAITING_BYTES;
/// An element that is joined: its place, and a reference to it.
const JOINED_BYTES: u64 = 24;
/// A held element: its place, its entry in a lease, and the entry of its pinned buffer.
const HELD_BYTES: u64 = 256;
/// A piece of a held payload: its view, and the entry of its buffer.
const HELD_PIECE_BYTES: u64 = 96;

/// The charge for this many written elements, whose columns have this many bytes. If they have the metadata of no other elements
/// and go to one output, they are one run.
pub(super) fn written(elements: usize, columns: usize, are_one_run: bool) -> u64 {
    let each = if are_one_run { ONE_OF_RUN_BYTES } else { WAITING_BYTES };
    (elements as u64).saturating_mul(each).saturating_add(columns as u64)
}

/// The charge for this many elements made of others, whose payloads have this many pieces in their own lists.
pub(super) fn views(elements: usize, pieces: usize) -> u64 {
    let pieces = (pieces as u64).saturating_mul(PIECE_BYTES as u64);
    (elements as u64).saturating_mul(VIEW_BYTES).saturating_add(pieces)
}

/// The charge for joining this many elements of this many pieces. While they are joined, the list of pieces exists twice,
/// and a list of the elements as well.
pub(super) fn joining(elements: usize, pieces: usize) -> u64 {
    views(1, 2 * pieces) + elements as u64 * JOINED_BYTES
}

/// The number of pieces in a payload's piece list; 0 for a payload of one piece.
pub(super) fn listed_pieces(payload: &Payload) -> usize {
    Some(payload.piece_count()).filter(|pieces| *pieces > 1).unwrap_or_default()
}

/// The charge for a held element.
pub(super) fn held(element: ElementRef<'_>) -> u64 {
    let pieces = Some(element.piece_count()).filter(|pieces| *pieces > 1).unwrap_or_default();
    HELD_BYTES + pieces as u64 * HELD_PIECE_BYTES + element.attributes().structure_bytes() as u64
}

/// The failure that a stage gets when it reaches a limit of the host.
pub(super) fn limit(can: String) -> Failure {
    Failure::LimitExceeded(format!("a stage can {can}"))
}

impl Host {
    /// Refuses this many more bytes if they would exceed the limit.
    pub(super) fn may_use(&self, bytes: u64) -> Result<(), Failure> {
        let used = self.outputs.structures.saturating_add(self.leases.structures());
        if used.saturating_add(bytes) > self.host_memory {
            let most = format_bytes(self.host_memory);
            return Err(limit(format!("use at most {most} of host memory (`limits.host-memory`)")));
        }
        Ok(())
    }
}
