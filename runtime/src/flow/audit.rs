//! What must hold of the copies of a stage when its flow has ended: the ledger agrees with what went through the node,
//! which counts for itself, and with what is proven of the stage. Anything else is a fault of this runtime.

use crate::base::plural::counted;
use crate::contract::{Bound, Bounds};
use crate::error::Error;
use crate::ledger::{Copies, Count};

/// What a stage did in a flow that has come to its end.
pub(crate) struct Audit<'a> {
    pub(crate) stage: &'a str,
    /// What is proven of each time that it is lent an element; the host holds calls that fail to it as well.
    pub(crate) bounds: Bounds,
    /// What the ledger says.
    pub(crate) copies: Copies,
    /// What of it was copied in calls that failed.
    pub(crate) failed_copies: Copies,
    /// The most reads that an element had, in all calls that lent it and through its leases: what is read of what is held is
    /// read of what was lent. So the bytes read are at most this often the bytes lent.
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
    /// Of a source, the elements that it made.
    pub(crate) made: Option<u64>,
    /// The elements that it was given, each counted once.
    pub(crate) taken: u64,
    /// The most calls that lent one of them and copied it, where that has a bound.
    pub(crate) calls: Option<u32>,
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
        if let Some(made) = self.made {
            // Nothing bounds what is written in calls of a source that failed.
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
                self.fault(format!("{reads} of an element, where at most {max} is proven"))
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
    fn says(audit: Audit<'_>, expected: &str) {
        assert_eq!(
            audit.check().expect_err(expected).to_string(),
            format!("internal error, please report it: stage `s`: {expected}")
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

    /// Two elements that were lent twice each, and read each time.
    #[test]
    fn failed_calls_are_held_to_what_is_proven() {
        let each = Count { ops: 4, bytes: 12 };
        let copies = Copies { payload_read: each, ..Copies::default() };
        let none = Count::default();
        let repeated =
            || Audit { copies, lent: each, written: none, reads_max: 2, fewer: true, calls: Some(2), ..audit() };
        repeated().check().unwrap();
        Audit { calls: None, ..repeated() }.check().unwrap();
        says(Audit { calls: Some(1), ..repeated() }, "4 reads of 2 elements, where at most 1 of each is proven");
        says(Audit { reads_max: 3, ..repeated() }, "3 reads of an element, where at most 2 is proven");
        let less = Audit { lent: Count { ops: 3, bytes: 12 }, ..repeated() };
        says(less, "4 reads of 3 elements, where at most 1 of each is proven");
    }

    #[test]
    fn what_a_source_writes_in_calls_that_failed_is_not_of_its_elements() {
        let copies = Copies { payload_write: Count { ops: 2, bytes: 6 }, ..Copies::default() };
        let source = || Audit { copies, made: Some(1), taken: 0, ..audit() };
        says(source(), "2 writes of 1 element, where at most 1 of each is proven");
        let failed_copies = Copies { payload_write: Count { ops: 1, bytes: 3 }, ..Copies::default() };
        Audit { failed_copies, ..source() }.check().unwrap();
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
