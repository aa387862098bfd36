//! [`Bound`]: how often a stage does something at most, and how that is proven.

use serde::Serialize;

use super::proof::Proof;

/// How often something happens at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// At most this often; `None` if no bound is known.
    pub max: Option<u32>,
    /// Also not less often, in every call that returns and in which the host refused nothing.
    pub exact: bool,
    /// How the bound is proven; `None` if it is not.
    pub proof: Option<Proof>,
}

impl Bound {
    /// It never happens.
    pub fn never(proof: Proof) -> Bound {
        Bound { max: Some(0), exact: true, proof: Some(proof) }
    }

    /// It happens at most `max` times.
    pub fn at_most(max: u32, proof: Proof) -> Bound {
        Bound { max: Some(max), exact: max == 0, proof: Some(proof) }
    }

    /// It happens exactly `times` times.
    pub fn exactly(times: u32, proof: Proof) -> Bound {
        Bound { max: Some(times), exact: true, proof: Some(proof) }
    }

    /// Nothing is known.
    pub fn unknown() -> Bound {
        Bound { max: None, exact: false, proof: None }
    }

    /// The bound over at most `calls` calls, each within this bound; `None` stands for any number of calls.
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

    /// Whether it is proven that it never happens, in any call at any time. A bound that the host enforces is not a
    /// proof, and a counted bound holds only for calls that return: code that traps in the end may still do it.
    pub fn is_never(self) -> bool {
        self.max == Some(0) && matches!(self.proof, Some(Proof::Contract | Proof::Component | Proof::CallGraph))
    }
}
