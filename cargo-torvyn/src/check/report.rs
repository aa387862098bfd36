//! The output of `check`: tables for people, lines of JSON for programs.

use comfy_table::{Table, presets};
use serde::Serialize;
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::base::text;
use torvyn_runtime::contract::Bound;

use super::labels::short;
use super::pipeline::{Composed, Repeated, Replicated};

/// A line of `--message-format json` for a stage.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "stage-verdict")]
pub(crate) struct StageLine<'a> {
    pub(crate) package: &'a str,
    #[serde(flatten)]
    pub(crate) verdict: &'a StageVerdict,
    /// Why there is no stronger proof.
    pub(crate) weaker: &'a [String],
}

/// A line of `--message-format json` for a pipeline.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "pipeline-verdict")]
pub(crate) struct PipelineLine<'a> {
    pub(crate) pipeline: &'a str,
    #[serde(flatten)]
    pub(crate) composed: &'a Composed,
}

/// The fields of the last line of `--message-format json`, besides the outcome.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Whether the components were built and analysed.
    pub(crate) built: bool,
    pub(crate) stages: usize,
    pub(crate) pipelines: usize,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    /// How long the analysis took, in nanoseconds, without the time of cargo.
    pub(crate) analysis_ns: u64,
}

/// The table of stages.
pub(crate) fn stages<'a>(verdicts: impl Iterator<Item = (&'a str, &'a StageVerdict)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["stage", "kind", "world", "verdict", "proof", "reads", "writes"]);
    for (name, verdict) in verdicts {
        table.add_row([
            text::name(name).into_owned(),
            verdict.kind.to_string(),
            short(&verdict.world).to_string(),
            if verdict.retains { format!("{}, retains", verdict.verdict) } else { verdict.verdict.to_string() },
            verdict.proof.map_or_else(|| "none".to_string(), |proof| proof.to_string()),
            bound(verdict.reads),
            bound(verdict.writes),
        ]);
    }
    table.trim_fmt()
}

/// The table of pipelines.
pub(crate) fn pipelines<'a>(composed: impl Iterator<Item = (&'a str, &'a Composed)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pipeline", "copies", "path", "total", "amplification"]);
    for (name, composed) in composed {
        table.add_row([
            name.to_string(),
            at_most(composed.copies),
            composed.path.join(" → "),
            at_most(composed.total),
            composed.range(),
        ]);
    }
    table.trim_fmt()
}

/// The table of stages with a policy for failures, which can be lent elements again; `None` if there are none.
pub(crate) fn repeated<'a>(composed: impl Iterator<Item = (&'a str, &'a Composed)>) -> Option<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pipeline", "stage", "on failure", "batch", "reads", "writes"]);
    for (name, composed) in composed {
        for stage in &composed.repeated {
            table.add_row([
                name.to_string(),
                stage.stage.clone(),
                on_failure(stage),
                stage.batch.to_string(),
                bound_with(stage.reads, stage),
                bound_with(stage.writes, stage),
            ]);
        }
    }
    (!table.is_empty()).then(|| table.trim_fmt())
}

/// The table of stages with replicas; `None` if there are none.
pub(crate) fn replicated<'a>(composed: impl Iterator<Item = (&'a str, &'a Composed)>) -> Option<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pipeline", "stage", "replicas", "memory"]);
    for (name, composed) in composed {
        for Replicated { stage, replicas, memory } in &composed.replicated {
            let memory = format!("≤ {}", text::format_bytes(*memory));
            table.add_row([name.to_string(), stage.clone(), replicas.to_string(), memory]);
        }
    }
    (!table.is_empty()).then(|| table.trim_fmt())
}

/// The table of what pipelines deliver whose inputs are read on from what was delivered; `None` if there are none.
pub(crate) fn delivered<'a>(composed: impl Iterator<Item = (&'a str, &'a Composed)>) -> Option<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pipeline", "delivery"]);
    for (name, delivery) in composed.filter_map(|(name, composed)| Some((name, composed.delivery.as_ref()?))) {
        table.add_row([name.to_string(), delivery.to_string()]);
    }
    (!table.is_empty()).then(|| table.trim_fmt())
}

fn on_failure(stage: &Repeated) -> String {
    match retries(stage) {
        Some(retries) => format!("{retries}, then {}", stage.then),
        None => stage.then.clone(),
    }
}

fn retries(stage: &Repeated) -> Option<String> {
    match stage.retries {
        0 => None,
        1 => Some("1 retry".to_string()),
        retries => Some(format!("{retries} retries")),
    }
}

/// As [`bound`], with the retries that it includes.
fn bound_with(of: Bound, stage: &Repeated) -> String {
    let text = bound(of);
    match (retries(stage), text.strip_suffix(')')) {
        (Some(retries), Some(text)) if of.max != Some(0) => format!("{text}, with {retries})"),
        _ => text,
    }
}

/// An upper bound, and how it is proven.
fn bound(bound: Bound) -> String {
    let times = match (bound.max, bound.exact) {
        (None, _) => return "any number".to_string(),
        (Some(max), true) => max.to_string(),
        (Some(max), false) => format!("≤ {max}"),
    };
    match bound.proof {
        Some(proof) => format!("{times} ({proof})"),
        None => times,
    }
}

fn at_most(bound: Option<u64>) -> String {
    match bound {
        None => "any number".to_string(),
        Some(0) => "0".to_string(),
        Some(max) => format!("≤ {max}"),
    }
}
