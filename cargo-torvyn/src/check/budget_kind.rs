//! The uses of payloads that the budget of a stage limits by number.

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{Bound, Proof, TrackedImport};

use crate::config::budget::Budget;
use crate::config::spanned::Declared;

/// A use of payloads that a budget limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct BudgetKind {
    pub(super) verb: &'static str,
    /// The key of the budget in the manifest.
    pub(super) key: &'static str,
    /// The interfaces of the contract that allow this use.
    pub(super) interfaces: &'static [&'static str],
    pub(super) imports: &'static [TrackedImport],
}

const READS: BudgetKind =
    BudgetKind { verb: "read", key: "reads", interfaces: &["payload-read"], imports: TrackedImport::READS };
const WRITES: BudgetKind = BudgetKind {
    verb: "write",
    key: "writes",
    interfaces: &["payload-write", "payload-buffer"],
    imports: TrackedImport::WRITES,
};
pub(super) const HOLDS: BudgetKind =
    BudgetKind { verb: "hold", key: "leases", interfaces: &["payload-lease"], imports: &[TrackedImport::Take] };

/// The uses that can exceed the budget, with their bounds and limits.
pub(super) fn over_budget<'a>(
    verdict: &StageVerdict,
    budget: &'a Budget,
) -> impl Iterator<Item = (BudgetKind, Bound, &'a Declared<u32>)> {
    let holds = if verdict.retains { Bound::unknown() } else { Bound::never(Proof::Contract) };
    let kinds = [
        (READS, verdict.reads, budget.reads.as_ref()),
        (WRITES, verdict.writes, budget.writes.as_ref()),
        (HOLDS, holds, budget.leases.as_ref()),
    ];
    let limited = kinds.into_iter().filter_map(|(kind, bound, limit)| Some((kind, bound, limit?)));
    limited.filter(|(_, bound, limit)| is_over(*bound, limit.value))
}

/// Whether a bound exceeds what is allowed. The host counts uses that have no bound, unless none is allowed: that takes a
/// proof, and one that also holds for calls that trap.
fn is_over(bound: Bound, allowed: u32) -> bool {
    match bound.max {
        _ if allowed == 0 => !bound.is_never(),
        Some(max) => max > allowed,
        None => false,
    }
}

/// The limit of a budget, as a phrase.
pub(super) fn describe_limit(count: u32) -> String {
    if count == 0 { "none".to_string() } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbounded_use_is_over_only_if_none_is_allowed() {
        let two = Bound::at_most(2, Proof::Bounded);
        assert_eq!([0, 1, 2].map(|allowed| is_over(two, allowed)), [true, true, false]);
        assert_eq!([0, 1].map(|allowed| is_over(Bound::unknown(), allowed)), [true, false]);
        // A call that traps can read as often as it likes.
        assert!(is_over(Bound::at_most(0, Proof::Bounded), 0) && !is_over(Bound::never(Proof::CallGraph), 0));
    }
}
