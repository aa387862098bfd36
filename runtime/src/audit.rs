//! What must hold of the copies of a stage when its flow has ended: the ledger agrees with what went through the node,
//! which counts for itself, and with what is proven of the stage. Anything else is a fault of this runtime.

use crate::analysis::{Bound, Bounds};
use crate::error::Error;
use crate::ledger::{Copies, Count};
use crate::words::counted;

/// What a stage did in a flow that has come to its end.
pub(crate) struct Audit<'a> {
    pub(crate) stage: &'a str,
    pub(crate) bounds: Bounds,
    /// What the ledger says.
    pub(crate) copies: Copies,
    /// What of it was copied in calls that failed, of which nothing is proven.
    pub(crate) failed_copies: Copies,
    /// The most reads that an element had, in the call it was lent for and through its leases afterwards: what is read of
    /// what is held is read of what was lent. So the bytes read are at most this often the bytes lent.
    pub(crate) reads_max: u32,
    /// Whether there can be fewer copies than is proven: the host refused one, or a call failed.
    pub(crate) fewer: bool,
    /// What the node lent to it, each time it did.
    pub(crate) lent: Count,
    /// What the node sent on, or dropped, of the payloads that the stage wrote.
    pub(crate) written: Count,
    /// What was written of these payloads besides: writes after the first of each, and bytes that others took the place of.
    pub(crate) rewritten: Count,
    /// What was written to payloads that were given up.
    pub(crate) given_up: Count,
    /// The elements that the bounds are for: those lent to it, but for those lent in vain, of a source those that it made.
    pub(crate) elements: u64,
}

impl Audit<'_> {
    /// # Errors
    ///
    /// [`Error::Internal`] for the first thing that does not hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Copies { payload_read: read, payload_write: write, .. } = self.copies;
        let mut written = self.written;
        written += self.rewritten;
        written += self.given_up;
        if write != written {
            let Count { ops, bytes } = written;
            return self.fault(format!(
                "expected {} of {}, found {} of {} in the ledger",
                counted(ops, "write"),
                counted(bytes, "byte"),
                write.ops,
                counted(write.bytes, "byte")
            ));
        }
        let readable = u128::from(self.reads_max) * u128::from(self.lent.bytes);
        if u128::from(read.bytes) > readable {
            return self.fault(format!("it read {} where there were {readable}", counted(read.bytes, "byte")));
        }
        let Copies { payload_read: failed_read, payload_write: failed_write, .. } = self.failed_copies;
        self.hold("read", read.since(failed_read).ops, self.bounds.reads, self.elements)?;
        self.hold("write", write.since(failed_write).ops, self.bounds.writes, self.elements)
    }

    fn hold(&self, what: &str, count: u64, bound: Bound, elements: u64) -> Result<(), Error> {
        let Some(max) = bound.max else { return Ok(()) };
        let most = u128::from(max) * u128::from(elements);
        let found = || format!("{} of {}", counted(count, what), counted(elements, "element"));
        let count = u128::from(count);
        if count > most {
            return self.fault(format!("{}, where at most {max} of each is proven", found()));
        }
        if bound.exact && !self.fewer && count < most {
            return self.fault(format!("{}, where {max} of each is proven", found()));
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
            failed_copies: Copies::default(),
            reads_max: 1,
            fewer: false,
            lent: each,
            written: each,
            rewritten: Count::default(),
            given_up: Count::default(),
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
        Audit { bounds: twice, fewer: true, ..audit() }.check().unwrap();
    }

    #[test]
    fn the_ledger_agrees_with_the_node() {
        let lost = Count { ops: 1, bytes: 6 };
        says(Audit { written: lost, ..audit() }, "expected 1 write of 6 bytes, found 2 of 6 bytes in the ledger");
        let rest = Count { ops: 1, bytes: 0 };
        Audit { written: lost, rewritten: rest, ..audit() }.check().unwrap();
        Audit { written: lost, given_up: rest, ..audit() }.check().unwrap();
        says(Audit { given_up: rest, ..audit() }, "expected 3 writes of 6 bytes, found 2 of 6 bytes in the ledger");
        let few = Count { ops: 2, bytes: 5 };
        says(Audit { lent: few, ..audit() }, "it read 6 bytes where there were 5");
    }
}
