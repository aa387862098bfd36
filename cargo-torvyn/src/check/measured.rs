//! What a run shows and no proof does: findings from the account of a flow, told after it. They say what was measured in
//! that run, and nothing of another.

use torvyn_runtime::Account;
use torvyn_runtime::contract::Kind;
use torvyn_runtime::flow::account::StageAccount;
use torvyn_runtime::payload::PoolUse;

use crate::config::lint_levels::Levels;
use crate::config::manifest::{Pipeline, Pool, Stage, WiredNode, Wiring};
use crate::config::units::format_size;
use crate::output::diagnostic::Diagnostic;
use crate::output::lint::Lint;
use crate::output::run_report::{bytes, grouped};

/// Elements below which a run shows nothing: what a few have in common is chance.
const ENOUGH: u64 = 16;

/// The budget of amplification, held against what was measured.
pub(crate) fn measured_over_budget(pipeline: &Pipeline, levels: &Levels, account: &Account) -> Option<Diagnostic> {
    let budget = pipeline.budget.amplification.as_ref()?;
    let measured = account.amplification.filter(|measured| *measured > budget.value)?;
    let message = format!(
        "the amplification of `{}` was {measured:.2}×, and its budget allows {:.2}×",
        pipeline.name, budget.value
    );
    let finding = levels.finding(Lint::OverBudgetPipeline, message)?;
    Some(finding.label(&budget.file, budget.entry.clone(), "the budget"))
}

/// The class of the pool that is too small, where that is why little was reused.
pub(crate) fn measured_pool(
    pipeline: &Pipeline,
    pool: &Pool,
    levels: &Levels,
    measured: &PoolUse,
) -> Option<Diagnostic> {
    let shortage = measured.shortage()?;
    let class = format_size(shortage.class);
    let again = grouped(shortage.allocated_again);
    let message = format!("{again} blocks of `{class}` were freed for lack of room and allocated again, in this run");
    let finding = levels.finding(Lint::PoolTooSmall, message)?;
    let place = pool.place(shortage.class).unwrap_or_else(|| pipeline.span.clone());
    let rates = format!(
        "pool reuse was {:.1} %, and {:.1} % with room for all that were held at once",
        100.0 * shortage.reuse_rate,
        100.0 * shortage.reuse_rate_then
    );
    let help = format!("write `\"{class}\" = \"{}\"` under `[runtime.pool.classes]`", format_size(shortage.room));
    Some(finding.label(&pipeline.file, place, "").note(rates).help(help))
}

/// The copies of each stage that did nothing for what came of them, at the `levels` of each.
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

/// A stage, and what was measured of it.
struct Measured<'a> {
    pipeline: &'a Pipeline,
    stage: &'a Stage,
    account: &'a StageAccount,
    levels: &'a Levels,
}

impl Measured<'_> {
    /// Of each element it wrote one payload at most, and those that were compared are what it was lent.
    fn writes_unchanged(&self) -> Option<Diagnostic> {
        let (unchanged, written) = (self.account.writes_unchanged, self.account.copies.payload_write.ops);
        // An element is passed on to an output once, so what is written more often is not to be had by handle.
        if unchanged < ENOUGH || self.account.writes_max > 1 {
            return None;
        }
        let name = &self.stage.name;
        let message = format!("`{name}` wrote {} payloads as they were, in this run", grouped(unchanged));
        let mut finding = self.finding(Lint::WriteUnchanged, message)?;
        if unchanged < written {
            let of = format!("those are the ones that were compared, of {} that it wrote", grouped(written));
            finding = finding.note(of);
        }
        Some(finding.help("pass them on by handle, `out.forward()`: no payload byte crosses for that"))
    }

    /// It read every payload whole, once, and every element went on by handle to its only output.
    fn reads_only_to_forward(&self, outputs: usize) -> Option<Diagnostic> {
        let StageAccount { kind, elements_in, elements_out, elements_dropped, copies, reads_max, .. } = self.account;
        // A read is no longer than the payload: as many bytes as were offered, in one read of each, are all of them.
        let all_read = *reads_max == 1 && copies.payload_read.ops == *elements_in;
        let whole = copies.payload_write.ops == 0 && self.account.amplification == Some(1.0);
        let all_forwarded = outputs == 1 && elements_out == elements_in && *elements_dropped == 0;
        if *kind != Kind::Processor || *elements_in < ENOUGH || !(all_read && whole) || !all_forwarded {
            return None;
        }
        let (name, elements) = (&self.stage.name, grouped(*elements_in));
        let message = format!("`{name}` read all of {elements} payloads and passed every element on, in this run");
        let finding = self.finding(Lint::ReadOnlyToForward, message)?;
        Some(finding.help("decide by metadata, or leave out what reads: the world `router` would do"))
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
    use crate::config::manifest::Manifest;

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

    /// A stage that read them and wrote them as they were.
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

    /// What is found of a stage in a pipeline of it alone.
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
    fn what_is_read_for_nothing_is_told() {
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
            // The first halves twice are as many bytes.
            |stage| (stage.copies.payload_read.ops, stage.reads_max) = (32, 2),
            |stage| (stage.elements_out, stage.elements_dropped) = (15, 1),
            |stage| stage.elements_out = 17,
            |stage| stage.copies.payload_write.record(1, 0),
        ];
        for (index, change) in silent.into_iter().enumerate() {
            assert!(with(change).is_empty(), "{index}");
        }
        // Where there are two outputs, what it read may have decided between them.
        assert!(found_in(TWO_OUTPUTS, forwarded()).is_empty());
        let mut few = forwarded();
        (few.elements_in, few.elements_out, few.copies.payload_read.ops) = (15, 15, 15);
        assert!(found(few).is_empty());
    }

    #[test]
    fn what_is_written_as_it_was_is_told() {
        assert_eq!(found(echoed()), ["write-unchanged"]);
        assert_eq!(found_in(TWO_OUTPUTS, echoed()), ["write-unchanged"]);
        assert!(found(StageAccount { writes_unchanged: 15, ..echoed() }).is_empty());
        // By handle it could not be sent twice.
        assert!(found(StageAccount { writes_max: 2, ..echoed() }).is_empty());
    }
}
