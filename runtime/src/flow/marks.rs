//! Marks tell inputs what was delivered.
//!
//! A mark is a number that follows the elements of an input through the flow, for inputs that want to know when their elements
//! are delivered. It stands on every edge behind the elements that were sent before it. A node passes it on once everything it
//! took before the mark has been sent, dropped or kept; an output passes it once it has settled what was pushed before. When the
//! last output has passed a mark, everything that the inputs gave before it is delivered.
//!
//! Elements know nothing of marks: a mark costs what a batch costs, whatever the batch holds, and a flow whose inputs want to
//! know nothing has none. Elements may overtake a mark, which then says less than it could: that is always true, only late.

use std::collections::VecDeque;
use std::iter;

use crate::error::Error;
use crate::flow::edge::Edge;
use crate::flow::node::Node;
use crate::pipeline::graph::{self, Graph};

/// The most marks under way. Then none is issued until one has arrived, which then stands for all that was given meanwhile.
const UNDER_WAY: u64 = 256;

/// The marks of a flow.
pub(crate) struct Marks {
    /// The last mark that was issued; marks are numbered from 1.
    issued: u64,
    /// The last mark that has passed everything.
    arrived: u64,
    /// The inputs that want to know.
    inputs: Vec<MarkedInput>,
    /// Nodes in the order of the flow, sources first.
    nodes: Vec<MarkedNode>,
    /// For each edge, the marks on it, with how many elements were sent there before each.
    edges: Vec<VecDeque<Mark>>,
}

/// A mark at a place.
#[derive(Clone, Copy)]
struct Mark {
    number: u64,
    /// How many elements passed this place before it.
    elements: u64,
}

struct MarkedInput {
    node: usize,
    /// How many elements it had given at the last mark.
    marked: u64,
    /// How many elements it had given at each mark under way.
    given: VecDeque<Mark>,
}

struct MarkedNode {
    node: usize,
    incoming: Vec<usize>,
    outgoing: Vec<usize>,
    /// The marks that have reached the node, with how many elements it had taken when they did.
    reached: VecDeque<Mark>,
    /// The last mark that the node has passed on.
    passed: u64,
}

impl Marks {
    /// The marks of a flow in which an input wants to know what is delivered.
    pub(crate) fn new(graph: &Graph, nodes: &[Node]) -> Option<Marks> {
        let wanting = nodes.iter().enumerate().filter(|(_, node)| node.wants_acknowledgement());
        let inputs: Vec<_> = wanting.map(|(node, _)| MarkedInput { node, marked: 0, given: VecDeque::new() }).collect();
        let edges = |is_meant: &dyn Fn(&graph::Edge) -> bool| {
            let edges = graph.edges().iter().enumerate().filter(|(_, edge)| is_meant(edge));
            edges.map(|(index, _)| index).collect()
        };
        let marked = |&node: &usize| MarkedNode {
            node,
            incoming: edges(&|edge| edge.to == node),
            outgoing: edges(&|edge| edge.from == node),
            reached: VecDeque::new(),
            passed: 0,
        };
        (!inputs.is_empty()).then(|| Marks {
            issued: 0,
            arrived: 0,
            inputs,
            nodes: graph.order().iter().map(marked).collect(),
            edges: vec![VecDeque::new(); graph.edges().len()],
        })
    }

    /// Issues a mark if there is something to mark, and moves all marks as far as they can.
    ///
    /// # Errors
    ///
    /// The failure of an output that cannot settle what was pushed, or of an input.
    pub(crate) fn advance(&mut self, nodes: &mut [Node], edges: &[Edge]) -> Result<(), Error> {
        self.issue(nodes);
        if self.arrived == self.issued {
            return Ok(());
        }
        for marked in &mut self.nodes {
            marked.reach(self.issued, &nodes[marked.node], edges, &mut self.edges);
            marked.pass(&mut nodes[marked.node], edges, &mut self.edges)?;
        }
        let ends = self.nodes.iter().filter(|node| node.outgoing.is_empty());
        let arrived = ends.map(|node| node.passed).min().unwrap_or(self.issued);
        if arrived == self.arrived {
            return Ok(());
        }
        self.arrived = arrived;
        for input in &mut self.inputs {
            if let Some(mark) = last_of(&mut input.given, |mark| mark.number <= arrived) {
                nodes[input.node].acknowledge(mark.elements)?;
            }
        }
        Ok(())
    }

    fn issue(&mut self, nodes: &[Node]) {
        let has_given = |input: &MarkedInput| nodes[input.node].entered() > input.marked;
        if self.issued - self.arrived < UNDER_WAY && self.inputs.iter().any(has_given) {
            self.issued += 1;
            for input in &mut self.inputs {
                input.marked = nodes[input.node].entered();
                input.given.push_back(Mark { number: self.issued, elements: input.marked });
            }
        }
    }

    /// Tells every input that all its elements are delivered, because the flow has ended and its outputs are complete.
    ///
    /// # Errors
    ///
    /// The failure of an input.
    pub(crate) fn complete(&self, nodes: &mut [Node]) -> Result<(), Error> {
        self.inputs.iter().try_for_each(|input| {
            let node = &mut nodes[input.node];
            node.acknowledge(node.entered())
        })
    }
}

impl MarkedNode {
    /// Notes the marks that have reached the node: everything before them was taken from all its edges.
    fn reach(&mut self, issued: u64, node: &Node, edges: &[Edge], marks: &mut [VecDeque<Mark>]) {
        let mut newest = issued;
        for &edge in &self.incoming {
            let taken = edges[edge].taken();
            let marks = &mut marks[edge];
            // The last one that was passed stays: it says how far this edge is.
            while marks.get(1).is_some_and(|mark| mark.elements <= taken) {
                marks.pop_front();
            }
            let first = marks.front().filter(|mark| mark.elements <= taken);
            newest = newest.min(first.map_or(0, |mark| mark.number));
        }
        if newest > self.reached.back().map_or(self.passed, |mark| mark.number) {
            self.reached.push_back(Mark { number: newest, elements: node.taken() });
        }
    }

    /// Passes on the marks before which the node holds nothing.
    fn pass(&mut self, node: &mut Node, edges: &[Edge], marks: &mut [VecDeque<Mark>]) -> Result<(), Error> {
        if self.reached.is_empty() || node.has_unsent() {
            return Ok(());
        }
        let finished = node.finished_up_to();
        let Some(mark) = last_of(&mut self.reached, |mark| mark.elements <= finished) else { return Ok(()) };
        if !node.settle()? {
            self.reached.push_front(mark);
            return Ok(());
        }
        self.passed = mark.number;
        for &edge in &self.outgoing {
            marks[edge].push_back(Mark { number: mark.number, elements: edges[edge].sent() });
        }
        Ok(())
    }
}

/// Removes the first marks that a condition holds for, and returns the last of them.
fn last_of(marks: &mut VecDeque<Mark>, is_meant: impl Fn(&Mark) -> bool) -> Option<Mark> {
    iter::from_fn(|| marks.pop_front_if(|mark| is_meant(mark))).last()
}
