//! Bounds the copies of a pipeline, from the bounds of its stages.
//!
//! An element is followed through the graph from where it enters. Three rules of the contract, which the host enforces,
//! make this possible: an element of a batch is forwarded by handle to each output at most once, however many outputs
//! are appended; a payload is made by at least one write; and only `payload-view` and `payload-lease` make elements in
//! another way, which `views` bounds. So for an element that a node is lent, it sends at most that element and the
//! elements that it makes of it on an edge:
//!
//! ```text
//! carried(edge) = 1                                                   from a source
//!               = lent(node) × (1 + writes(node) + views(node))       from a processor
//! lent(node)    = the sum of carried(edge) over the edges that go to it
//! ```
//!
//! Elements that are made in `flush` or from held elements count for elements lent before, so the formulas hold for the
//! flow as a whole.
//!
//! A stage with a failure policy can copy an element in several calls: at most [`NodeBounds::calls`]. Each of them is
//! within the bounds of the stage, failed calls too: `reads` and `writes` above are those of all these calls.

use serde::Serialize;

use crate::contract::Bounds;
use crate::pipeline::graph::{Graph, Role};
use crate::pipeline::policy::Policy;

/// How much a pipeline copies at most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineBounds {
    /// Payload copies on the worst path of one element, from where it enters to where it leaves. An element that a
    /// stage makes of another continues its path. `None` if there is no bound.
    ///
    /// ```text
    /// path(node) = reads + calls × (1 + pieces if it can write, but not more than writes) + the greatest path(next)
    /// path(source component) = 1 + pieces + the greatest path(next)
    /// path(endpoint) = the greatest path(next), or 0
    /// ```
    ///
    /// Writes for an element in failed calls count as if they were on the path.
    pub copies: Option<u64>,
    /// The nodes of that path, starting at the source.
    pub path: Vec<usize>,
    /// Payload copies that one entering element can cause in the whole flow, at the worst source. `None` if there is no
    /// bound: a source that writes piece by piece, or whose failed calls are retried, can discard what it wrote, and so
    /// write any amount for an element.
    ///
    /// ```text
    /// total(node) = reads + writes + (1 + writes + views) × the sum of total(next) over the edges from the node
    /// total(source component) = 1 + the sum of total(next)     total(endpoint) = the sum of total(next)
    /// ```
    pub total: Option<u64>,
    /// Whether every entering element causes exactly `total` copies, if the host refuses none.
    ///
    /// A component may drop elements, so no copy behind a component is certain. An input of the host sends every
    /// element on each of its edges.
    pub exact: bool,
    /// Payload bytes copied at component boundaries, divided by payload bytes that entered, as in the run report.
    ///
    /// The minimum is 1 if all sources are components, because they write each entering payload once; otherwise 0,
    /// because a read may be of 0 bytes. The maximum is `total` if no processor can write: every payload is then one
    /// that entered or a part of one, and each copy has at most its bytes. (`total` itself has no bound if payloads are
    /// joined and then copied.) If processors write, only the number of copies is bounded, and not their bytes.
    pub amplification: Interval,
    /// The edges, in the order of the graph.
    pub edges: Vec<EdgeBounds>,
}

/// A closed range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub min: f64,
    /// The upper end; `None` if there is no bound.
    pub max: Option<f64>,
}

/// What is known about a component in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeBounds {
    /// How much it copies each time that it is lent an element, or makes one.
    pub bounds: Bounds,
    /// With retries, the most calls that lend it one element and copy it; see [`Policy::calls`](crate::Policy::calls).
    /// `None` if there is no bound, as for a stage that holds elements. For a source, any number other than 1 says that
    /// its failed calls are retried.
    pub calls: Option<u32>,
}

impl NodeBounds {
    /// For a stage with these bounds and this policy that is lent at most `batch` elements per call. `retains`: whether
    /// it can hold elements.
    pub fn new(bounds: Bounds, policy: &Policy, batch: usize, retains: bool) -> NodeBounds {
        let is_lent_again = *policy != Policy::default();
        NodeBounds { bounds, calls: (!(is_lent_again && retains)).then(|| policy.calls(batch)) }
    }
}

impl From<Bounds> for NodeBounds {
    /// For a stage whose first failure stops the flow.
    fn from(bounds: Bounds) -> NodeBounds {
        NodeBounds { bounds, calls: Some(1) }
    }
}

/// How much an edge carries at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EdgeBounds {
    /// Elements for each entering element, at the worst source; `None` if there is no bound.
    pub elements: Option<u64>,
    /// Whether the edge can carry payloads that a stage wrote.
    pub written: bool,
}

/// Bounds the copies of a pipeline. `nodes` has one entry for each node of the graph, in order: the bounds of a
/// component, or `None` for an endpoint of the host.
///
/// # Panics
///
/// If `nodes` does not have one entry for each node of the graph.
pub fn compose(graph: &Graph, nodes: &[Option<NodeBounds>]) -> PipelineBounds {
    assert_eq!(graph.nodes().len(), nodes.len(), "one entry for each node");
    let stages: Vec<Stage> =
        graph.nodes().iter().zip(nodes).map(|(node, bounds)| Stage::new(node.role, *bounds)).collect();
    let costs = costs(graph, &stages);
    let sources: Vec<usize> = (0..stages.len()).filter(|&node| stages[node].role == Role::Source).collect();
    // `None` only without a source, and a graph has one.
    let worst = sources.iter().rev().copied().max_by_key(|&source| costs[source].path);
    let total = sources.iter().map(|&source| costs[source].total).max().unwrap_or(NOTHING);
    let exact = sources.iter().all(|&source| Count(Some(costs[source].least)) == total);
    let rewritten = stages.iter().any(|stage| stage.role == Role::Processor && stage.writes != NOTHING);
    let written = sources.iter().all(|&source| stages[source].component);
    PipelineBounds {
        copies: worst.map_or(NOTHING, |source| costs[source].path).0,
        path: std::iter::successors(worst, |&node| costs[node].next).collect(),
        total: total.0,
        exact,
        amplification: Interval {
            min: if written { 1.0 } else { 0.0 },
            max: total.0.filter(|_| !rewritten).map(|total| total as f64),
        },
        edges: edges(graph, &stages, &sources),
    }
}

/// A number of copies or elements. `None` is unbounded, and greater than any number; overflow is unbounded too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(Option<u64>);

const NOTHING: Count = Count(Some(0));
const ONE: Count = Count(Some(1));
const UNBOUNDED: Count = Count(None);

impl Count {
    fn plus(self, other: Count) -> Count {
        Count(self.0.zip(other.0).and_then(|(a, b)| a.checked_add(b)))
    }

    /// Zero times unbounded is zero.
    fn times(self, other: Count) -> Count {
        if self == NOTHING || other == NOTHING {
            return NOTHING;
        }
        Count(self.0.zip(other.0).and_then(|(a, b)| a.checked_mul(b)))
    }
}

impl Ord for Count {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // `None` is the least of the options.
        (self.0.is_none(), self.0).cmp(&(other.0.is_none(), other.0))
    }
}

impl PartialOrd for Count {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Count>>(counts: I) -> Count {
        counts.fold(NOTHING, Count::plus)
    }
}

/// The copies of a node, for each element that it is lent or, if it is a source, that it makes.
struct Stage {
    role: Role,
    component: bool,
    reads: Count,
    writes: Count,
    /// The part of `writes` that can go into one payload.
    into_one: Count,
    views: Count,
    /// Reads and writes that always happen.
    least: u64,
}

impl Stage {
    fn new(role: Role, node: Option<NodeBounds>) -> Stage {
        let still = Stage {
            role,
            component: node.is_some(),
            reads: NOTHING,
            writes: NOTHING,
            into_one: NOTHING,
            views: NOTHING,
            least: 0,
        };
        let Some(NodeBounds { bounds, calls }) = node else { return still };
        let count = |max: Option<u32>| Count(max.map(u64::from));
        // A payload is written within one call, but each of the calls may write one.
        let into_one = ONE.plus(count(bounds.pieces.max));
        let into_one_a_call = into_one.min(count(bounds.writes.max));
        let Bounds { reads, writes, pieces, views } = bounds.repeated(calls);
        let least = |exact: bool, max: Option<u32>| if exact { u64::from(max.unwrap_or(0)) } else { 0 };
        let certain = least(reads.exact, reads.max);
        match role {
            Role::Source => {
                let writes = if pieces.is_never() && calls == Some(1) { ONE } else { UNBOUNDED };
                Stage { writes, into_one, least: 1, ..still }
            }
            Role::Sink => Stage { reads: count(reads.max), least: certain, ..still },
            Role::Processor => Stage {
                reads: count(reads.max),
                writes: count(writes.max),
                into_one: into_one_a_call.times(count(calls)),
                views: count(views.max),
                least: certain + least(writes.exact, writes.max),
                ..still
            },
        }
    }

    /// How many elements leave on each edge for one incoming element.
    fn fan_out(&self) -> Count {
        match self.role {
            Role::Source => ONE,
            Role::Processor => ONE.plus(self.writes).plus(self.views),
            Role::Sink => NOTHING,
        }
    }
}

/// The copies of an element from a node on.
#[derive(Clone, Copy)]
struct Cost {
    path: Count,
    next: Option<usize>,
    total: Count,
    /// Copies that always happen.
    least: u64,
}

fn costs(graph: &Graph, stages: &[Stage]) -> Vec<Cost> {
    let mut costs = vec![Cost { path: NOTHING, next: None, total: NOTHING, least: 0 }; stages.len()];
    for &node in graph.order().iter().rev() {
        let stage = &stages[node];
        let next = || graph.edges().iter().filter(|edge| edge.from == node);
        // The first of several equally bad ones.
        let worst = next().map(|edge| edge.to).rev().max_by_key(|&to| costs[to].path);
        let after: Count = next().map(|edge| costs[edge.to].total).sum();
        // An input of the host sends all its elements to output 0.
        let certain = next().filter(|edge| !stage.component && edge.output == 0);
        costs[node] = Cost {
            path: stage.reads.plus(stage.into_one).plus(worst.map_or(NOTHING, |to| costs[to].path)),
            next: worst,
            total: stage.reads.plus(stage.writes).plus(stage.fan_out().times(after)),
            least: stage.least.saturating_add(certain.map(|edge| costs[edge.to].least).fold(0, u64::saturating_add)),
        };
    }
    costs
}

fn edges(graph: &Graph, stages: &[Stage], sources: &[usize]) -> Vec<EdgeBounds> {
    let mut bounds = vec![EdgeBounds { elements: Some(0), written: false }; graph.edges().len()];
    for &source in sources {
        let mut lent = vec![NOTHING; stages.len()];
        let mut written = vec![false; stages.len()];
        lent[source] = ONE;
        for &node in graph.order() {
            let stage = &stages[node];
            let writes = lent[node] != NOTHING && stage.writes != NOTHING;
            for (edge, bounds) in graph.edges().iter().zip(&mut bounds).filter(|(edge, _)| edge.from == node) {
                let carried = lent[node].times(stage.fan_out());
                lent[edge.to] = lent[edge.to].plus(carried);
                written[edge.to] |= written[node] || writes;
                bounds.elements = Count(bounds.elements).max(carried).0;
                bounds.written |= written[node] || writes;
            }
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Bound, Proof};
    use crate::pipeline::graph::{Capacity, Edge, Node};

    fn does(reads: Bound, writes: Bound) -> Option<Bounds> {
        Some(Bounds::copying(reads, writes))
    }

    fn never() -> Bound {
        Bound::never(Proof::Component)
    }

    fn exactly(times: u32) -> Bound {
        Bound::exactly(times, Proof::Bounded)
    }

    fn at_most(times: u32) -> Bound {
        Bound::at_most(times, Proof::Bounded)
    }

    /// Nodes, and edges as (from, output, to).
    fn of(nodes: &[(Role, Option<Bounds>)], edges: &[(usize, usize, usize)]) -> PipelineBounds {
        let nodes: Vec<_> = nodes.iter().map(|(role, bounds)| (*role, bounds.map(NodeBounds::from))).collect();
        compose_repeated(&nodes, edges)
    }

    fn compose_repeated(nodes: &[(Role, Option<NodeBounds>)], edges: &[(usize, usize, usize)]) -> PipelineBounds {
        let outputs = |node| edges.iter().filter(|edge| edge.0 == node).map(|edge| edge.1 + 1).max().unwrap_or(0);
        let named = nodes.iter().enumerate();
        let named = named.map(|(node, (role, _))| Node::new(node.to_string(), *role, outputs(node)));
        let edge = |&(from, output, to)| Edge { from, output, to, capacity: Capacity::default() };
        let graph = Graph::new(named.collect(), edges.iter().map(edge).collect()).unwrap();
        compose(&graph, &nodes.iter().map(|(_, node)| *node).collect::<Vec<_>>())
    }

    use Role::{Processor, Sink, Source};

    /// The table of the guide: native ends around a router, an inspector and a transform, and components throughout.
    #[test]
    fn rows() {
        let row = [(0, 0, 1), (1, 0, 2)];
        let router = of(&[(Source, None), (Processor, does(never(), never())), (Sink, None)], &row);
        assert_eq!((router.copies, router.total, router.exact), (Some(0), Some(0), true));
        assert_eq!(router.amplification, Interval { min: 0.0, max: Some(0.0) });
        assert_eq!(router.edges, [EdgeBounds { elements: Some(1), written: false }; 2]);

        let inspector = of(&[(Source, None), (Processor, does(exactly(1), never())), (Sink, None)], &row);
        assert_eq!((inspector.copies, inspector.total, inspector.exact), (Some(1), Some(1), true));
        assert_eq!(inspector.amplification, Interval { min: 0.0, max: Some(1.0) });

        let transform = of(&[(Source, None), (Processor, does(exactly(1), exactly(1))), (Sink, None)], &row);
        assert_eq!((transform.copies, transform.total, transform.exact), (Some(2), Some(2), true));
        assert_eq!(transform.amplification, Interval { min: 0.0, max: None });
        let passed_and_written = EdgeBounds { elements: Some(2), written: true };
        assert_eq!(transform.edges, [EdgeBounds { elements: Some(1), written: false }, passed_and_written]);

        let source = does(never(), Bound::unknown());
        let all =
            of(&[(Source, source), (Processor, does(at_most(1), at_most(1))), (Sink, does(exactly(1), never()))], &row);
        assert_eq!((all.copies, all.path, all.exact), (Some(4), vec![0, 1, 2], false));
        // The source's write, a read and a write, and two elements that the sink reads.
        assert_eq!((all.total, all.amplification), (Some(5), Interval { min: 1.0, max: None }));
        assert_eq!(all.edges[0], EdgeBounds { elements: Some(1), written: true });
    }

    #[test]
    fn fan_out_adds_up() {
        let reads = |times| (Sink, does(exactly(times), never()));
        let nodes = [(Source, None), reads(1), reads(3), (Processor, does(never(), never())), reads(2)];
        let both = of(&nodes, &[(0, 0, 1), (0, 0, 2), (0, 0, 3), (3, 0, 4)]);
        assert_eq!((both.copies, both.path, both.total), (Some(3), vec![0, 2], Some(6)));
        assert!(!both.exact, "the router may drop what the last would read");
        let certain = of(&nodes[..3], &[(0, 0, 1), (0, 0, 2)]);
        assert_eq!((certain.total, certain.exact), (Some(4), true));
        assert!(!of(&nodes[..3], &[(0, 0, 1), (0, 1, 2)]).exact, "an input sends to its first output");
    }

    #[test]
    fn writes_multiply() {
        let splits = |times| (Processor, does(never(), at_most(times)));
        let row = [(0, 0, 1), (1, 0, 2), (2, 0, 3)];
        let bounds = of(&[(Source, None), splits(2), splits(3), (Sink, does(exactly(1), never()))], &row);
        assert_eq!(bounds.edges.iter().map(|edge| edge.elements).collect::<Vec<_>>(), [Some(1), Some(3), Some(12)]);
        assert_eq!((bounds.total, bounds.copies), (Some(2 + 3 * 3 + 12), Some(3)));
    }

    #[test]
    fn without_a_bound() {
        let row = [(0, 0, 1), (1, 0, 2)];
        let writes = does(never(), Bound::unknown());
        let bounds = of(&[(Source, None), (Processor, writes), (Sink, None)], &row);
        assert_eq!((bounds.copies, bounds.total, bounds.exact), (Some(1), None, false));
        assert_eq!(bounds.edges[1], EdgeBounds { elements: None, written: true });
        let reads = does(Bound::unknown(), never());
        let bounds = of(&[(Source, None), (Processor, reads), (Sink, None)], &row);
        assert_eq!((bounds.copies, bounds.total), (None, None));
        assert_eq!(bounds.amplification, Interval { min: 0.0, max: None });
        assert_eq!(bounds.edges[1].elements, Some(1));
        // Overflow is unbounded.
        let many = (Processor, does(never(), at_most(u32::MAX)));
        let row = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 0, 4)];
        let bounds = of(&[(Source, None), many, many, many, (Sink, None)], &row);
        assert_eq!((bounds.copies, bounds.total, bounds.edges[3].elements), (Some(3), None, None));
    }

    #[test]
    fn views_multiply_later_copies() {
        let slices = Some(Bounds { views: Bound::unknown(), ..Bounds::copying(never(), never()) });
        let row = [(0, 0, 1), (1, 0, 2)];
        let still = of(&[(Source, None), (Processor, slices), (Sink, None)], &row);
        assert_eq!((still.copies, still.total, still.exact), (Some(0), Some(0), true), "no later stage copies");
        assert_eq!(still.amplification, Interval { min: 0.0, max: Some(0.0) });
        assert_eq!(still.edges[1], EdgeBounds { elements: None, written: false });
        let reads = (Sink, does(exactly(1), never()));
        let read = of(&[(Source, None), (Processor, slices), reads], &row);
        assert_eq!((read.copies, read.total, read.exact), (Some(1), None, false));
        assert_eq!(read.amplification.max, None);
        // What was read before is not multiplied.
        let row = [(0, 0, 1), (1, 0, 2), (2, 0, 3)];
        let reader = (Processor, does(exactly(1), never()));
        let before = of(&[(Source, None), reader, (Processor, slices), (Sink, None)], &row);
        assert_eq!((before.total, before.amplification.max), (Some(1), Some(1.0)));
    }

    #[test]
    fn each_piece_of_a_payload_is_a_copy() {
        let row = [(0, 0, 1), (1, 0, 2)];
        let piecewise = |writes, pieces| Some(Bounds { pieces, ..Bounds::copying(never(), writes) });
        let of_processor = |writes, pieces| {
            let bounds = of(&[(Source, None), (Processor, piecewise(writes, pieces)), (Sink, None)], &row);
            (bounds.copies, bounds.total)
        };
        assert_eq!(of_processor(Bound::unknown(), Bound::unknown()), (None, None));
        assert_eq!(of_processor(at_most(3), Bound::unknown()), (Some(3), Some(3)));
        assert_eq!(of_processor(at_most(3), at_most(1)), (Some(2), Some(3)));
        assert_eq!(of_processor(never(), never()), (Some(0), Some(0)));
        let of_source = |pieces| {
            let nodes =
                [(Source, piecewise(Bound::unknown(), pieces)), (Processor, does(never(), never())), (Sink, None)];
            let bounds = of(&nodes, &row);
            (bounds.copies, bounds.total, bounds.amplification)
        };
        let any = Interval { min: 1.0, max: None };
        assert_eq!(of_source(Bound::unknown()), (None, None, any));
        assert_eq!(
            of_source(Bound::at_most(2, Proof::Enforced)),
            (Some(3), None, any),
            "discarded writes are not counted"
        );
        assert_eq!(of_source(never()), (Some(1), Some(1), Interval { min: 1.0, max: Some(1.0) }));
    }

    #[test]
    fn retried_elements_are_copied_again() {
        let row = [(0, 0, 1), (1, 0, 2)];
        let under = |bounds: Option<Bounds>, calls| bounds.map(|bounds| NodeBounds { bounds, calls });
        let of_stage = |stage: Option<Bounds>, calls| {
            let nodes =
                [(Source, None), (Processor, under(stage, calls)), (Sink, under(does(exactly(1), never()), Some(2)))];
            compose_repeated(&nodes, &row)
        };
        let reads = of_stage(does(exactly(1), never()), Some(4));
        assert_eq!((reads.copies, reads.total, reads.exact), (Some(4 + 2), Some(4 + 2), false));
        assert_eq!(reads.amplification, Interval { min: 0.0, max: Some(6.0) });
        let any = of_stage(does(exactly(1), never()), None);
        assert_eq!((any.copies, any.total, any.amplification.max), (None, None, None));
        let routes = of_stage(does(never(), never()), None);
        assert_eq!((routes.copies, routes.total), (Some(2), Some(2)), "zero copies stay zero");
        let writes = of_stage(does(at_most(1), at_most(2)), Some(3));
        assert_eq!((writes.copies, writes.edges[1].elements), (Some(3 + 3 + 2), Some(1 + 2 * 3)));
        let more = of_stage(does(exactly(u32::MAX), never()), Some(2));
        assert_eq!(more.copies, None, "overflow is unbounded");
    }

    /// Writes in failed calls belong to no element.
    #[test]
    fn a_retried_source_writes_any_number_of_times() {
        let of_source = |calls| {
            let source = NodeBounds { bounds: Bounds::copying(never(), exactly(1)), calls };
            let nodes = [(Source, Some(source)), (Sink, does(exactly(1), never()).map(NodeBounds::from))];
            let bounds = compose_repeated(&nodes, &[(0, 0, 1)]);
            (bounds.copies, bounds.total, bounds.amplification)
        };
        assert_eq!(of_source(Some(1)), (Some(2), Some(2), Interval { min: 1.0, max: Some(2.0) }));
        assert_eq!(of_source(Some(3)), (Some(2), None, Interval { min: 1.0, max: None }));
    }

    #[test]
    fn the_worst_of_several_sources() {
        let source = does(never(), never());
        let nodes = [(Source, None), (Source, source), (Processor, does(exactly(1), never())), (Sink, None)];
        let bounds = of(&nodes, &[(0, 0, 2), (1, 0, 2), (2, 0, 3)]);
        assert_eq!((bounds.copies, bounds.path.as_slice(), bounds.total), (Some(2), &[1, 2, 3][..], Some(2)));
        assert_eq!(bounds.amplification, Interval { min: 0.0, max: Some(2.0) });
        assert!(!bounds.exact);
        assert!(bounds.edges[2].written && !bounds.edges[0].written);
    }
}
