//! Findings from the account of a run, reported after it: what a run shows and no proof does. They say what was measured in
//! that run, and nothing about other runs.

use torvyn_runtime::Account;
use torvyn_runtime::contract::Kind;
use torvyn_runtime::flow::account::StageAccount;
use torvyn_runtime::payload::PoolUse;

use crate::config::lint_levels::Levels;
use crate::config::units::format_size;
use crate::manifest::{Pipeline, Pool, Stage, WiredNode, Wiring};
use crate::output::diagnostic::Diagnostic;
use crate::output::lint::Lint;
use crate::output::run_report::{bytes, grouped};

/// The fewest elements that a finding needs: what fewer elements have in common is chance.
const MIN_ELEMENTS: u64 = 16;

/// Reports a measured amplification that is over its budget.
pub(crate) fn measured_over_budget(pipeline: &Pipeline, levels: &Levels, account: &Account) -> Option<Diagnostic> {
    let budget = pipeline.budget.amplification.as_ref()?;
    let measured = account.amplification.filter(|measured| *measured > budget.value)?;
    let message = format!(
        "the amplification of `{}` was {measured:.2}×, but its budget allows {:.2}×",
        pipeline.name, budget.value
    );
    let finding = levels.finding(Lint::OverBudgetPipeline, message)?;
    Some(finding.label(&budget.file, budget.entry.clone(), "the budget"))
}

/// Reports the pool class that is too small, if that is why little was reused.
pub(crate) fn measured_pool(
    pipeline: &Pipeline,
    pool: &Pool,
    levels: &Levels,
    measured: &PoolUse,
) -> Option<Diagnostic> {
    let shortage = measured.shortage()?;
    let class = format_size(shortage.class);
    let again = grouped(shortage.allocated_again);
    let message = format!("in this run, {again} blocks of `{class}` were freed for lack of room and allocated again");
    let finding = levels.finding(Lint::PoolTooSmall, message)?;
    let place = pool.place(shortage.class).unwrap_or_else(|| pipeline.span.clone());
    let rates = format!(
        "the pool reuse rate was {:.1} %; with room for all blocks held at once, it would have been {:.1} %",
        100.0 * shortage.reuse_rate,
        100.0 * shortage.reuse_rate_then
    );
    let help = format!("write `\"{class}\" = \"{}\"` under `[runtime.pool.classes]`", format_size(shortage.room));
    Some(finding.label(&pipeline.file, place, "").note(rates).help(help))
}

/// Reports the copies of each stage that made no difference to its output, at the lint `levels` of each stage.
pub(crate) fn measured_findings(
    pipeline: &Pipeline,
    wiring: &Wiring,
    levels: &[Levels],
    account: &Account,
) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (node, wired) in wiring.graph.nodes().iter().zip(&wiring.nodes) {
        let WiredNode::Stage(index) = wired else { continue };
        let Some(account) = account.stages.iter().find(|account| account.name == node.name) else { continue };
        let measured = Measured { pipeline, stage: &pipeline.stages[*index], account, levels: &levels[*index] };
        findings.extend(measured.writes_unchanged());
        findings.extend(measured.reads_only_to_forward(node.outputs));
    }
    findings
}

/// A stage and its measurements.
struct Measured<'a> {
    pipeline: &'a Pipeline,
    stage: &'a Stage,
    account: &'a StageAccount,
    levels: &'a Levels,
}

impl Measured<'_> {
    /// Reports a stage that wrote at most one payload per element, if all payloads that were compared equal what it was lent.
    fn writes_unchanged(&self) -> Option<Diagnostic> {
        let (unchanged, written) = (self.account.writes_unchanged, self.account.copies.payload_write.ops);
        // An element can be forwarded to an output only once, so more writes cannot be replaced by forwarding.
        if unchanged < MIN_ELEMENTS || self.account.writes_max > 1 {
            return None;
        }
        let name = &self.stage.name;
        let message = format!("in this run, `{name}` wrote {} payloads unchanged", grouped(unchanged));
        let mut finding = self.finding(Lint::WriteUnchanged, message)?;
        if unchanged < written {
            let of = format!("only these were compared: it wrote {} payloads in all", grouped(written));
            finding = finding.note(of);
        }
        Some(
            finding.help("forward them by handle with `out.forward()`, for which no payload byte crosses the boundary"),
        )
    }

    /// Reports a stage that read every payload in full, once, and forwarded every element by handle to its only output.
    fn reads_only_to_forward(&self, outputs: usize) -> Option<Diagnostic> {
        let StageAccount { kind, elements_in, elements_out, elements_dropped, copies, reads_max, .. } = self.account;
        // A read is never longer than the payload. So one read of each, with as many bytes as were offered, reads them all.
        let all_read = *reads_max == 1 && copies.payload_read.ops == *elements_in;
        let whole = copies.payload_write.ops == 0 && self.account.amplification == Some(1.0);
        let all_forwarded = outputs == 1 && elements_out == elements_in && *elements_dropped == 0;
        if *kind != Kind::Processor || *elements_in < MIN_ELEMENTS || !(all_read && whole) || !all_forwarded {
            return None;
        }
        let (name, elements) = (&self.stage.name, grouped(*elements_in));
        let message = format!("in this run, `{name}` read {elements} payloads in full and forwarded every element");
        let finding = self.finding(Lint::ReadOnlyToForward, message)?;
        Some(finding.help("decide by metadata, or remove the read: the world `router` is enough"))
    }

    fn finding(&self, lint: Lint, message: String) -> Option<Diagnostic> {
        let copied = format!("{} copied here", bytes(self.account.copies.payload_bytes()));
        Some(self.levels.finding(lint, message)?.label(&self.pipeline.file, self.stage.place(), copied))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use torvyn_runtime::contract::Bounds;
    use torvyn_runtime::flow::account::{FailureUse, LeaseUse};
    use torvyn_runtime::ledger::{Copies, Count, amplification};
    use torvyn_runtime::payload;
    use torvyn_runtime::pipeline::graph::Role;

    use super::*;
    use crate::manifest::Manifest;

    /// A stage that was lent 16 elements of 10 bytes, and read and forwarded them.
    fn forwarded() -> StageAccount {
        let payload_read = Count { ops: 16, bytes: 160 };
        StageAccount {
            name: "it".to_string(),
            kind: Kind::Processor,
            verdict: Bounds::default().verdict(),
            proof: None,
            bounds: Bounds::default(),
            elements_in: 16,
            elements_out: 16,
            elements_dropped: 0,
            busy_ns: 1,
            copies: Copies { payload_read, ..Copies::default() },
            failed_copies: Copies::default(),
            reads_max: 1,
            writes_max: 0,
            writes_unchanged: 0,
            rewritten: Count::default(),
            given_up: Count::default(),
            leases: LeaseUse::default(),
            failures: FailureUse::default(),
            log: Default::default(),
            amplification: Some(1.0),
        }
    }

    /// A stage that read them and wrote them unchanged.
    fn echoed() -> StageAccount {
        let mut echoed = forwarded();
        echoed.copies.payload_write = echoed.copies.payload_read;
        StageAccount { writes_max: 1, writes_unchanged: 16, amplification: Some(2.0), ..echoed }
    }

    const ONE_OUTPUT: &str = "[pipeline.main]
        stages = [{ name = 'it', component = 'it.wasm' }]";
    const TWO_OUTPUTS: &str = "[pipeline.main]
        stages = [{ name = 'it', component = 'it.wasm', outputs = ['a', 'b'] }]
        output = [{ name = 'x', from = 'it.a', discard = true }, { name = 'y', from = 'it.b', discard = true }]";

    /// The findings for a stage that is alone in its pipeline.
    fn found_in(manifest: &str, stage: StageAccount) -> Vec<&'static str> {
        let manifest = Manifest::parse(manifest, Path::new("Torvyn.toml")).unwrap();
        let pipeline = manifest.select(None).unwrap();
        let wiring = pipeline.wire(&[Role::Processor]).unwrap();
        let account = Account {
            elements: Default::default(),
            traces: Vec::new(),
            copies: stage.copies,
            stages: vec![stage],
            endpoints: Vec::new(),
            amplification: None,
            pool: payload::Pool::default().usage(),
            wall_ns: 1,
            cancelled: false,
            cut_off: None,
        };
        let findings = measured_findings(pipeline, &wiring, &[Levels::default()], &account);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    fn found(stage: StageAccount) -> Vec<&'static str> {
        found_in(ONE_OUTPUT, stage)
    }

    #[test]
    fn reports_reads_that_only_precede_forwarding() {
        assert_eq!(found(forwarded()), ["read-only-to-forward"]);
        let with = |change: fn(&mut StageAccount)| {
            let mut stage = forwarded();
            change(&mut stage);
            stage.amplification = amplification(stage.copies.payload_bytes(), 160);
            found(stage)
        };
        let silent: [fn(&mut StageAccount); 7] = [
            |stage| stage.kind = Kind::Sink,
            |stage| stage.copies.payload_read.bytes = 159,
            |stage| stage.copies.payload_read.ops = 15,
            // Reading the first half twice is as many bytes.
            |stage| (stage.copies.payload_read.ops, stage.reads_max) = (32, 2),
            |stage| (stage.elements_out, stage.elements_dropped) = (15, 1),
            |stage| stage.elements_out = 17,
            |stage| stage.copies.payload_write.record(1, 0),
        ];
        for (index, change) in silent.into_iter().enumerate() {
            assert!(with(change).is_empty(), "{index}");
        }
        // With two outputs, the bytes that it read may have decided between them.
        assert!(found_in(TWO_OUTPUTS, forwarded()).is_empty());
        let mut few = forwarded();
        (few.elements_in, few.elements_out, few.copies.payload_read.ops) = (15, 15, 15);
        assert!(found(few).is_empty());
    }

    #[test]
    fn reports_unchanged_writes() {
        assert_eq!(found(echoed()), ["write-unchanged"]);
        assert_eq!(found_in(TWO_OUTPUTS, echoed()), ["write-unchanged"]);
        assert!(found(StageAccount { writes_unchanged: 15, ..echoed() }).is_empty());
        // An element cannot be forwarded twice.
        assert!(found(StageAccount { writes_max: 2, ..echoed() }).is_empty());
    }
}
