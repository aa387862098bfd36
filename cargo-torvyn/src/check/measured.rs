//! The stages of a run with their measurements. Lints say what was measured in that run, and nothing about other runs.

use torvyn_runtime::Account;
use torvyn_runtime::flow::account::StageAccount;
use torvyn_runtime::pipeline::graph::Node;

use crate::config::lint::Lint;
use crate::config::lint_levels::Levels;
use crate::manifest::{Pipeline, Stage, WiredNode, Wiring};
use crate::output::diagnostic::Diagnostic;
use crate::output::run_report::bytes;

/// The fewest elements that a finding needs: what fewer elements have in common is chance.
pub(super) const MIN_ELEMENTS: u64 = 16;

/// A stage and its measurements.
pub(super) struct MeasuredStage<'a> {
    pub(super) account: &'a StageAccount,
    /// How many outputs it has.
    pub(super) outputs: usize,
    pipeline: &'a Pipeline,
    stage: &'a Stage,
    levels: &'a Levels,
}

impl<'a> MeasuredStage<'a> {
    /// The stages of a run, each with its lint `levels`.
    pub(super) fn all(
        account: &'a Account,
        pipeline: &'a Pipeline,
        wiring: &Wiring,
        levels: &'a [Levels],
    ) -> Vec<MeasuredStage<'a>> {
        let stage = |(node, wired): (&Node, &WiredNode)| {
            let WiredNode::Stage(index) = *wired else { return None };
            let account = account.stages.iter().find(|account| account.name == node.name)?;
            let (stage, levels) = (&pipeline.stages[index], &levels[index]);
            Some(MeasuredStage { account, outputs: node.outputs, pipeline, stage, levels })
        };
        wiring.graph.nodes().iter().zip(&wiring.nodes).filter_map(stage).collect()
    }

    /// A finding at the stage, with what it copied.
    pub(super) fn finding(&self, lint: Lint, message: String) -> Option<Diagnostic> {
        let copied = format!("{} copied here", bytes(self.account.copies.payload_bytes()));
        Some(self.levels.finding(lint, message)?.label(&self.pipeline.file, self.stage.place(), copied))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use torvyn_runtime::contract::{Bounds, Kind};
    use torvyn_runtime::flow::account::{FailureUse, LeaseUse};
    use torvyn_runtime::ledger::{Copies, Count};
    use torvyn_runtime::payload;
    use torvyn_runtime::pipeline::graph::Role;

    use super::*;
    use crate::manifest::Manifest;

    /// A stage that was lent 16 elements of 10 bytes, and read and forwarded them.
    pub(crate) fn forwarded() -> StageAccount {
        let payload_read = Count { ops: 16, bytes: 160 };
        StageAccount {
            name: "it".to_string(),
            kind: Kind::Processor,
            replicas: 1,
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
    pub(crate) fn echoed() -> StageAccount {
        let mut echoed = forwarded();
        echoed.copies.payload_write = echoed.copies.payload_read;
        StageAccount { writes_max: 1, writes_unchanged: 16, amplification: Some(2.0), ..echoed }
    }

    const ONE_OUTPUT: &str = "[pipeline.main]
        stages = [{ name = 'it', component = 'it.wasm' }]";
    pub(crate) const TWO_OUTPUTS: &str = "[pipeline.main]
        stages = [{ name = 'it', component = 'it.wasm', outputs = ['a', 'b'] }]
        output = [{ name = 'x', from = 'it.a', discard = true }, { name = 'y', from = 'it.b', discard = true }]";

    /// What a lint finds.
    type Find = fn(&MeasuredStage<'_>) -> Option<Diagnostic>;

    /// Whether a lint finds something in a stage that is alone in its pipeline.
    pub(crate) fn finds_in(manifest: &str, find: Find, stage: StageAccount) -> bool {
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
        MeasuredStage::all(&account, pipeline, &wiring, &[Levels::default()]).iter().any(|stage| find(stage).is_some())
    }

    pub(crate) fn finds(find: Find, stage: StageAccount) -> bool {
        finds_in(ONE_OUTPUT, find, stage)
    }
}
