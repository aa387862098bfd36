//! [`Budget`]: how much a stage may copy and hold. [`Overrun`]: by what and how much it tried to exceed that.

use std::fmt;

use serde::Serialize;

use crate::base::plural::counted;

/// How much a stage may copy for one element, and hold. `None` stands for no limit. For the units see
/// [`crate::contract`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How often the payload of an element may be read.
    pub reads: Option<u32>,
    /// How often the stage may write for an element. A source writes each of its elements at least once, so 0 forbids
    /// it to make any. Writes piece by piece in a source are counted for each payload.
    pub writes: Option<u32>,
    /// How many payload bytes of an element may be read, over all reads.
    pub read_bytes: Option<u64>,
    /// How many elements may be held at the same time beyond the call that lent them. An element that is held twice
    /// counts twice.
    pub leases: Option<u32>,
    /// How many payload bytes the elements that are held at the same time may have in total.
    pub lease_bytes: Option<u64>,
}

/// The quantity that a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Reads of an element.
    Reads,
    /// Bytes read of an element.
    ReadBytes,
    /// Payloads written.
    Writes,
    /// Elements held at the same time.
    Leases,
    /// Payload bytes of the elements held at the same time.
    LeaseBytes,
}

/// A count beyond what a budget allows or a proof promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun {
    /// What exceeds the limit.
    pub what: Limited,
    /// The sequence number of the element that was read or written from; `None` for all writes of a stage together, and
    /// for held elements.
    pub element: Option<u64>,
    /// The count, including what exceeds the limit.
    pub count: u64,
    /// The limit. For all writes of a stage together: the limit for all elements that it was lent so far.
    pub limit: u64,
}

/// Formats the count, without the limit.
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
            (None, Limited::Reads | Limited::ReadBytes | Limited::Writes) => f.write_str(" in total"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_an_overrun() {
        let format = |what, element, count| Overrun { what, element, count, limit: 0 }.to_string();
        assert_eq!(format(Limited::Reads, Some(3), 1), "1 read of element 3");
        assert_eq!(format(Limited::Writes, None, 2), "2 payloads written in total");
        assert_eq!(format(Limited::Leases, None, 1001), "1001 elements held at once");
        assert_eq!(format(Limited::LeaseBytes, None, 1), "1 byte held at once");
    }
}
