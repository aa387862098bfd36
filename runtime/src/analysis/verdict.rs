//! [`StageVerdict`]: what is known about a stage from its contract, its component, and the budget that the host
//! enforces.

use serde::Serialize;

use super::{Analysis, Contract};
use crate::contract::{Bound, Bounds, Budget, Kind, Proof, Verdict, full_name};

/// What is proven about a stage, and what is enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageVerdict {
    /// The kind of stage.
    pub kind: Kind,
    /// The world that the stage declares, or else the narrowest world that its component fits.
    pub world: String,
    /// What the stage can do with payloads.
    pub verdict: Verdict,
    /// How the verdict is proven. For `None` see [`Bounds::proof`].
    pub proof: Option<Proof>,
    /// How often the payload of an element is read.
    pub reads: Bound,
    /// How often the stage writes for an element.
    pub writes: Bound,
    /// How often a payload is written after its first write.
    pub pieces: Bound,
    /// How many elements are made of one element without a write.
    pub views: Bound,
    /// Whether the stage can hold payloads after the call that lent them.
    pub retains: bool,
    /// Whether the stage can read and set the attributes of elements.
    pub attributes: bool,
    /// The imported interfaces outside the contract.
    pub capabilities: Vec<String>,
}

impl StageVerdict {
    /// The verdict from the world that the stage declares.
    pub fn of_contract(contract: &Contract, budget: &Budget) -> StageVerdict {
        StageVerdict::new(
            contract.kind,
            contract.world.clone(),
            contract.bounds(),
            budget,
            contract.retains(),
            contract.attributes,
            contract.capabilities.clone(),
        )
    }

    /// The verdict from the component of the stage, and from the world that it declares, if known. If both prove the
    /// same claim, the proof is that of the contract.
    pub fn of_component(analysis: &Analysis, contract: Option<&Contract>, budget: &Budget) -> StageVerdict {
        let (found, declared) = (analysis.bounds(), contract.map_or_else(Bounds::unknown, Contract::bounds));
        let proven = |found: Bound, declared: Bound| match (found.is_never(), declared.is_never()) {
            (true, true) => declared,
            _ => found,
        };
        let bounds = Bounds {
            reads: proven(found.reads, declared.reads),
            writes: proven(found.writes, declared.writes),
            pieces: proven(found.pieces, declared.pieces),
            views: proven(found.views, declared.views),
        };
        let world = match contract {
            Some(contract) => contract.world.clone(),
            None => full_name(&analysis.profile.world.to_string()),
        };
        let capabilities = analysis.profile.other_imports.clone();
        let (retains, attributes) = (analysis.retains, analysis.profile.attributes);
        StageVerdict::new(analysis.profile.kind, world, bounds, budget, retains, attributes, capabilities)
    }

    /// All bounds of the stage.
    pub fn bounds(&self) -> Bounds {
        Bounds { reads: self.reads, writes: self.writes, pieces: self.pieces, views: self.views }
    }

    fn new(
        kind: Kind,
        world: String,
        bounds: Bounds,
        budget: &Budget,
        retains: bool,
        attributes: bool,
        capabilities: Vec<String>,
    ) -> StageVerdict {
        let verdict = bounds.verdict();
        let writes = enforce(bounds.writes, budget.writes);
        // In the worst case, all writes for an element go into one payload.
        let pieces = match (bounds.pieces.max, budget.writes) {
            (None, Some(writes @ 1..)) => Bound::at_most(writes - 1, Proof::Enforced),
            _ => bounds.pieces,
        };
        let bounds = Bounds { reads: enforce(bounds.reads, budget.reads), writes, pieces, ..bounds };
        let Bounds { reads, writes, pieces, views } = bounds;
        StageVerdict {
            kind,
            world,
            verdict,
            proof: bounds.proof(),
            reads,
            writes,
            pieces,
            views,
            retains,
            attributes,
            capabilities,
        }
    }
}

/// If there is no proven bound, and a budget is declared, the host counts and enforces the budget. A budget of 0 is not
/// enforced: it must be proven.
fn enforce(bound: Bound, budget: Option<u32>) -> Bound {
    match (bound.max, budget) {
        (None, Some(allowed)) if allowed > 0 => Bound::at_most(allowed, Proof::Enforced),
        _ => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bounds: Bounds, budget: Budget) -> StageVerdict {
        StageVerdict::new(Kind::Processor, "w".to_string(), bounds, &budget, false, false, Vec::new())
    }

    #[test]
    fn a_budget_of_writes_bounds_the_pieces_of_a_payload() {
        let limited = |writes| verdict(Bounds::unknown(), Budget { writes, ..Budget::default() });
        assert_eq!(limited(None).pieces, Bound::unknown());
        assert_eq!(limited(Some(0)).pieces, Bound::unknown());
        assert_eq!(limited(Some(1)).pieces, Bound::at_most(0, Proof::Enforced));
        assert_eq!(limited(Some(4)).pieces, Bound::at_most(3, Proof::Enforced));
        assert!(!limited(Some(1)).pieces.is_never());
        let whole = verdict(
            Bounds::copying(Bound::unknown(), Bound::unknown()),
            Budget { writes: Some(4), ..Budget::default() },
        );
        assert!(whole.pieces.is_never());
        assert_eq!(limited(Some(4)).views, Bound::unknown(), "elements made without a write are not counted");
    }
}
