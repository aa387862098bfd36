//! The graph of a pipeline: nodes, the edges between them, and the order to run them in. Problems are reported by
//! index: the caller knows the places in files.

use crate::contract::{Kind, Stamp};

/// The default capacity of an edge, in elements.
pub const DEFAULT_EDGE_ELEMENTS: usize = 256;
/// The default capacity of an edge, in payload bytes.
pub const DEFAULT_EDGE_BYTES: usize = 1 << 20;
/// The most outputs that a node can have: `routes` of the contract has one bit for each.
pub const MAX_OUTPUTS: usize = 32;

/// The role of a node in the graph: on which sides it has edges. An input of the host is a source here and an output a sink,
/// so that the rules of graphs need not know them; the role of a stage follows from its [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Elements come from the node: a source component or an input of the host.
    Source,
    /// Elements pass through the node.
    Processor,
    /// Elements end in the node: a sink component or an output of the host.
    Sink,
}

impl From<Kind> for Role {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Source => Role::Source,
            Kind::Processor => Role::Processor,
            Kind::Sink => Role::Sink,
        }
    }
}

/// A node: a stage or an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name, unique in the pipeline.
    pub name: String,
    /// Which sides of the node have edges.
    pub role: Role,
    /// The number of outputs: 0 for a sink, at most [`MAX_OUTPUTS`].
    pub outputs: usize,
    /// The order in which elements are taken from several incoming edges.
    pub merge: Merge,
    /// What a source stamps its elements with. Not used for other nodes.
    pub stamp: Stamp,
}

impl Node {
    /// A node that takes from its incoming edges in turn, and sets no deadline and no trace.
    pub fn new(name: impl Into<String>, role: Role, outputs: usize) -> Self {
        Node { name: name.into(), role, outputs, merge: Merge::default(), stamp: Stamp::default() }
    }
}

/// The order in which a node takes elements from several incoming edges. The edges have the order of the graph's edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Merge {
    /// In turn: a batch from one edge, then a batch from the next edge that is not empty.
    #[default]
    RoundRobin,
    /// From the first edge that is not empty. The other edges wait as long as it is not.
    Priority,
    /// By sequence number at the source: the smallest number first, whichever edge it is on. If numbers are equal, the
    /// first edge wins. A batch can have elements of several edges, in order. The node waits for an empty edge until
    /// that edge ends, or until [nothing else in the flow can proceed](crate::flow::Flow::step) without this node.
    ///
    /// The result is in order if every edge is in order: if all elements come from one source, and no stage on the way
    /// reorders them, holds them beyond the call, or makes elements after its input has ended. Each source numbers its
    /// own elements, so with several sources only the numbers are compared.
    Sequence,
}

/// A bounded queue from an output of one node to another node. Several edges from one output each get every element, by
/// reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The index of the node that the edge comes from.
    pub from: usize,
    /// The index of the output of that node, from 0.
    pub output: usize,
    /// The index of the node that the edge goes to.
    pub to: usize,
    /// How much the edge can hold.
    pub capacity: Capacity,
}

/// How much an edge can hold. An empty edge has room for one element of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Elements; at least 1.
    pub elements: usize,
    /// Bytes of payloads, of attributes, and of the lists of pieces of joined or cut payloads.
    pub bytes: usize,
}

impl Capacity {
    /// The capacity of an edge to an output of the host, which takes many small elements at once.
    pub const OUTPUT: Capacity = Capacity { elements: 16 * DEFAULT_EDGE_ELEMENTS, bytes: DEFAULT_EDGE_BYTES };
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { elements: DEFAULT_EDGE_ELEMENTS, bytes: DEFAULT_EDGE_BYTES }
    }
}

/// Why nodes and edges are not a graph that can run. Indices refer to the arguments of [`Graph::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphError {
    /// There are no nodes.
    Empty,
    /// Two nodes have the same name.
    SameName(usize, usize),
    /// The edge comes from an output that its node does not have.
    NoSuchOutput(usize),
    /// The edge goes to a source.
    IntoSource(usize),
    /// The node is not a source, and no edge goes to it.
    NoInput(usize),
    /// No edge comes from this output of the node.
    Unconnected {
        /// The node.
        node: usize,
        /// The output.
        output: usize,
    },
    /// The nodes form a cycle, in this order.
    Cycle(Vec<usize>),
}

/// Nodes and edges that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    order: Vec<usize>,
}

impl Graph {
    /// Checks that the nodes are connected without a cycle: every input and every output of a node has an edge.
    ///
    /// # Errors
    ///
    /// The first problem found, in the order of [`GraphError`].
    ///
    /// # Panics
    ///
    /// If an edge refers to a node that is not in `nodes`.
    pub fn new(nodes: Vec<Node>, edges: Vec<Edge>) -> Result<Self, GraphError> {
        if nodes.is_empty() {
            return Err(GraphError::Empty);
        }
        for (index, node) in nodes.iter().enumerate() {
            if let Some(first) = nodes[..index].iter().position(|other| other.name == node.name) {
                return Err(GraphError::SameName(first, index));
            }
        }
        for (index, edge) in edges.iter().enumerate() {
            if edge.output >= nodes[edge.from].outputs {
                return Err(GraphError::NoSuchOutput(index));
            }
            if nodes[edge.to].role == Role::Source {
                return Err(GraphError::IntoSource(index));
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            if node.role != Role::Source && !edges.iter().any(|edge| edge.to == index) {
                return Err(GraphError::NoInput(index));
            }
            let unconnected = |output: &usize| !edges.iter().any(|edge| (edge.from, edge.output) == (index, *output));
            if let Some(output) = (0..node.outputs).find(unconnected) {
                return Err(GraphError::Unconnected { node: index, output });
            }
        }
        let order = order(nodes.len(), &edges).map_err(GraphError::Cycle)?;
        Ok(Graph { nodes, edges, order })
    }

    /// The nodes, as given.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges, as given.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The nodes in topological order, from sources to sinks.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The sources whose elements can reach `node`, by index, in ascending order.
    pub fn sources_of(&self, node: usize) -> Vec<usize> {
        let mut leads = vec![false; self.nodes.len()];
        leads[node] = true;
        for &node in self.order.iter().rev() {
            leads[node] |= self.edges.iter().any(|edge| edge.from == node && leads[edge.to]);
        }
        (0..leads.len()).filter(|&node| leads[node] && self.nodes[node].role == Role::Source).collect()
    }
}

/// Kahn's algorithm. If nodes are left over, they contain a cycle.
fn order(nodes: usize, edges: &[Edge]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting_for = vec![0; nodes];
    edges.iter().for_each(|edge| waiting_for[edge.to] += 1);
    let mut order: Vec<usize> = (0..nodes).filter(|&node| waiting_for[node] == 0).collect();
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        next += 1;
        for edge in edges.iter().filter(|edge| edge.from == node) {
            waiting_for[edge.to] -= 1;
            if waiting_for[edge.to] == 0 {
                order.push(edge.to);
            }
        }
    }
    if order.len() == nodes { Ok(order) } else { Err(cycle(&waiting_for, edges)) }
}

/// Walks backwards from any node that is left over until a node repeats.
fn cycle(waiting_for: &[usize], edges: &[Edge]) -> Vec<usize> {
    let waits = |node: usize| waiting_for[node] > 0;
    let mut path: Vec<usize> = (0..waiting_for.len()).filter(|&node| waits(node)).take(1).collect();
    while let Some(&node) = path.last() {
        let Some(before) = edges.iter().find(|edge| edge.to == node && waits(edge.from)).map(|edge| edge.from) else {
            break;
        };
        if let Some(start) = path.iter().position(|&seen| seen == before) {
            path.drain(..start);
            break;
        }
        path.push(before);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, role: Role, outputs: usize) -> Node {
        Node::new(name, role, outputs)
    }

    fn edge(from: usize, output: usize, to: usize) -> Edge {
        Edge { from, output, to, capacity: Capacity::default() }
    }

    fn chain() -> Vec<Node> {
        vec![node("out", Role::Sink, 0), node("mid", Role::Processor, 1), node("in", Role::Source, 1)]
    }

    #[test]
    fn orders_from_source_to_sink() {
        let graph = Graph::new(chain(), vec![edge(1, 0, 0), edge(2, 0, 1)]).unwrap();
        assert_eq!(graph.order(), [2, 1, 0]);
    }

    #[test]
    fn reports_problems_by_index() {
        assert_eq!(Graph::new(vec![], vec![]), Err(GraphError::Empty));
        assert_eq!(Graph::new(chain(), vec![edge(1, 0, 0)]), Err(GraphError::NoInput(1)));
        assert_eq!(Graph::new(chain(), vec![edge(1, 1, 0)]), Err(GraphError::NoSuchOutput(0)));
        assert_eq!(Graph::new(chain(), vec![edge(1, 0, 0), edge(1, 0, 2)]), Err(GraphError::IntoSource(1)));
        let unconnected = Graph::new(chain(), vec![edge(2, 0, 1), edge(2, 0, 0)]);
        assert_eq!(unconnected, Err(GraphError::Unconnected { node: 1, output: 0 }));
        let mut twice = chain();
        twice[2].name = "out".to_string();
        assert_eq!(Graph::new(twice, vec![]), Err(GraphError::SameName(0, 2)));
    }

    #[test]
    fn finds_the_sources_of_a_node() {
        let mut nodes = chain();
        nodes.push(node("other", Role::Source, 1));
        let graph = Graph::new(nodes, vec![edge(1, 0, 0), edge(2, 0, 1), edge(3, 0, 0)]).unwrap();
        assert_eq!([0, 1, 2, 3].map(|node| graph.sources_of(node)), [vec![2, 3], vec![2], vec![2], vec![3]]);
    }

    #[test]
    fn reports_a_cycle_in_order() {
        let mut nodes = chain();
        nodes.push(node("back", Role::Processor, 2));
        nodes[1].outputs = 1;
        let edges = vec![edge(2, 0, 1), edge(1, 0, 3), edge(3, 0, 1), edge(3, 1, 0)];
        assert_eq!(Graph::new(nodes, edges), Err(GraphError::Cycle(vec![1, 3])));
    }
}
