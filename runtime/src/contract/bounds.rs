//! What is known of a stage as a whole: how often it reads and writes, and what it makes of an element without that.

use serde::Serialize;

use super::bound::Bound;
use super::proof::Proof;
use super::verdict::Verdict;

/// What a stage copies and makes for one element. See the room for the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// How often an element is read.
    pub reads: Bound,
    /// How often is written for an element: over all calls, not more often than so for each element lent.
    pub writes: Bound,
    /// How often a payload is written after the first time.
    pub pieces: Bound,
    /// How many elements are made of one without a write.
    pub views: Bound,
}

impl Bounds {
    /// Nothing is known.
    pub fn unknown() -> Bounds {
        let unknown = Bound::unknown();
        Bounds { reads: unknown, writes: unknown, pieces: unknown, views: unknown }
    }

    /// Of a stage that writes each payload once, and makes no elements without a write: the proof of that is of no interest.
    pub fn copying(reads: Bound, writes: Bound) -> Bounds {
        let never = Bound::never(Proof::Contract);
        Bounds { reads, writes, pieces: never, views: never }
    }

    /// What a stage of these bounds can do with payloads. Only what is proven counts.
    pub fn verdict(&self) -> Verdict {
        match (self.reads.is_never(), self.writes.is_never()) {
            (true, true) => Verdict::HandlePass,
            (false, true) => Verdict::ReadOnly,
            (_, false) => Verdict::Rewrite,
        }
    }

    /// How the verdict is proven: by the weaker of the two proofs. Of a stage that may read without a bound and that
    /// cannot write, that it cannot write. `None` where a bound is missing otherwise, for nothing then holds of the whole.
    pub fn proof(&self) -> Option<Proof> {
        match (self.reads.proof, self.writes.proof) {
            (Some(reads), Some(writes)) => Some(reads.max(writes)),
            (None, Some(writes)) => Some(writes).filter(|_| self.writes.is_never()),
            (_, None) => None,
        }
    }
}

impl Bounds {
    /// With each element lent again after failures: copied in at most so many calls, of which each is within these bounds;
    /// in any number where that is `None`.
    #[must_use]
    pub fn repeated(self, calls: Option<u32>) -> Bounds {
        let Bounds { reads, writes, pieces, views } = self;
        // What a call that failed makes without a write goes nowhere. What a stage held is another matter.
        let views = if calls.is_none() { views.repeated(None) } else { views };
        Bounds { reads: reads.repeated(calls), writes: writes.repeated(calls), pieces, views }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds::unknown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_proven_as_far_as_the_weaker_of_its_bounds() {
        let proof = |reads, writes| Bounds::copying(reads, writes).proof();
        let never = Bound::never(Proof::Contract);
        assert_eq!(proof(never, never), Some(Proof::Contract));
        assert_eq!(proof(Bound::at_most(1, Proof::Bounded), never), Some(Proof::Bounded));
        assert_eq!(proof(never, Bound::unknown()), None);
        assert_eq!(proof(Bound::unknown(), never), Some(Proof::Contract));
        assert_eq!(proof(Bound::unknown(), Bound::at_most(1, Proof::Enforced)), None);
    }
}
