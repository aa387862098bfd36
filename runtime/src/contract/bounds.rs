//! [`Bounds`]: all bounds of one stage, for reads, writes, pieces and views.

use serde::Serialize;

use super::bound::Bound;
use super::proof::Proof;
use super::verdict::Verdict;

/// How much a stage copies and makes for one element. For the units see [`crate::contract`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// How often an element is read.
    pub reads: Bound,
    /// How often the stage writes for an element. Over all calls, the writes do not exceed this bound times the number
    /// of elements lent.
    pub writes: Bound,
    /// How often a payload is written after its first write.
    pub pieces: Bound,
    /// How many elements are made of one element without a write.
    pub views: Bound,
}

impl Bounds {
    /// Nothing is known.
    pub fn unknown() -> Bounds {
        let unknown = Bound::unknown();
        Bounds { reads: unknown, writes: unknown, pieces: unknown, views: unknown }
    }

    /// The bounds of a stage that writes each payload once and makes no elements without a write. The proofs of those
    /// two claims do not matter.
    pub fn copying(reads: Bound, writes: Bound) -> Bounds {
        let never = Bound::never(Proof::Contract);
        Bounds { reads, writes, pieces: never, views: never }
    }

    /// What a stage with these bounds can do with payloads. Only proven bounds count.
    pub fn verdict(&self) -> Verdict {
        match (self.reads.is_never(), self.writes.is_never()) {
            (true, true) => Verdict::HandlePass,
            (false, true) => Verdict::ReadOnly,
            (_, false) => Verdict::Rewrite,
        }
    }

    /// How the verdict is proven: the weaker of the proofs for reads and writes. If the reads have no bound, and the
    /// stage provably never writes, it is the proof for the writes. `None` if a bound is missing in any other way.
    pub fn proof(&self) -> Option<Proof> {
        match (self.reads.proof, self.writes.proof) {
            (Some(reads), Some(writes)) => Some(reads.max(writes)),
            (None, Some(writes)) => Some(writes).filter(|_| self.writes.is_never()),
            (_, None) => None,
        }
    }
}

impl Bounds {
    /// The bounds with retries: each element is copied in at most `calls` calls, each within these bounds; `None`
    /// stands for any number of calls.
    #[must_use]
    pub fn repeated(self, calls: Option<u32>) -> Bounds {
        let Bounds { reads, writes, pieces, views } = self;
        // Views that a failed call made are dropped. Only a stage that holds elements can make more of them.
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
    fn verdict_has_the_weaker_proof() {
        let proof = |reads, writes| Bounds::copying(reads, writes).proof();
        let never = Bound::never(Proof::Contract);
        assert_eq!(proof(never, never), Some(Proof::Contract));
        assert_eq!(proof(Bound::at_most(1, Proof::Bounded), never), Some(Proof::Bounded));
        assert_eq!(proof(never, Bound::unknown()), None);
        assert_eq!(proof(Bound::unknown(), never), Some(Proof::Contract));
        assert_eq!(proof(Bound::unknown(), Bound::at_most(1, Proof::Enforced)), None);
    }
}
