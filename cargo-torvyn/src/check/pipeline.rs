//! Composes the verdicts of stages along the edges of a pipeline. `lints` compares the result with the budget of the pipeline.

use serde::Serialize;
use torvyn_runtime::analysis::{Interval, NodeBounds, StageVerdict, compose};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::contract::{Bound, Bounds, Kind};
use torvyn_runtime::{Limits, Policy};

use super::baseline::SavedPipeline;
use super::delivery::Delivery;
use crate::manifest::{Pipeline, Stage, WiredNode, Wiring};
use crate::output::diagnostic::Diagnostic;

/// The most that a pipeline copies; `torvyn_runtime::analysis::PipelineBounds` has the formulas.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Composed {
    /// Copies on the worst path of one element.
    pub(crate) copies: Option<u64>,
    /// The nodes of the worst path.
    pub(crate) path: Vec<String>,
    /// The most copies that one entering element can cause in the whole flow.
    pub(crate) total: Option<u64>,
    /// Whether every element causes exactly `total` copies.
    pub(crate) exact: bool,
    /// Payload bytes copied ÷ payload bytes that entered.
    pub(crate) amplification: Interval,
    pub(crate) edges: Vec<Edge>,
    /// The stages with a policy for failures, which can be lent elements again; in the order of the pipeline.
    pub(crate) repeated: Vec<Repeated>,
    /// The stages with replicas, in the order of the pipeline. Their bounds are for each element, as those of one instance.
    pub(crate) replicated: Vec<Replicated>,
    /// What the pipeline delivers, if its input is read on from what was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<Delivery>,
    /// For each stage on the worst path: its index in the pipeline and its bounds.
    #[serde(skip)]
    pub(super) stages: Vec<(usize, NodeBounds)>,
    /// Why the amplification is unbounded, where it is.
    #[serde(skip)]
    pub(super) why_unbounded: &'static str,
}

/// The instances of a stage that has several.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replicated {
    pub(crate) stage: String,
    /// How many there are on this machine.
    pub(crate) replicas: usize,
    /// The most bytes of linear memory that they have together.
    pub(crate) memory: u64,
}

impl Replicated {
    fn new(stage: &Stage) -> Option<Replicated> {
        stage.replicas.several()?;
        let replicas = stage.replicas.count();
        let memory = stage.limits.memory.unwrap_or(Limits::default().memory).saturating_mul(replicas as u64);
        Some(Replicated { stage: stage.name.clone(), replicas, memory })
    }
}

/// What a stage copies under its policy for failures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Repeated {
    pub(crate) stage: String,
    /// How often the stage is lent an element again after failing at it.
    pub(crate) retries: u32,
    /// What happens to the element after the last retry.
    pub(crate) then: String,
    /// The most elements of one call.
    pub(crate) batch: usize,
    /// The most calls that copy one element; `None` if unbounded.
    pub(crate) calls: Option<u32>,
    /// How often an element is read in all of these calls.
    pub(crate) reads: Bound,
    /// How often the stage writes for an element in all of these calls. The writes of a source in failed calls are unbounded.
    pub(crate) writes: Bound,
}

impl Repeated {
    fn new(stage: &Stage, verdict: &StageVerdict, node: NodeBounds) -> Option<Repeated> {
        let policy = stage.on_failure.policy;
        let calls = if verdict.kind == Kind::Source { None } else { node.calls };
        let Bounds { reads, writes, .. } = node.bounds.repeated(calls);
        (policy != Policy::default()).then(|| Repeated {
            stage: stage.name.clone(),
            retries: policy.retry.map_or(0, |retry| retry.count),
            then: policy.then.to_string(),
            batch: stage.batch,
            calls,
            reads,
            writes,
        })
    }
}

/// The most that an edge carries.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Edge {
    from: String,
    /// Which output of that node, from 0.
    output: usize,
    to: String,
    /// The most elements for each element that entered.
    elements: Option<u64>,
    /// Whether a stage can have written a payload on this edge.
    written: bool,
}

impl Composed {
    /// Composes the verdicts of the stages, in the order of the pipeline.
    pub(crate) fn new(pipeline: &Pipeline, wiring: &Wiring, verdicts: &[StageVerdict]) -> Composed {
        let of_stage = |index: usize| {
            let (stage, verdict) = (&pipeline.stages[index], &verdicts[index]);
            NodeBounds::new(verdict.bounds(), &stage.on_failure.policy, stage.batch, verdict.retains)
        };
        let bounds = |node: &WiredNode| match node {
            WiredNode::Stage(stage) => Some(of_stage(*stage)),
            WiredNode::Input(_) | WiredNode::Output(_) => None,
        };
        let repeated = pipeline.stages.iter().zip(verdicts).enumerate();
        let repeated = repeated.filter_map(|(index, (stage, verdict))| Repeated::new(stage, verdict, of_stage(index)));
        let nodes: Vec<_> = wiring.nodes.iter().map(bounds).collect();
        let composed = compose(&wiring.graph, &nodes);
        let name = |node: usize| wiring.graph.nodes()[node].name.clone();
        let edges = wiring.graph.edges().iter().zip(&composed.edges).map(|(edge, bounds)| Edge {
            from: name(edge.from),
            output: edge.output,
            to: name(edge.to),
            elements: bounds.elements,
            written: bounds.written,
        });
        let stage = |node: &usize| match wiring.nodes[*node] {
            WiredNode::Stage(stage) => Some((stage, nodes[*node]?)),
            WiredNode::Input(_) | WiredNode::Output(_) => None,
        };
        Composed {
            copies: composed.copies,
            path: composed.path.iter().copied().map(name).collect(),
            total: composed.total,
            exact: composed.exact,
            amplification: composed.amplification,
            edges: edges.collect(),
            repeated: repeated.collect(),
            replicated: pipeline.stages.iter().filter_map(Replicated::new).collect(),
            delivery: None,
            stages: composed.path.iter().filter_map(stage).collect(),
            why_unbounded: why_unbounded(pipeline, verdicts),
        }
    }

    /// Notes how often stages on the worst path are lent an element, where that is more than once.
    pub(super) fn note_retries(&self, mut finding: Diagnostic, pipeline: &Pipeline) -> Diagnostic {
        for (stage, node) in &self.stages {
            let stage = &pipeline.stages[*stage];
            let policy = stage.on_failure.policy;
            let copies = node.bounds.reads.max != Some(0) || node.bounds.writes.max != Some(0);
            let Some(calls) = node.calls.filter(|calls| copies && *calls > 1) else { continue };
            let with_others = if calls > policy.calls(1) { "1 with others, " } else { "" };
            let retries = match policy.retry.map_or(0, |retry| retry.count) {
                0 => String::new(),
                1 => " and 1 retry".to_string(),
                retries => format!(" and {retries} retries"),
            };
            let name = &stage.name;
            let note = format!("`{name}` can copy an element in {calls} calls: {with_others}1 alone{retries}");
            finding = finding.note(note);
        }
        finding
    }

    /// Labels the stages on the worst path with the copies that they add.
    pub(super) fn label_stages(&self, mut finding: Diagnostic, pipeline: &Pipeline) -> Diagnostic {
        for (stage, node) in &self.stages {
            let calls =
                if pipeline.stages[*stage].on_failure.policy == Policy::default() { Some(1) } else { node.calls };
            if let Some(text) = describe_path_copies(node.bounds, calls) {
                finding = finding.label(&pipeline.file, pipeline.stages[*stage].place(), text);
            }
        }
        finding
    }

    /// The amplification as a range for the table.
    pub(crate) fn range(&self) -> String {
        match (self.amplification.min, self.amplification.max) {
            (min, Some(max)) if min == max => format!("{max:.2}×"),
            (0.0, Some(max)) => format!("≤ {max:.2}×"),
            (min, Some(max)) => format!("{min:.2}× to {max:.2}×"),
            (0.0, None) => "any".to_string(),
            (min, None) => format!("≥ {min:.2}×"),
        }
    }

    /// The part that a baseline keeps.
    pub(crate) fn saved(&self, name: &str) -> SavedPipeline {
        SavedPipeline { name: name.to_string(), copies: self.copies }
    }
}

/// Why the bytes that the stages copy are unbounded.
fn why_unbounded(pipeline: &Pipeline, verdicts: &[StageVerdict]) -> &'static str {
    let again = |(stage, _): &(&Stage, &StageVerdict)| stage.on_failure.policy != Policy::default();
    let mut again = pipeline.stages.iter().zip(verdicts).filter(again);
    let writes = |verdict: &StageVerdict| match verdict.kind {
        Kind::Source => !verdict.pieces.is_never(),
        Kind::Processor | Kind::Sink => verdict.writes.max != Some(0),
    };
    if verdicts.iter().any(writes) {
        return "a stage writes payloads whose sizes are known only when it runs";
    }
    if verdicts.iter().any(|verdict| verdict.views.max.is_none()) {
        return "a stage makes any number of elements from one without a write, and later stages copy them";
    }
    match again.find(|(_, verdict)| verdict.kind == Kind::Source || verdict.retains) {
        Some((_, verdict)) if verdict.kind == Kind::Source => {
            "a source is called again after a failure, and what it wrote in the failed call was copied too"
        }
        Some(_) => "a stage holds elements and is lent them again after every restart",
        None => "a stage reads any number of times",
    }
}

/// Describes the copies that a stage adds to the path of an element.
fn describe_path_copies(bounds: Bounds, calls: Option<u32>) -> Option<String> {
    let copies = describe_call_copies(bounds)?;
    Some(match calls {
        Some(1) => copies,
        Some(calls) => format!("{copies} in each of {calls} calls"),
        None => format!("{copies} in each call, in any number of calls"),
    })
}

/// Describes the copies that a stage makes in one call.
fn describe_call_copies(bounds: Bounds) -> Option<String> {
    let reads = match bounds.reads.max {
        Some(0) => None,
        Some(max) => Some(counted(u64::from(max), "read")),
        None => Some("any number of reads".to_string()),
    };
    let writes = match (bounds.writes.max, bounds.pieces.max) {
        (Some(0), _) => None,
        (_, Some(0)) | (Some(1), _) => Some("1 write".to_string()),
        (Some(writes), None) => Some(counted(u64::from(writes), "write")),
        (writes, Some(pieces)) => {
            Some(counted(u64::from(writes.unwrap_or(u32::MAX).min(pieces.saturating_add(1))), "write"))
        }
        (None, None) => Some("any number of writes".to_string()),
    };
    let all: Vec<_> = reads.into_iter().chain(writes).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}
