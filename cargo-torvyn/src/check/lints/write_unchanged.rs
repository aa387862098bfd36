//! In a run, payloads were written unchanged, byte for byte, where forwarding the handle would do.

use super::Check;
use crate::check::measured::{MIN_ELEMENTS, MeasuredStage};
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::Diagnostic;
use crate::output::run_report::grouped;

pub(super) const LINT: Lint = Lint { code: "write-unchanged", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::RunStage(find)];

/// Reports a stage that wrote at most one payload per element, if all payloads that were compared equal what it was lent.
fn find(stage: &MeasuredStage<'_>) -> Option<Diagnostic> {
    let (unchanged, written) = (stage.account.writes_unchanged, stage.account.copies.payload_write.ops);
    // An element can be forwarded to an output only once, so more writes cannot be replaced by forwarding.
    if unchanged < MIN_ELEMENTS || stage.account.writes_max > 1 {
        return None;
    }
    let name = &stage.account.name;
    let message = format!("in this run, `{name}` wrote {} payloads unchanged", grouped(unchanged));
    let mut finding = stage.finding(LINT, message)?;
    if unchanged < written {
        let of = format!("only these were compared: it wrote {} payloads in all", grouped(written));
        finding = finding.note(of);
    }
    Some(finding.help("forward them by handle with `out.forward()`, for which no payload byte crosses the boundary"))
}

#[cfg(test)]
mod tests {
    use torvyn_runtime::flow::account::StageAccount;

    use super::*;
    use crate::check::measured::tests::{TWO_OUTPUTS, echoed, finds, finds_in, forwarded};

    #[test]
    fn reports_unchanged_writes() {
        assert!(finds(find, echoed()) && finds_in(TWO_OUTPUTS, find, echoed()));
        assert!(!finds(find, forwarded()));
        assert!(!finds(find, StageAccount { writes_unchanged: 15, ..echoed() }));
        // An element cannot be forwarded twice.
        assert!(!finds(find, StageAccount { writes_max: 2, ..echoed() }));
    }
}
