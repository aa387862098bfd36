//! What all that is known of a stage comes to: its contract, its component, and what the host enforces.

use serde::Serialize;

use super::{Analysis, Bound, Bounds, Budget, Contract, Proof};
use crate::profile::{Kind, Verdict, full_name};

/// What is proven of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageVerdict {
    /// Its role.
    pub kind: Kind,
    /// The world it declares, or else the narrowest one that its component fits.
    pub world: String,
    /// What it can do with payloads.
    pub verdict: Verdict,
    /// How that is proven; [`Bounds::proof`] says when it is `None`.
    pub proof: Option<Proof>,
    /// How often the payload of an element is read.
    pub reads: Bound,
    /// How many payloads are written for an element.
    pub writes: Bound,
    /// Whether it can hold payloads after the call that lent them.
    pub retains: bool,
    /// The interfaces it imports besides those of the contract.
    pub capabilities: Vec<String>,
}

impl StageVerdict {
    /// What follows from the world that the stage declares.
    pub fn of_contract(contract: &Contract, budget: &Budget) -> StageVerdict {
        StageVerdict::new(
            contract.kind,
            contract.world.clone(),
            (contract.reads_bound(), contract.writes_bound()),
            budget,
            contract.retains,
            contract.capabilities.clone(),
        )
    }

    /// What follows from its component, and from the world it declares where that is known. Where both prove the same,
    /// the proof is the contract's.
    pub fn of_component(analysis: &Analysis, contract: Option<&Contract>, budget: &Budget) -> StageVerdict {
        let proven = |found: Bound, declared: Option<Bound>| match declared {
            Some(declared) if declared.is_never() && found.is_never() => declared,
            _ => found,
        };
        let reads = proven(analysis.reads, contract.map(Contract::reads_bound));
        let writes = proven(analysis.writes, contract.map(Contract::writes_bound));
        let world = match contract {
            Some(contract) => contract.world.clone(),
            None => full_name(&analysis.profile.world.to_string()),
        };
        let capabilities = analysis.profile.other_imports.clone();
        StageVerdict::new(analysis.profile.kind, world, (reads, writes), budget, false, capabilities)
    }

    /// Its bounds.
    pub fn bounds(&self) -> Bounds {
        Bounds { reads: self.reads, writes: self.writes }
    }

    fn new(
        kind: Kind,
        world: String,
        (reads, writes): (Bound, Bound),
        budget: &Budget,
        retains: bool,
        capabilities: Vec<String>,
    ) -> StageVerdict {
        let verdict = Bounds { reads, writes }.verdict();
        let (reads, writes) = (enforced(reads, budget.reads), enforced(writes, budget.writes));
        let proof = Bounds { reads, writes }.proof();
        StageVerdict { kind, world, verdict, proof, reads, writes, retains, capabilities }
    }
}

/// What could not be proven is counted by the host, where a budget is declared. A budget of none at all is no such case:
/// that is for a proof.
fn enforced(bound: Bound, budget: Option<u32>) -> Bound {
    match (bound.max, budget) {
        (None, Some(allowed)) if allowed > 0 => Bound::at_most(allowed, Proof::Enforced),
        _ => bound,
    }
}
