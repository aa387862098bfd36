//! How often a stage does something at most, and how that is proven.

use serde::Serialize;

use super::proof::Proof;

/// How often something is done at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// At most this often; `None` where no bound is known.
    pub max: Option<u32>,
    /// Not less often either, in a call that returns and that the host refused nothing.
    pub exact: bool,
    /// How that is proven; `None` where nothing is.
    pub proof: Option<Proof>,
}

impl Bound {
    /// It is never done.
    pub fn never(proof: Proof) -> Bound {
        Bound { max: Some(0), exact: true, proof: Some(proof) }
    }

    /// It is done at most so often.
    pub fn at_most(max: u32, proof: Proof) -> Bound {
        Bound { max: Some(max), exact: max == 0, proof: Some(proof) }
    }

    /// It is done just so often.
    pub fn exactly(times: u32, proof: Proof) -> Bound {
        Bound { max: Some(times), exact: true, proof: Some(proof) }
    }

    /// Nothing is known.
    pub fn unknown() -> Bound {
        Bound { max: None, exact: false, proof: None }
    }

    /// In so many calls, or any number; each is within this bound.
    #[must_use]
    pub fn repeated(self, calls: Option<u32>) -> Bound {
        match (self.max, calls) {
            (Some(0), _) | (_, Some(1)) => self,
            (Some(max), Some(calls)) => match max.checked_mul(calls) {
                Some(max) => Bound { max: Some(max), exact: false, ..self },
                None => Bound::unknown(),
            },
            (None, _) | (_, None) => Bound::unknown(),
        }
    }

    /// Whether it is proven that it is never done, in no call and at no time. What the host enforces is not proven; and
    /// what is counted holds for calls that return, so that code which traps in the end may still do it.
    pub fn is_never(self) -> bool {
        self.max == Some(0) && matches!(self.proof, Some(Proof::Contract | Proof::Component | Proof::CallGraph))
    }
}
