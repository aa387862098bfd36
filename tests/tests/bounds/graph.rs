//! Random graphs.

use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_tests::random::Random;

/// A graph of nodes of these roles and outputs, sources first and sinks last: each output goes somewhere, often to
/// several nodes, and something comes to each node.
pub(crate) fn random(random: &mut Random, nodes: &[(Role, usize)]) -> Graph {
    let sources = nodes.iter().filter(|(role, _)| *role == Role::Source).count() as u64;
    let sinks = nodes.iter().filter(|(role, _)| *role == Role::Sink).count() as u64;
    let count = nodes.len() as u64;
    let after = |random: &mut Random, node: usize| random.from(sources.max(node as u64 + 1), count - 1) as usize;
    let mut edges = Vec::new();
    for (from, &(_, outputs)) in nodes.iter().enumerate() {
        for output in 0..outputs {
            edges.push((from, output, after(random, from)));
            while random.once_in(4) {
                edges.push((from, output, after(random, from)));
            }
        }
    }
    for to in sources as usize..nodes.len() {
        if !edges.iter().any(|edge| edge.2 == to) {
            let from = random.from(0, (to as u64).min(count - sinks) - 1) as usize;
            let output = random.from(0, nodes[from].1 as u64 - 1) as usize;
            edges.push((from, output, to));
        }
    }
    let named = nodes.iter().enumerate();
    let nodes = named.map(|(index, &(role, outputs))| Node::new(index.to_string(), role, outputs)).collect();
    let mut edge = |(from, output, to)| {
        let elements = random.from(1, 64) as usize;
        Edge { from, output, to, capacity: Capacity { elements, ..Capacity::default() } }
    };
    Graph::new(nodes, edges.into_iter().map(&mut edge).collect()).expect("the graph is in order")
}
