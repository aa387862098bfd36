//! The payloads of the pipeline benchmark: how a source makes them and what a sink adds up, for guests and native
//! contenders alike. A contender that moves other bytes, fewer bytes, or another order has another tally.

/// The text that sources repeat to fill a payload. In mixed case, so that upper case differs from it.
const TEXT: &[u8] = b"The quick brown fox jumps over the lazy dog. ";

/// A payload of `len` bytes, to be stamped before each use.
///
/// # Panics
/// If `len` has no room for the stamp.
#[must_use]
pub fn blank(len: usize) -> Vec<u8> {
    assert!(len >= 8, "a payload needs 8 bytes for its stamp");
    TEXT.iter().copied().cycle().take(len).collect()
}

/// Writes the lower half of the sequence number over the first eight bytes, a lower-case letter for each four bits.
#[inline]
pub fn stamp(payload: &mut [u8], sequence: u64) {
    let mut nibbles = sequence & 0xffff_ffff;
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    payload[..8].copy_from_slice(&(nibbles + 0x6161_6161_6161_6161).to_le_bytes());
}

/// What a pipeline does with a payload between source and sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Nothing: the element is forwarded.
    Pass,
    /// ASCII upper case: every byte is read and written.
    Upper,
}

/// What a sink has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many elements.
    pub elements: u64,
    /// How many bytes of payload.
    pub bytes: u64,
    /// A sum of the payloads, in their order.
    pub sum: u64,
}

impl Tally {
    /// Counts a payload that was forwarded (its first eight bytes enter the sum) or changed (all of it does).
    #[inline]
    pub fn add(&mut self, task: Task, payload: &[u8]) {
        let (words, _) = payload.as_chunks::<8>();
        let seen = match task {
            Task::Pass => words.first().map_or(0, |word| u64::from_le_bytes(*word)),
            Task::Upper => words.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word)),
        };
        self.elements += 1;
        self.bytes += payload.len() as u64;
        self.sum = self.sum.rotate_left(5) ^ seen;
    }

    /// The tally of a pipeline that does its task on `elements` payloads of `len` bytes.
    #[must_use]
    pub fn expected(task: Task, len: usize, elements: u64) -> Self {
        let mut tally = Self::default();
        let mut payload = blank(len);
        if task == Task::Upper {
            payload.make_ascii_uppercase();
        }
        for sequence in 0..elements {
            stamp(&mut payload, sequence);
            if task == Task::Upper {
                payload[..8].make_ascii_uppercase();
            }
            tally.add(task, &payload);
        }
        tally
    }
}
