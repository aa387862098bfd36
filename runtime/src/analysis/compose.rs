//! What a pipeline copies, from what its stages do.
//!
//! An element that enters is followed over the graph. Three rules of the contract, which the host enforces, make that
//! possible: from the batch that lends it an element goes by handle to each output at most once, however many outputs were
//! put together; a payload is made by at least one write; and what else makes elements is `payload-view` and
//! `payload-lease`, of which `views` tells. So what a node sends on an edge for an element that it is lent is at most that
//! element, and what it makes of it:
//!
//! ```text
//! carried(edge) = 1                                                   from a source
//!               = lent(node) × (1 + writes(node) + views(node))       from a processor
//! lent(node)    = the sum of carried(edge) over the edges that go to it
//! ```
//!
//! What is made in `flush`, and of what is held, counts for the elements lent before, so these are true of the flow as a
//! whole.
//!
//! A stage with a policy for failures copies an element in several calls, of which [`NodeBounds::calls`] is the number. Each
//! of them is within the bounds of the stage, those that fail too: `reads` and `writes` here are those of all of them.

use serde::Serialize;

use crate::contract::Bounds;
use crate::pipeline::graph::{Graph, Role};
use crate::pipeline::policy::Policy;

/// What a pipeline copies at most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineBounds {
    /// Payload copies on the worst path of one element, from where it enters to an end; an element that a stage makes of
    /// another goes on as that. `None` where there is no bound.
    ///
    /// ```text
    /// path(node) = reads + calls × (1 + pieces if it can write, but not more than writes) + the greatest path(next)
    /// path(source component) = 1 + pieces + the greatest path(next)
    /// path(endpoint) = the greatest path(next), or 0
    /// ```
    ///
    /// What a stage writes for an element in calls that fail is counted as if it were on the way.
    pub copies: Option<u64>,
    /// The nodes of that path, from the source on.
    pub path: Vec<usize>,
    /// Payload copies that one element which enters can cause in the whole flow, at the worst source. `None` where there
    /// is no bound: a source that writes piece by piece, or is asked again after a failure, can give up what it wrote, and
    /// write any amount for an element.
    ///
    /// ```text
    /// total(node) = reads + writes + (1 + writes + views) × the sum of total(next) over the edges from the node
    /// total(source component) = 1 + the sum of total(next)     total(endpoint) = the sum of total(next)
    /// ```
    pub total: Option<u64>,
    /// Whether every element that enters causes `total` copies and not fewer, where the host refuses none.
    ///
    /// A component may drop or send nowhere what it has, so this holds only where no copy depends on it: of a component
    /// nothing that comes after it is certain, and of an input of the host that each of its edges carries everything.
    pub exact: bool,
    /// Payload bytes copied at component boundaries ÷ payload bytes that entered, as the account of a flow has it.
    ///
    /// At least 1 where all sources are components, for what enters was written once there; otherwise 0, for a read may
    /// be of no bytes. At most `total`, where no processor can write, and where what is copied is not joined before: then
    /// every payload is one that entered or a part of it, and each copy has at most its bytes. Of what is written instead
    /// only the number is bounded; and `total` has no bound where something is joined and then copied.
    pub amplification: Interval,
    /// The edges, in the order of the graph.
    pub edges: Vec<EdgeBounds>,
}

/// A range with its ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Not less.
    pub min: f64,
    /// Not more; `None` where there is no bound.
    pub max: Option<f64>,
}

/// What is known of a component in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeBounds {
    /// What it copies each time that it is lent an element, or makes one.
    pub bounds: Bounds,
    /// The most calls that lend it one element and copy it, where it is given elements again that it failed at; see
    /// [`Policy::calls`](crate::Policy::calls). `None` where there is no such number, as for a stage that holds elements.
    /// Any number but 1 says of a source that it is asked again after a call that failed.
    pub calls: Option<u32>,
}

impl NodeBounds {
    /// Of a stage of these bounds, under a policy, that is lent at most `batch` elements in a call. `retains` says whether it
    /// can hold elements.
    pub fn new(bounds: Bounds, policy: &Policy, batch: usize, retains: bool) -> NodeBounds {
        let is_lent_again = *policy != Policy::default();
        NodeBounds { bounds, calls: (!(is_lent_again && retains)).then(|| policy.calls(batch)) }
    }
}

impl From<Bounds> for NodeBounds {
    /// Of a stage whose first failure ends the flow.
    fn from(bounds: Bounds) -> NodeBounds {
        NodeBounds { bounds, calls: Some(1) }
    }
}

/// What an edge carries at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EdgeBounds {
    /// Elements for each one that entered, at the worst source; `None` where there is no bound.
    pub elements: Option<u64>,
    /// Whether a payload on it can be one that a stage wrote.
    pub written: bool,
}

/// Tells what a pipeline copies: `nodes` are those of the graph, in its order, with what is known of a component, and
/// `None` for an endpoint of the host.
///
/// # Panics
///
/// Where there are not as many `nodes` as the graph has.
pub fn compose(graph: &Graph, nodes: &[Option<NodeBounds>]) -> PipelineBounds {
    assert_eq!(graph.nodes().len(), nodes.len(), "one entry for each node");
    let stages: Vec<Stage> =
        graph.nodes().iter().zip(nodes).map(|(node, bounds)| Stage::new(node.role, *bounds)).collect();
    let costs = costs(graph, &stages);
    let sources: Vec<usize> = (0..stages.len()).filter(|&node| stages[node].role == Role::Source).collect();
    // Without elements there is no worst one: a graph has a source.
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

/// A number of copies or elements. Unbounded is more than any, and so is what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(Option<u64>);

const NOTHING: Count = Count(Some(0));
const ONE: Count = Count(Some(1));
const UNBOUNDED: Count = Count(None);

impl Count {
    fn plus(self, other: Count) -> Count {
        Count(self.0.zip(other.0).and_then(|(a, b)| a.checked_add(b)))
    }

    /// Of nothing there is nothing, however often.
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

/// A node, as far as copies go: for each element that it is lent, or, of a source, that it makes.
struct Stage {
    role: Role,
    component: bool,
    reads: Count,
    writes: Count,
    /// Of the writes, those into one payload.
    into_one: Count,
    views: Count,
    /// Reads and writes that are certain.
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
        // What is written into one payload is of one call, and there may be one in each.
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

    /// How many elements leave on each edge, for one that comes.
    fn leaving(&self) -> Count {
        match self.role {
            Role::Source => ONE,
            Role::Processor => ONE.plus(self.writes).plus(self.views),
            Role::Sink => NOTHING,
        }
    }
}

/// What an element costs from a node on.
#[derive(Clone, Copy)]
struct Cost {
    path: Count,
    next: Option<usize>,
    total: Count,
    /// Copies that are certain.
    least: u64,
}

fn costs(graph: &Graph, stages: &[Stage]) -> Vec<Cost> {
    let mut costs = vec![Cost { path: NOTHING, next: None, total: NOTHING, least: 0 }; stages.len()];
    for &node in graph.order().iter().rev() {
        let stage = &stages[node];
        let next = || graph.edges().iter().filter(|edge| edge.from == node);
        // Of several that are as bad, the first.
        let worst = next().map(|edge| edge.to).rev().max_by_key(|&to| costs[to].path);
        let after: Count = next().map(|edge| costs[edge.to].total).sum();
        // The host sends what an input gives to output 0.
        let certain = next().filter(|edge| !stage.component && edge.output == 0);
        costs[node] = Cost {
            path: stage.reads.plus(stage.into_one).plus(worst.map_or(NOTHING, |to| costs[to].path)),
            next: worst,
            total: stage.reads.plus(stage.writes).plus(stage.leaving().times(after)),
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
                let carried = lent[node].times(stage.leaving());
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
        of_repeated(&nodes, edges)
    }

    fn of_repeated(nodes: &[(Role, Option<NodeBounds>)], edges: &[(usize, usize, usize)]) -> PipelineBounds {
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
    fn fan_out_adds_and_the_worst_path_is_named() {
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
        // Nothing is read of what is not there, but much of what is more than can be counted.
        let many = (Processor, does(never(), at_most(u32::MAX)));
        let row = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 0, 4)];
        let bounds = of(&[(Source, None), many, many, many, (Sink, None)], &row);
        assert_eq!((bounds.copies, bounds.total, bounds.edges[3].elements), (Some(3), None, None));
    }

    #[test]
    fn what_is_made_without_a_write_multiplies_what_comes_after() {
        let slices = Some(Bounds { views: Bound::unknown(), ..Bounds::copying(never(), never()) });
        let row = [(0, 0, 1), (1, 0, 2)];
        let still = of(&[(Source, None), (Processor, slices), (Sink, None)], &row);
        assert_eq!((still.copies, still.total, still.exact), (Some(0), Some(0), true), "nobody copies what it makes");
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
    fn a_payload_that_is_written_piece_by_piece_is_copied_as_often() {
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
            "what it gives up is not counted"
        );
        assert_eq!(of_source(never()), (Some(1), Some(1), Interval { min: 1.0, max: Some(1.0) }));
    }

    #[test]
    fn elements_that_are_lent_again_are_copied_again() {
        let row = [(0, 0, 1), (1, 0, 2)];
        let under = |bounds: Option<Bounds>, calls| bounds.map(|bounds| NodeBounds { bounds, calls });
        let of_stage = |stage: Option<Bounds>, calls| {
            let nodes =
                [(Source, None), (Processor, under(stage, calls)), (Sink, under(does(exactly(1), never()), Some(2)))];
            of_repeated(&nodes, &row)
        };
        let reads = of_stage(does(exactly(1), never()), Some(4));
        assert_eq!((reads.copies, reads.total, reads.exact), (Some(4 + 2), Some(4 + 2), false));
        assert_eq!(reads.amplification, Interval { min: 0.0, max: Some(6.0) });
        let any = of_stage(does(exactly(1), never()), None);
        assert_eq!((any.copies, any.total, any.amplification.max), (None, None, None));
        let routes = of_stage(does(never(), never()), None);
        assert_eq!((routes.copies, routes.total), (Some(2), Some(2)), "what it never does it does in no call");
        let writes = of_stage(does(at_most(1), at_most(2)), Some(3));
        assert_eq!((writes.copies, writes.edges[1].elements), (Some(3 + 3 + 2), Some(1 + 2 * 3)));
        let more = of_stage(does(exactly(u32::MAX), never()), Some(2));
        assert_eq!(more.copies, None, "more than can be counted");
    }

    /// What it writes in a call that fails is of no element.
    #[test]
    fn a_source_that_is_asked_again_writes_any_number_of_times() {
        let of_source = |calls| {
            let source = NodeBounds { bounds: Bounds::copying(never(), exactly(1)), calls };
            let nodes = [(Source, Some(source)), (Sink, does(exactly(1), never()).map(NodeBounds::from))];
            let bounds = of_repeated(&nodes, &[(0, 0, 1)]);
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
