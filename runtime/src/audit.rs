//! What must hold of the copies of a stage when its flow has ended: the ledger agrees with what went through the node,
//! which counts for itself, and with what is proven of the stage. Anything else is a fault of this runtime.

use crate::analysis::{Bound, Bounds};
use crate::error::Error;
use crate::ledger::{Copies, Count};

/// What a stage did in a flow in which every call returned.
pub(crate) struct Audit<'a> {
    pub(crate) stage: &'a str,
    pub(crate) bounds: Bounds,
    /// What the ledger says.
    pub(crate) copies: Copies,
    /// The most reads that an element had, in the call it was lent for and through its leases afterwards: what is read of
    /// what is held is read of what was taken. So the bytes read are at most this often the bytes taken.
    pub(crate) reads_max: u32,
    /// Whether the host refused a copy.
    pub(crate) refused: bool,
    /// What the node took from its edges.
    pub(crate) taken: Count,
    /// What the node sent on, or dropped, of the payloads that the stage wrote.
    pub(crate) written: Count,
    /// The elements that the bound of writes is for: those lent to it, of a source those that it made.
    pub(crate) elements: u64,
}

impl Audit<'_> {
    /// # Errors
    ///
    /// [`Error::Internal`] for the first thing that does not hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Copies { payload_read: read, payload_write: write, .. } = self.copies;
        if write != self.written {
            let Count { ops, bytes } = self.written;
            return self.fault(format!(
                "{ops} payloads of {bytes} bytes that it wrote are in the flow, and {} of {} bytes in the ledger",
                write.ops, write.bytes
            ));
        }
        let readable = u128::from(self.reads_max) * u128::from(self.taken.bytes);
        if u128::from(read.bytes) > readable {
            return self.fault(format!("it read {} bytes where there were {readable}", read.bytes));
        }
        self.hold("reads", read.ops, self.bounds.reads, self.taken.ops)?;
        self.hold("writes", write.ops, self.bounds.writes, self.elements)
    }

    fn hold(&self, what: &str, count: u64, bound: Bound, elements: u64) -> Result<(), Error> {
        let Some(max) = bound.max else { return Ok(()) };
        let most = u128::from(max) * u128::from(elements);
        let count = u128::from(count);
        if count > most {
            return self.fault(format!("{count} {what} of {elements} elements, where at most {max} of each is proven"));
        }
        if bound.exact && !self.refused && count < most {
            return self.fault(format!("{count} {what} of {elements} elements, where {max} of each is proven"));
        }
        Ok(())
    }

    fn fault(&self, broken: String) -> Result<(), Error> {
        Err(Error::Internal(format!("stage `{}`: {broken}", self.stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Proof;

    /// Two elements of three bytes, each read once and written once.
    fn audit() -> Audit<'static> {
        let each = Count { ops: 2, bytes: 6 };
        Audit {
            stage: "s",
            bounds: Bounds::copying(Bound::exactly(1, Proof::Bounded), Bound::at_most(1, Proof::Enforced)),
            copies: Copies { payload_read: each, payload_write: each, ..Copies::default() },
            reads_max: 1,
            refused: false,
            taken: each,
            written: each,
            elements: 2,
        }
    }

    #[track_caller]
    fn says(audit: Audit<'_>, expected: &str) {
        assert_eq!(
            audit.check().expect_err(expected).to_string(),
            format!("a fault of torvyn itself: stage `s`: {expected}")
        );
    }

    #[test]
    fn what_is_proven_holds() {
        audit().check().unwrap();
        says(
            Audit { bounds: Bounds { reads: Bound::never(Proof::Component), ..audit().bounds }, ..audit() },
            "2 reads of 2 elements, where at most 0 of each is proven",
        );
        says(
            Audit { bounds: Bounds { writes: Bound::at_most(0, Proof::Bounded), ..audit().bounds }, ..audit() },
            "2 writes of 2 elements, where at most 0 of each is proven",
        );
        let twice = Bounds { reads: Bound::exactly(2, Proof::Bounded), ..audit().bounds };
        says(Audit { bounds: twice, ..audit() }, "2 reads of 2 elements, where 2 of each is proven");
        Audit { bounds: twice, refused: true, ..audit() }.check().unwrap();
    }

    #[test]
    fn the_ledger_agrees_with_the_node() {
        let lost = Count { ops: 1, bytes: 6 };
        says(
            Audit { written: lost, ..audit() },
            "1 payloads of 6 bytes that it wrote are in the flow, and 2 of 6 bytes in the ledger",
        );
        let few = Count { ops: 2, bytes: 5 };
        says(Audit { taken: few, ..audit() }, "it read 6 bytes where there were 5");
    }
}
