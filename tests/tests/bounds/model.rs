//! A model of a flow in which stages only copy: an independent count to compare bounds with.

use torvyn_runtime::contract::{Bound, Bounds};
use torvyn_runtime::pipeline::graph::{Graph, Role};
use torvyn_tests::random::Random;

/// A flow with more elements than this is given up.
const TOO_MANY: usize = 20_000;
/// How often something happens at most if there is no bound.
const UNBOUNDED: u64 = 4;

/// How stages behave.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Conduct {
    /// Anything within their bounds.
    Any,
    /// As much as their bounds allow, and everything goes to all outputs.
    Worst,
}

/// The result of a flow.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) entered: u64,
    pub(crate) entered_bytes: u64,
    pub(crate) copies: u64,
    pub(crate) copied_bytes: u64,
    /// The most copies of an element on its path.
    pub(crate) path: u64,
    /// For each edge, the number of elements, and of those that a stage wrote.
    pub(crate) edges: Vec<(u64, u64)>,
}

#[derive(Clone, Copy)]
struct Element {
    bytes: u64,
    written: bool,
    /// Copies on its path so far.
    path: u64,
}

struct Model<'a> {
    graph: &'a Graph,
    random: &'a mut Random,
    conduct: Conduct,
    measured: Measured,
    /// The elements that wait for each node.
    waiting: Vec<Vec<Element>>,
}

/// Runs the flow. `None` if it has too many elements.
pub(crate) fn run(random: &mut Random, graph: &Graph, nodes: &[Option<Bounds>], conduct: Conduct) -> Option<Measured> {
    let measured = Measured { edges: vec![(0, 0); graph.edges().len()], ..Measured::default() };
    let waiting = vec![Vec::new(); nodes.len()];
    let mut model = Model { graph, random, conduct, measured, waiting };
    for &node in graph.order() {
        if graph.nodes()[node].role == Role::Source {
            model.make(node, nodes[node].is_some());
        } else {
            model.take(node, nodes[node]);
        }
        if model.measured.edges.iter().map(|edge| edge.0).sum::<u64>() > TOO_MANY as u64 {
            return None;
        }
    }
    Some(model.measured)
}

impl Model<'_> {
    /// A number from 0 to the bound, or exactly the bound.
    fn times(&mut self, bound: Bound) -> u64 {
        let most = bound.max.map_or(UNBOUNDED, u64::from);
        if bound.exact || self.conduct == Conduct::Worst { most } else { self.random.from(0, most) }
    }

    fn copy(&mut self, bytes: u64) {
        self.measured.copies += 1;
        self.measured.copied_bytes += bytes;
    }

    fn make(&mut self, node: usize, component: bool) {
        for _ in 0..self.random.from(1, 4) {
            let bytes = self.random.from(0, 100);
            self.measured.entered += 1;
            self.measured.entered_bytes += bytes;
            if component {
                self.copy(bytes);
                let outputs = self.outputs(node);
                self.send(node, Element { bytes, written: true, path: 1 }, outputs);
            } else {
                self.send(node, Element { bytes, written: false, path: 0 }, 1);
            }
        }
    }

    fn take(&mut self, node: usize, bounds: Option<Bounds>) {
        let elements = std::mem::take(&mut self.waiting[node]);
        let processes = self.graph.nodes()[node].role == Role::Processor;
        // What may still be written for elements that arrived before.
        let mut left = 0;
        let mut last = None;
        for mut element in elements {
            if let Some(bounds) = bounds {
                for _ in 0..self.times(bounds.reads) {
                    let all = self.conduct == Conduct::Worst;
                    let bytes = if all { element.bytes } else { self.random.from(0, element.bytes) };
                    self.copy(bytes);
                    element.path += 1;
                }
            }
            self.measured.path = self.measured.path.max(element.path);
            let Some(bounds) = bounds.filter(|_| processes) else { continue };
            left += self.times(bounds.writes);
            let now = if self.random.once_in(2) { left } else { self.random.from(0, left) };
            let outputs = self.outputs(node);
            self.send(node, element, outputs);
            (0..now).for_each(|_| self.write(node, element));
            left -= now;
            last = Some(element);
        }
        if let Some(element) = last {
            (0..left).for_each(|_| self.write(node, element));
        }
    }

    fn write(&mut self, node: usize, from: Element) {
        let bytes = self.random.from(0, 1000);
        self.copy(bytes);
        let outputs = self.outputs(node);
        self.send(node, Element { bytes, written: true, path: from.path + 1 }, outputs);
    }

    /// Some of the outputs of a component, perhaps none.
    fn outputs(&mut self, node: usize) -> u64 {
        let all = (1 << self.graph.nodes()[node].outputs) - 1;
        if self.conduct == Conduct::Worst { all } else { self.random.from(0, all) }
    }

    fn send(&mut self, node: usize, element: Element, outputs: u64) {
        self.measured.path = self.measured.path.max(element.path);
        let edges = self.graph.edges().iter().zip(&mut self.measured.edges);
        for (edge, carried) in edges.filter(|(edge, _)| edge.from == node && outputs & (1 << edge.output) != 0) {
            carried.0 += 1;
            carried.1 += u64::from(element.written);
            self.waiting[edge.to].push(element);
        }
    }
}
