//! The graph of a pipeline: nodes, the edges between them, and the order to run them in. Names and places in files are
//! the caller's; problems are told by index.

use crate::contract::{Kind, Stamp};

/// Elements that wait on an edge before there is no more room, unless the pipeline says otherwise.
pub const DEFAULT_EDGE_ELEMENTS: usize = 256;
/// Payload bytes that wait on an edge before there is no more room, unless the pipeline says otherwise.
pub const DEFAULT_EDGE_BYTES: usize = 1 << 20;
/// Outputs a node can have: `routes` of the contract has a bit for each.
pub const MAX_OUTPUTS: usize = 32;

/// What a node is, seen from the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Elements come from it: a source component or an input of the host.
    Source,
    /// Elements pass through it.
    Processor,
    /// Elements end in it: a sink component or an output of the host.
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
    /// Unique in the pipeline.
    pub name: String,
    /// Which sides of it have edges.
    pub role: Role,
    /// How many outputs it has; 0 for a sink, at most [`MAX_OUTPUTS`].
    pub outputs: usize,
    /// Which of the edges into it is taken from next, where there are several.
    pub merge: Merge,
    /// What it stamps its elements with; of no meaning for other nodes than sources.
    pub stamp: Stamp,
}

impl Node {
    /// A node that takes from its edges in turn, and stamps nothing.
    pub fn new(name: impl Into<String>, role: Role, outputs: usize) -> Self {
        Node { name: name.into(), role, outputs, merge: Merge::default(), stamp: Stamp::default() }
    }
}

/// Which of the edges into a node is taken from next. They are listed in the order of the graph's edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Merge {
    /// In turn: a batch of one, then of the next one that has something waiting.
    #[default]
    RoundRobin,
    /// The first listed that has something waiting. The others wait for as long as it has.
    Priority,
    /// The element with the smallest number at its source, whichever edge it waits on; of equal ones that of the edge
    /// listed first. A batch has elements of several edges, in order. An edge with nothing waiting is waited for until
    /// it ends, or until [nothing in the flow can move](crate::flow::Flow::step) without this node.
    ///
    /// What comes of it is in order where every edge is: where the elements come from one source, and no stage between
    /// sends them on in another order, keeps them beyond the call, or makes more when its input has ended. Sources
    /// number for themselves, so of several the numbers alone are compared.
    Sequence,
}

/// A bounded queue from an output of one node to another node. Several edges from one output carry each element to
/// all of their ends, by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Index of the node it comes from.
    pub from: usize,
    /// Which of that node's outputs, from 0.
    pub output: usize,
    /// Index of the node it goes to.
    pub to: usize,
    /// How much waits on it.
    pub capacity: Capacity,
}

/// How much waits on an edge before there is no more room. An empty edge has room for one element of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Elements; at least 1.
    pub elements: usize,
    /// Bytes of payloads, of attributes, and of the lists of pieces that payloads have which were joined or cut.
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { elements: DEFAULT_EDGE_ELEMENTS, bytes: DEFAULT_EDGE_BYTES }
    }
}

/// What makes nodes and edges not a graph that can run. Indices are those of the arguments of [`Graph::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphError {
    /// There is no node.
    Empty,
    /// The two nodes have one name.
    SameName(usize, usize),
    /// The edge comes from an output that its node does not have.
    NoSuchOutput(usize),
    /// The edge goes to a source.
    IntoSource(usize),
    /// No edge goes to the node, and it is no source.
    NoInput(usize),
    /// No edge comes from this output of the node.
    Unconnected {
        /// The node.
        node: usize,
        /// Its output.
        output: usize,
    },
    /// The nodes send to one another in a circle, in this order.
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
    /// Checks that every element has somewhere to come from and to go to, and an end.
    ///
    /// # Errors
    ///
    /// The first problem found, in the order of [`GraphError`].
    ///
    /// # Panics
    ///
    /// Where an edge names a node that is not in `nodes`.
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

    /// The nodes from the sources to the sinks: every edge goes from an earlier to a later one.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The sources that elements of a node can come from, by index, in ascending order.
    pub fn sources_of(&self, node: usize) -> Vec<usize> {
        let mut leads = vec![false; self.nodes.len()];
        leads[node] = true;
        for &node in self.order.iter().rev() {
            leads[node] |= self.edges.iter().any(|edge| edge.from == node && leads[edge.to]);
        }
        (0..leads.len()).filter(|&node| leads[node] && self.nodes[node].role == Role::Source).collect()
    }
}

/// Kahn's algorithm; the nodes that stay behind hold a cycle.
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

/// Walks backwards from any node that still waits until one comes up again.
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
    fn tells_what_is_wrong_by_index() {
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
    fn tells_the_sources_of_a_node() {
        let mut nodes = chain();
        nodes.push(node("other", Role::Source, 1));
        let graph = Graph::new(nodes, vec![edge(1, 0, 0), edge(2, 0, 1), edge(3, 0, 0)]).unwrap();
        assert_eq!([0, 1, 2, 3].map(|node| graph.sources_of(node)), [vec![2, 3], vec![2], vec![2], vec![3]]);
    }

    #[test]
    fn names_the_nodes_of_a_cycle_in_order() {
        let mut nodes = chain();
        nodes.push(node("back", Role::Processor, 2));
        nodes[1].outputs = 1;
        let edges = vec![edge(2, 0, 1), edge(1, 0, 3), edge(3, 0, 1), edge(3, 1, 0)];
        assert_eq!(Graph::new(nodes, edges), Err(GraphError::Cycle(vec![1, 3])));
    }
}
