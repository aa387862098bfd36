//! The audit of a stage after its flow has ended. The ledger must agree with what went through the node, which keeps its
//! own counts, and with what is proven of the stage. Any disagreement is a bug in this runtime.

use crate::base::plural::counted;
use crate::contract::{Bound, Bounds};
use crate::error::Error;
use crate::ledger::{Copies, Count};

/// What a stage did in a flow that ran to its end.
pub(crate) struct Audit<'a> {
    pub(crate) stage: &'a str,
    /// What is proven for each time an element is lent. The host holds failed calls to the same bounds.
    pub(crate) bounds: Bounds,
    /// What the ledger counted.
    pub(crate) copies: Copies,
    /// The part of `copies` that was copied in failed calls.
    pub(crate) failed_copies: Copies,
    /// The most reads of one element, over all calls that lent it and through its leases. A read of a held element is a read
    /// of the element that was lent, so at most this many times the lent bytes were read.
    pub(crate) reads_max: u32,
    /// Whether fewer copies than proven are possible: the host refused a copy, or a call failed.
    pub(crate) fewer: bool,
    /// What the node lent to the stage, counted each time.
    pub(crate) lent: Count,
    /// Of the payloads that the stage wrote, what the node sent on or dropped.
    pub(crate) written: Count,
    /// What was written to these payloads besides: writes after the first one of each, and overwritten bytes.
    pub(crate) rewritten: Count,
    /// What was written to payloads that were discarded.
    pub(crate) given_up: Count,
    /// For a source, the elements that it made.
    pub(crate) made: Option<u64>,
    /// The elements that the stage took, each counted once.
    pub(crate) taken: u64,
    /// The most calls that lent one element and copied it; `None` if there is no bound.
    pub(crate) calls: Option<u32>,
}

impl Audit<'_> {
    /// # Errors
    ///
    /// [`Error::Internal`] for the first mismatch.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Copies { payload_read: read, payload_write: write, .. } = self.copies;
        let mut written = self.written;
        written += self.rewritten;
        written += self.given_up;
        if write != written {
            let Count { ops, bytes } = written;
            return self.mismatch(format!(
                "expected {} of {}, found {} of {} in the ledger",
                counted(ops, "write"),
                counted(bytes, "byte"),
                write.ops,
                counted(write.bytes, "byte")
            ));
        }
        let readable = u128::from(self.reads_max) * u128::from(self.lent.bytes);
        if u128::from(read.bytes) > readable {
            let bytes = counted(read.bytes, "byte");
            return self.mismatch(format!("it read {bytes}, but could read at most {readable}"));
        }
        if let Some(made) = self.made {
            // The writes of failed calls of a source belong to no element, so nothing bounds them.
            return self.hold("write", write.since(self.failed_copies.payload_write).ops, self.bounds.writes, made);
        }
        self.hold("read", read.ops, self.bounds.reads, self.lent.ops)?;
        self.hold("write", write.ops, self.bounds.writes, self.lent.ops)?;
        let all = self.bounds.repeated(self.calls);
        self.hold("read", read.ops, all.reads, self.taken)?;
        self.hold("write", write.ops, all.writes, self.taken)?;
        match all.reads.max {
            Some(max) if self.reads_max > max => {
                let reads = counted(u64::from(self.reads_max), "read");
                self.mismatch(format!("{reads} of an element, but the proof allows at most {max}"))
            }
            _ => Ok(()),
        }
    }

    fn hold(&self, what: &str, count: u64, bound: Bound, elements: u64) -> Result<(), Error> {
        let Some(max) = bound.max else { return Ok(()) };
        let most = u128::from(max) * u128::from(elements);
        let found = || format!("{} of {}", counted(count, what), counted(elements, "element"));
        let count = u128::from(count);
        if count > most {
            return self.mismatch(format!("{}, but the proof allows at most {max} per element", found()));
        }
        if bound.exact && !self.fewer && count < most {
            return self.mismatch(format!("{}, but the proof says exactly {max} per element", found()));
        }
        Ok(())
    }

    fn mismatch(&self, broken: String) -> Result<(), Error> {
        Err(Error::Internal(format!("stage `{}`: {broken}", self.stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Proof;

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
            made: None,
            taken: 2,
            calls: Some(1),
        }
    }

    #[track_caller]
    fn assert_mismatch(audit: Audit<'_>, expected: &str) {
        assert_eq!(
            audit.check().expect_err(expected).to_string(),
            format!("internal error, please report it: stage `s`: {expected}")
        );
    }

    #[test]
    fn holds_copies_to_the_proof() {
        audit().check().unwrap();
        assert_mismatch(
            Audit { bounds: Bounds { reads: Bound::never(Proof::Component), ..audit().bounds }, ..audit() },
            "2 reads of 2 elements, but the proof allows at most 0 per element",
        );
        assert_mismatch(
            Audit { bounds: Bounds { writes: Bound::at_most(0, Proof::Bounded), ..audit().bounds }, ..audit() },
            "2 writes of 2 elements, but the proof allows at most 0 per element",
        );
        let twice = Bounds { reads: Bound::exactly(2, Proof::Bounded), ..audit().bounds };
        assert_mismatch(
            Audit { bounds: twice, ..audit() },
            "2 reads of 2 elements, but the proof says exactly 2 per element",
        );
        Audit { bounds: twice, fewer: true, ..audit() }.check().unwrap();
    }

    /// Two elements that were lent twice each and read each time.
    #[test]
    fn holds_failed_calls_to_the_proof() {
        let each = Count { ops: 4, bytes: 12 };
        let copies = Copies { payload_read: each, ..Copies::default() };
        let none = Count::default();
        let repeated =
            || Audit { copies, lent: each, written: none, reads_max: 2, fewer: true, calls: Some(2), ..audit() };
        repeated().check().unwrap();
        Audit { calls: None, ..repeated() }.check().unwrap();
        assert_mismatch(
            Audit { calls: Some(1), ..repeated() },
            "4 reads of 2 elements, but the proof allows at most 1 per element",
        );
        assert_mismatch(Audit { reads_max: 3, ..repeated() }, "3 reads of an element, but the proof allows at most 2");
        let less = Audit { lent: Count { ops: 3, bytes: 12 }, ..repeated() };
        assert_mismatch(less, "4 reads of 3 elements, but the proof allows at most 1 per element");
    }

    #[test]
    fn ignores_writes_of_failed_source_calls() {
        let copies = Copies { payload_write: Count { ops: 2, bytes: 6 }, ..Copies::default() };
        let source = || Audit { copies, made: Some(1), taken: 0, ..audit() };
        assert_mismatch(source(), "2 writes of 1 element, but the proof allows at most 1 per element");
        let failed_copies = Copies { payload_write: Count { ops: 1, bytes: 3 }, ..Copies::default() };
        Audit { failed_copies, ..source() }.check().unwrap();
    }

    #[test]
    fn compares_the_ledger_with_the_node() {
        let lost = Count { ops: 1, bytes: 6 };
        assert_mismatch(
            Audit { written: lost, ..audit() },
            "expected 1 write of 6 bytes, found 2 of 6 bytes in the ledger",
        );
        let rest = Count { ops: 1, bytes: 0 };
        Audit { written: lost, rewritten: rest, ..audit() }.check().unwrap();
        Audit { written: lost, given_up: rest, ..audit() }.check().unwrap();
        assert_mismatch(
            Audit { given_up: rest, ..audit() },
            "expected 3 writes of 6 bytes, found 2 of 6 bytes in the ledger",
        );
        let few = Count { ops: 2, bytes: 5 };
        assert_mismatch(Audit { lent: few, ..audit() }, "it read 6 bytes, but could read at most 5");
    }
}
