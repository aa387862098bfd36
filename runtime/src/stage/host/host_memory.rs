//! What a stage makes the host allocate besides payloads: charged before it is allocated, and refused beyond a limit.
//!
//! A charge is what the memory costs at most, the memory that a later step of the same call needs for it included. Nothing
//! is charged for an element that is only lent and passed on: a batch has at most 64 of them.

use super::part::View;
use super::{Failure, Host};
use crate::base::plural::counted;
use crate::payload::element::Element;
use crate::payload::{PIECE_BYTES, Payload};

/// An element that waits for room on an edge, and the outputs that it goes to.
const WAITING_BYTES: u64 = (size_of::<Element>() + size_of::<u64>()) as u64;
/// An element of a list of views, and the same element when it waits for room: both are there while it is sent.
const VIEW_BYTES: u64 = size_of::<View>() as u64 + WAITING_BYTES;
/// An element that is joined: its place, and where it is.
const JOINED_BYTES: u64 = 24;
/// An element that is held: its place, its entry in a lease, and the entry of its buffer among those that are kept.
const HELD_BYTES: u64 = 256;
/// A piece of a payload that is held: its view, and the entry of its buffer.
const HELD_PIECE_BYTES: u64 = 96;

/// Elements that are written, whose columns have so many bytes.
pub(super) fn written(elements: usize, columns: usize) -> u64 {
    (elements as u64).saturating_mul(WAITING_BYTES).saturating_add(columns as u64)
}

/// Elements that are made of others, whose payloads have so many pieces in lists of their own.
pub(super) fn views(elements: usize, pieces: usize) -> u64 {
    let pieces = (pieces as u64).saturating_mul(PIECE_BYTES as u64);
    (elements as u64).saturating_mul(VIEW_BYTES).saturating_add(pieces)
}

/// An element that so many are joined to, of so many pieces. While it is made the list of its pieces is there twice, and one
/// of the elements besides.
pub(super) fn joining(elements: usize, pieces: usize) -> u64 {
    views(1, 2 * pieces) + elements as u64 * JOINED_BYTES
}

/// The pieces of a payload that are in a list: none for a payload of one piece.
pub(super) fn listed_pieces(payload: &Payload) -> usize {
    Some(payload.piece_count()).filter(|pieces| *pieces > 1).unwrap_or_default()
}

/// An element that is held.
pub(super) fn held(element: &Element) -> u64 {
    let pieces = listed_pieces(&element.payload) as u64 * HELD_PIECE_BYTES;
    HELD_BYTES + pieces + element.attributes().structure_bytes() as u64
}

/// What a stage that reached a limit of the host is told.
pub(super) fn limit(does: String) -> Failure {
    Failure::LimitExceeded(format!("a stage {does}"))
}

impl Host {
    /// Whether so many bytes more may be allocated for the stage.
    pub(super) fn may_use(&self, bytes: u64) -> Result<(), Failure> {
        let used = self.outputs.structures.saturating_add(self.leases.structures());
        if used.saturating_add(bytes) > self.host_memory {
            let most = counted(self.host_memory, "byte");
            return Err(limit(format!("uses at most {most} of host memory, which `limits.host-memory` sets")));
        }
        Ok(())
    }
}
