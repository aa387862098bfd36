//! What a stage is allowed to copy, and what it was that went beyond.

use std::fmt;

use serde::Serialize;

use crate::base::plural::counted;

/// What a stage may copy for one element; nothing is counted against a limit that is not given. See the room for
/// the units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How often the payload of an element may be read.
    pub reads: Option<u32>,
    /// How often may be written for an element. A source writes each of its elements at least once, so that 0 forbids it to
    /// make any; and what it writes piece by piece is counted for each payload.
    pub writes: Option<u32>,
    /// How many payload bytes of an element may be read, over all reads.
    pub read_bytes: Option<u64>,
    /// How many elements may be held at once beyond the call that lent them. An element that is held twice counts twice.
    pub leases: Option<u32>,
    /// How many payload bytes the elements that are held at once may have together.
    pub lease_bytes: Option<u64>,
}

/// What is counted against a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Reads of an element.
    Reads,
    /// Bytes read of an element.
    ReadBytes,
    /// Payloads written.
    Writes,
    /// Elements held at once.
    Leases,
    /// Payload bytes of the elements held at once.
    LeaseBytes,
}

/// More copies than a budget allows or a proof lets expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun {
    /// What there was too much of.
    pub what: Limited,
    /// The sequence number of the element it was done to, or made from; `None` for the writes of a stage together, and for
    /// what it holds.
    pub element: Option<u64>,
    /// How much it is, with what was too much.
    pub count: u64,
    /// How much it may be at most. For the writes of a stage together: for all elements that it was lent so far.
    pub limit: u64,
}

/// What was done, without the limit.
impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, done, of) = match self.what {
            Limited::Reads => ("read", "", "of"),
            Limited::ReadBytes => ("byte", " read", "of"),
            Limited::Writes => ("payload", " written", "from"),
            Limited::Leases => ("element", " held", "at once"),
            Limited::LeaseBytes => ("byte", " held", "at once"),
        };
        write!(f, "{}{done}", counted(self.count, noun))?;
        match (self.element, self.what) {
            (Some(element), _) => write!(f, " {of} element {element}"),
            (None, Limited::Leases | Limited::LeaseBytes) => write!(f, " {of}"),
            (None, Limited::Reads | Limited::ReadBytes | Limited::Writes) => f.write_str(" in all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_in_words() {
        let told = |what, element, count| Overrun { what, element, count, limit: 0 }.to_string();
        assert_eq!(told(Limited::Reads, Some(3), 1), "1 read of element 3");
        assert_eq!(told(Limited::Writes, None, 2), "2 payloads written in all");
        assert_eq!(told(Limited::Leases, None, 1001), "1001 elements held at once");
        assert_eq!(told(Limited::LeaseBytes, None, 1), "1 byte held at once");
    }
}
