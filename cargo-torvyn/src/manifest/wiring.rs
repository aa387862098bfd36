//! Builds the graph that runs from a pipeline and the roles of its components, and maps the errors of the graph back to
//! places in the manifest. Only the graph decides what can run.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, GraphError, Node, Role};

use super::feed::{self, Feed, Origin};
use super::name;
use super::output::NamedOutput;
use super::pipeline::Pipeline;
use super::stage::Stage;
use crate::endpoints::{self, Input, Output};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics};

/// A graph that can run, with the meaning of its nodes.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    /// The graph.
    pub(crate) graph: Graph,
    /// The meaning of each node, in the order of the graph.
    pub(crate) nodes: Vec<WiredNode>,
}

impl Wiring {
    /// The outputs of the host, with the names of their nodes.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&str, &dyn Output)> {
        let nodes = self.graph.nodes().iter().zip(&self.nodes);
        nodes.filter_map(|(node, wired)| match wired {
            WiredNode::Output(output) => Some((node.name.as_str(), &**output)),
            WiredNode::Input(_) | WiredNode::Stage(_) => None,
        })
    }
}

/// The meaning of a node of the graph.
#[derive(Debug, Clone)]
pub(crate) enum WiredNode {
    /// An input of the host.
    Input(Arc<dyn Input>),
    /// The stage of this index in the pipeline.
    Stage(usize),
    /// An output of the host.
    Output(Arc<dyn Output>),
}

impl Pipeline {
    /// Builds the graph from the role of each stage's component. The graph has the host's input if anything takes from it;
    /// without `input` that is standard input. It has standard output if the manifest declares no output and nothing takes
    /// from the last stage.
    ///
    /// # Errors
    ///
    /// The reasons why the pipeline cannot run, with their places in the manifest.
    ///
    /// # Panics
    ///
    /// If the number of roles is not the number of stages.
    pub(crate) fn wire(&self, roles: &[Role]) -> Result<Wiring, Diagnostics> {
        assert_eq!(roles.len(), self.stages.len(), "one role for each stage");
        let draft = Draft::new(self, roles);
        let graph = Graph::new(draft.graph_nodes(), draft.edges.clone()).map_err(|error| draft.explain(&error))?;
        let mut found = Diagnostics::default();
        found.extend(draft.outputs_on_sinks());
        found.extend(draft.stamps_on_non_sources());
        found.extend(draft.skips_on_sources());
        found.extend(draft.replicas_of_ends());
        found.extend(draft.unused_input());
        found.extend(self.same_files(draft.input.as_deref(), &draft.outputs));
        if found.is_empty() { Ok(Wiring { graph, nodes: draft.nodes() }) } else { Err(found) }
    }
}

/// The nodes and edges of the pipeline before the graph has checked them.
struct Draft<'a> {
    pipeline: &'a Pipeline,
    roles: &'a [Role],
    input: Option<Arc<dyn Input>>,
    outputs: Vec<NamedOutput>,
    edges: Vec<Edge>,
    /// The place of each edge in the manifest; none if the edge is implied.
    edge_places: Vec<Option<Range<usize>>>,
}

impl<'a> Draft<'a> {
    fn new(pipeline: &'a Pipeline, roles: &'a [Role]) -> Self {
        // A source component has no implied input. An explicit `from` stays, so that the graph rejects it.
        let takes = |stage: usize, feed: &Feed| roles[stage] != Role::Source || feed.span.is_some();
        let mut feeds: Vec<(usize, Feed, Capacity)> = Vec::new();
        for (index, stage) in pipeline.stages.iter().enumerate() {
            let taken = stage.from.iter().filter(|feed| takes(index, feed));
            feeds.extend(taken.map(|feed| (index, feed.clone(), stage.capacity)));
        }
        let outputs = outputs(pipeline, roles, &feeds);
        for (index, output) in outputs.iter().enumerate() {
            let node = pipeline.stages.len() + index;
            feeds.extend(output.from.iter().map(|feed| (node, feed.clone(), Capacity::OUTPUT)));
        }

        let from_input = feeds.iter().any(|(_, feed, _)| feed.origin == Origin::Input);
        let stdin = || endpoints::input::stdin(Default::default());
        let input = from_input.then(|| pipeline.input.clone().unwrap_or_else(stdin));
        let first_stage = usize::from(from_input);
        let edge = |(to, feed, capacity): &(usize, Feed, Capacity)| {
            let (from, output) = match feed.origin {
                Origin::Input => (0, 0),
                Origin::Stage { stage, output } => (first_stage + stage, output),
            };
            Edge { from, output, to: first_stage + to, capacity: *capacity }
        };
        let edges = feeds.iter().map(edge).collect();
        let edge_places = feeds.into_iter().map(|(_, feed, _)| feed.span).collect();
        Draft { pipeline, roles, input, outputs, edges, edge_places }
    }

    fn nodes(&self) -> Vec<WiredNode> {
        let input = self.input.iter().cloned().map(WiredNode::Input);
        let stages = (0..self.roles.len()).map(WiredNode::Stage);
        let outputs = self.outputs.iter().map(|output| WiredNode::Output(output.output.clone()));
        input.chain(stages).chain(outputs).collect()
    }

    fn graph_nodes(&self) -> Vec<Node> {
        let node = |name: &str, role, outputs| Node::new(name, role, outputs);
        let stamp = self.pipeline.stamp;
        let input = self.input.iter().map(|_| Node { stamp, ..node(name::INPUT, Role::Source, 1) });
        let stages = self.pipeline.stages.iter().zip(self.roles).map(|(stage, role)| match role {
            Role::Sink => node(&stage.name, Role::Sink, 0),
            Role::Source | Role::Processor => node(&stage.name, *role, stage.outputs.len()),
        });
        let stages = stages.zip(&self.pipeline.stages).map(|(node, stage)| Node {
            merge: stage.merge,
            stamp: stage.stamp,
            ..node
        });
        let outputs =
            self.outputs.iter().map(|output| Node { merge: output.merge, ..node(&output.name, Role::Sink, 0) });
        input.chain(stages).chain(outputs).collect()
    }

    /// The stage of a node and its role; none for a node of the host.
    fn stage(&self, node: usize) -> Option<(&'a Stage, Role)> {
        let index = node.checked_sub(usize::from(self.input.is_some()))?;
        Some((self.pipeline.stages.get(index)?, self.roles[index]))
    }

    fn name(&self, node: usize) -> &str {
        let outputs_start = self.roles.len() + usize::from(self.input.is_some());
        match self.stage(node) {
            Some((stage, _)) => &stage.name,
            None => node.checked_sub(outputs_start).map_or(name::INPUT, |output| &self.outputs[output].name),
        }
    }

    /// The place of a node in the manifest, or of the pipeline if the manifest does not declare the node.
    fn place(&self, node: usize) -> Range<usize> {
        let outputs_start = self.roles.len() + usize::from(self.input.is_some());
        let written = match self.stage(node) {
            Some((stage, _)) => Some(&stage.places.name),
            None => match node.checked_sub(outputs_start) {
                Some(output) => self.outputs[output].span.as_ref(),
                None => self.pipeline.input_span.as_ref(),
            },
        };
        written.unwrap_or(&self.pipeline.span).clone()
    }

    /// The place of an edge: its entry in `from`, or else the node that it leads to.
    fn edge_place(&self, edge: usize) -> Range<usize> {
        self.edge_places[edge].clone().unwrap_or_else(|| self.place(self.edges[edge].to))
    }

    fn file(&self) -> &Path {
        &self.pipeline.file
    }

    /// Translates an error of the graph to a diagnostic on the manifest.
    fn explain(&self, error: &GraphError) -> Diagnostic {
        match error {
            GraphError::Empty => Diagnostic::error(codes::EMPTY, format!("`{}` has no stages", self.pipeline.name))
                .label(self.file(), self.pipeline.span.clone(), ""),
            GraphError::SameName(first, second) => {
                name::duplicate(self.file(), self.name(*second), &self.place(*first), &self.place(*second))
            }
            GraphError::NoSuchOutput(edge) => self.no_such_output(*edge),
            GraphError::IntoSource(edge) => {
                let stage = self.name(self.edges[*edge].to);
                Diagnostic::error(codes::FROM_ON_SOURCE, format!("`{stage}` is a source component and takes no input"))
                    .label(self.file(), self.edge_place(*edge), "")
                    .help("remove `from`")
            }
            GraphError::NoInput(node) => self.no_input(*node),
            GraphError::Unconnected { node, output } => self.unconnected(*node, *output),
            GraphError::Cycle(nodes) => self.cycle(nodes),
        }
    }

    fn no_such_output(&self, edge: usize) -> Diagnostic {
        let Edge { from, output, to, .. } = self.edges[edge];
        let (from_name, to_name) = (self.name(from), self.name(to));
        let sink = matches!(self.stage(from), Some((_, Role::Sink)));
        if !sink {
            return Diagnostic::error(
                codes::UNKNOWN_OUTPUT,
                format!("output index {output} of `{from_name}` is out of range"),
            )
            .label(self.file(), self.edge_place(edge), "");
        }
        let diagnostic =
            Diagnostic::error(codes::FROM_SINK, format!("`{from_name}` is a sink component and has no output"));
        match &self.edge_places[edge] {
            Some(place) => diagnostic.label(self.file(), place.clone(), ""),
            None => diagnostic
                .label(self.file(), self.place(to), format!("without `from`, this takes from `{from_name}`"))
                .help(format!("set the `from` of `{to_name}`, or remove `{to_name}`")),
        }
    }

    fn no_input(&self, node: usize) -> Diagnostic {
        let from = self.stage(node).and_then(|(stage, _)| stage.places.from.clone());
        Diagnostic::error(codes::NO_INPUT, format!("`{}` has no input", self.name(node)))
            .label(self.file(), from.unwrap_or_else(|| self.place(node)), "")
            .help("name its input in `from`, or remove `from` to take from the previous stage")
    }

    fn unconnected(&self, node: usize, output: usize) -> Diagnostic {
        let name = self.name(node);
        let (written, place) = match self.stage(node) {
            Some((stage, _)) if !stage.places.outputs.is_empty() => {
                (format!("{name}.{}", stage.outputs[output]), stage.output_place(output))
            }
            _ => (name.to_string(), self.place(node)),
        };
        Diagnostic::error(codes::UNCONNECTED_OUTPUT, format!("the output `{written}` is not connected"))
            .label(self.file(), place, "")
            .help(format!(
                "name it in a `from`, or discard its elements with an output: {{ from = \"{written}\", discard = true }}"
            ))
    }

    fn cycle(&self, nodes: &[usize]) -> Diagnostic {
        let mut names: Vec<_> = nodes.iter().map(|node| format!("`{}`", self.name(*node))).collect();
        names.extend(names.first().cloned());
        let mut diagnostic = Diagnostic::error(codes::CYCLE, format!("the stages form a cycle: {}", names.join(" → ")));
        for (index, from) in nodes.iter().enumerate() {
            let to = nodes[(index + 1) % nodes.len()];
            let edge = self.edges.iter().position(|edge| (edge.from, edge.to) == (*from, to));
            let place = edge.map_or_else(|| self.place(to), |edge| self.edge_place(edge));
            diagnostic =
                diagnostic.label(self.file(), place, format!("`{}` takes from `{}`", self.name(to), self.name(*from)));
        }
        diagnostic
    }

    fn outputs_on_sinks(&self) -> Vec<Diagnostic> {
        let sinks = self.pipeline.stages.iter().zip(self.roles).filter(|(_, role)| **role == Role::Sink);
        let written = sinks.filter_map(|(stage, _)| Some((stage, stage.places.outputs.first()?)));
        let tell = |(stage, place): (&Stage, &Range<usize>)| {
            Diagnostic::error(
                codes::OUTPUTS_ON_SINK,
                format!("`{}` is a sink component and has no outputs", stage.name),
            )
            .label(self.file(), place.clone(), "")
            .help("remove `outputs`")
        };
        written.map(tell).collect()
    }

    /// Reports deadlines and traces on stages that are not sources.
    fn stamps_on_non_sources(&self) -> Vec<Diagnostic> {
        let others = self.pipeline.stages.iter().zip(self.roles).filter(|(_, role)| **role != Role::Source);
        let written = others.filter_map(|(stage, _)| Some((stage, stage.places.stamp.as_ref()?)));
        let tell = |(stage, place): (&Stage, &Range<usize>)| {
            let message =
                format!("`{}` is not a source: `deadline` and `trace` are set where elements begin", stage.name);
            Diagnostic::error(codes::NOT_A_SOURCE, message)
                .label(self.file(), place.clone(), "")
                .help("set it on the input: input = { file = \"in.log\", deadline = \"250ms\" }")
        };
        written.map(tell).collect()
    }

    /// Reports sources that are configured to skip or keep failed elements: a source fails before there is an element.
    fn skips_on_sources(&self) -> Vec<Diagnostic> {
        let sources = self.pipeline.stages.iter().zip(self.roles).filter(|(_, role)| **role == Role::Source);
        let written = sources.filter_map(|(stage, _)| Some((stage, stage.on_failure.place.as_ref()?)));
        let tell = |(stage, place): (&Stage, &Range<usize>)| {
            let message =
                format!("`{}` is a source: when it fails, there is no element to skip or to keep", stage.name);
            Diagnostic::error(codes::SOURCE_CANNOT_SKIP, message)
                .label(self.file(), place.clone(), "")
                .help("a source can be retried: on-failure = { retry = 3 }")
        };
        written.map(tell).collect()
    }

    /// Reports replicas of stages that are not processors.
    fn replicas_of_ends(&self) -> Vec<Diagnostic> {
        let written = self.pipeline.stages.iter().zip(self.roles).filter_map(|(stage, role)| match role {
            Role::Processor => None,
            Role::Source => Some((stage, "source", stage.replicas.several()?)),
            Role::Sink => Some((stage, "sink", stage.replicas.several()?)),
        });
        let tell = |(stage, kind, place): (&Stage, &str, Range<usize>)| {
            let message = format!("`{}` is a {kind} component: only a processor can have replicas", stage.name);
            Diagnostic::error(codes::REPLICAS_WITH_STATE, message)
                .label(self.file(), place, "")
                .help("remove `replicas`")
        };
        written.map(tell).collect()
    }

    /// Reports a declared input that nothing takes from.
    fn unused_input(&self) -> Option<Diagnostic> {
        if self.input.is_some() || self.pipeline.input.is_none() {
            return None;
        }
        let first = self.place(0);
        let source = self.roles[0] == Role::Source;
        let reason = if source { "a source component makes the elements" } else { "this takes from something else" };
        let diagnostic = Diagnostic::error(codes::UNUSED_INPUT, "nothing takes from the input");
        Some(match &self.pipeline.input_span {
            Some(place) => {
                let help = if source { "remove `input`" } else { "remove `input`, or name it: from = \"input\"" };
                diagnostic.label(self.file(), place.clone(), "").label(self.file(), first, reason).help(help)
            }
            None => diagnostic.label(self.file(), first, reason).help("omit `--input`"),
        })
    }
}

/// The outputs of the manifest, or standard output if there are none and nothing takes from the last stage.
fn outputs(pipeline: &Pipeline, roles: &[Role], feeds: &[(usize, Feed, Capacity)]) -> Vec<NamedOutput> {
    let last = Origin::before(pipeline.stages.len());
    let taken = feeds.iter().any(|(_, feed, _)| feed.origin == last);
    if !pipeline.outputs.is_empty() || taken || roles.last() == Some(&Role::Sink) {
        return pipeline.outputs.clone();
    }
    let output = endpoints::output::stdout(Default::default());
    let (name, from) = (name::OUTPUT.to_string(), feed::implied(last));
    vec![NamedOutput { name, output, from, merge: Default::default(), span: None }]
}
