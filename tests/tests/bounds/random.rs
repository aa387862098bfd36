//! Reproducible random numbers, and random graphs.

use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};

/// SplitMix64, after Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most`, both included.
    pub(crate) fn from(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True once in `times` times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    pub(crate) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.from(0, choices.len() as u64 - 1) as usize]
    }
}

/// A graph of nodes with these roles and outputs, sources first and sinks last. Each output leads somewhere, often to
/// several nodes, and each node has an input.
pub(crate) fn graph(random: &mut Random, nodes: &[(Role, usize)]) -> Graph {
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
