//! Loops in which an index is never the same in two rounds.
//!
//! The index is a local that is moved by the same odd step in every round. Modulo 2^32 an odd step meets every number
//! once before it meets one again: so no index repeats as long as there are at most 2^32 rounds. That holds where each
//! round makes a test that ends the loop, and the test is of a value that is moved by an odd step too, and there is a
//! number at which it ends the loop whatever it is compared with: within 2^32 rounds the value meets that number. A loop
//! without such a test could go on after the end of the batch, wrap around and read it all again.

use std::collections::{BTreeMap, HashSet};

use super::control::{Edge, Graph, When};
use super::values::{Compare, Step, Value, Values};

/// The loops of a function that are in no other loop.
pub(super) struct Rounds<'g> {
    graph: &'g Graph,
    values: &'g Values,
    out: Adjacent,
    /// For each node the head of the outermost loop it is in.
    heads: Vec<Option<u32>>,
    /// For each node, whether it is in a loop within that loop.
    inner: Vec<bool>,
    /// For each node that is the head of an outermost loop, whether the number of its rounds is limited as said above.
    limited: Vec<bool>,
}

impl<'g> Rounds<'g> {
    pub(super) fn of(graph: &'g Graph, values: &'g Values, live: &[bool]) -> Rounds<'g> {
        let nodes = graph.nodes.len();
        let alive = |node: u32| live.get(node as usize).copied().unwrap_or(false);
        let mut heads: Vec<Option<u32>> = vec![None; nodes];
        let mut inner = vec![false; nodes];
        let mut back: Vec<(u32, u32)> = graph
            .edges
            .iter()
            .filter(|edge| edge.to <= edge.from && alive(edge.from))
            .map(|edge| (edge.to, edge.from))
            .collect();
        back.sort_unstable();
        let before = Adjacent::of(graph, |edge| edge.to);
        // The heads in ascending order, so that an outer loop comes before those within it.
        for of_head in back.chunk_by(|a, b| a.0 == b.0) {
            let head = of_head[0].0;
            if inner[head as usize] {
                continue;
            }
            let outermost = heads[head as usize].is_none();
            let mut waiting: Vec<u32> = of_head.iter().map(|(_, from)| *from).collect();
            waiting.push(head);
            let mut mark = |node: u32| {
                if outermost {
                    heads[node as usize].replace(head).is_none()
                } else {
                    !std::mem::replace(&mut inner[node as usize], true)
                }
            };
            mark(head);
            while let Some(node) = waiting.pop() {
                if node != head && mark(node) {
                    waiting.extend(
                        before.of_node(graph, node).map(|edge| edge.from).filter(|from| *from >= head && alive(*from)),
                    );
                }
            }
        }
        let out = Adjacent::of(graph, |edge| edge.from);
        let mut rounds = Rounds { graph, values, out, heads, inner, limited: vec![false; nodes] };
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (node, head) in (0..).zip(&rounds.heads) {
            head.iter().for_each(|head| members.entry(*head).or_default().push(node));
        }
        for (head, members) in members {
            rounds.limited[head as usize] = rounds.is_limited(head, &members);
        }
        rounds
    }

    /// The head of the outermost loop that a node is in.
    pub(super) fn head(&self, node: u32) -> Option<u32> {
        self.heads.get(node as usize).copied().flatten()
    }

    /// Whether a node in a loop is passed once a round, and the rounds are limited.
    pub(super) fn check(&self, node: u32) -> Result<(), &'static str> {
        if self.inner[node as usize] {
            return Err("a read is in a loop within a loop");
        }
        match self.head(node) {
            Some(head) if !self.limited[head as usize] => Err("a loop that reads has no end that can be proven"),
            _ => Ok(()),
        }
    }

    /// Whether an index is another one in each round of the loop with this head.
    pub(super) fn check_index(&self, head: u32, index: Value) -> Result<(), &'static str> {
        if self.is_of(head, index) && self.moves_oddly(index) {
            Ok(())
        } else {
            Err("a read in a loop is at an index that may be the same in two rounds")
        }
    }

    fn is_of(&self, head: u32, value: Value) -> bool {
        self.values.round(value).is_some_and(|number| self.values.loops[number].head == head)
    }

    fn moves_oddly(&self, value: Value) -> bool {
        matches!(self.values.step_of(value), Step::By(step) if step % 2 == 1)
    }

    /// Whether some node that every round passes has a test as described above.
    fn is_limited(&self, head: u32, members: &[u32]) -> bool {
        let loops = &self.values.loops;
        let Ok(number) = loops.binary_search_by_key(&head, |of| of.head) else { return false };
        let tests = members.iter().filter(|node| self.ends_the_loop(head, loops[number].first, **node));
        tests.take(MAX_TESTS).any(|test| self.every_round_passes(head, members, *test))
    }

    fn ends_the_loop(&self, head: u32, first_symbol: u32, node: u32) -> bool {
        let Some(condition) = self.graph.nodes[node as usize].condition else { return false };
        let stays = |when: When| {
            self.out.of_node(self.graph, node).any(|edge| edge.when == when && self.head(edge.to) == Some(head))
        };
        let (compare, a, b) = self.values.comparison(condition);
        let compare = match (stays(When::Holds), stays(When::Fails)) {
            (false, true) => compare,
            (true, false) => compare.negated(),
            _ => return false,
        };
        let ends = |compare: Compare, moved: Value, other: Value| {
            let same = other.symbol < first_symbol;
            let at_some_number = match compare {
                // True at the greatest or the least number, whatever that is compared with.
                Compare::GeU | Compare::LeU | Compare::GeS | Compare::LeS => true,
                // True at the number it is compared with, or at all others: it must be the same one in each round.
                Compare::Eq | Compare::Ne => same,
                Compare::LtU | Compare::LtS | Compare::GtU | Compare::GtS => false,
            };
            at_some_number && self.is_of(head, moved) && self.moves_oddly(moved)
        };
        ends(compare, a, b) || ends(compare.exchanged(), b, a)
    }

    /// Whether the head cannot be reached again without passing `test`.
    fn every_round_passes(&self, head: u32, members: &[u32], test: u32) -> bool {
        let mut reached: HashSet<u32> = HashSet::from([head]);
        // Within a round the way leads forward but for inner loops, which end where they began or further on.
        for &node in members.iter().filter(|node| **node != test) {
            if !reached.contains(&node) {
                continue;
            }
            for edge in self.out.of_node(self.graph, node) {
                if edge.to == head {
                    return false;
                }
                reached.insert(edge.to);
            }
        }
        true
    }
}

/// Tests of one loop that are looked at.
const MAX_TESTS: usize = 16;

/// The edges at each node.
struct Adjacent {
    first: Vec<usize>,
    edges: Vec<usize>,
}

impl Adjacent {
    fn of(graph: &Graph, end: impl Fn(&Edge) -> u32) -> Adjacent {
        let nodes = graph.nodes.len();
        let known = || (0..).zip(&graph.edges).filter(|(_, edge)| (edge.to as usize) < nodes);
        let mut first = vec![0; nodes + 1];
        known().for_each(|(_, edge)| first[end(edge) as usize + 1] += 1);
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let mut place = first.clone();
        let mut edges = vec![0; first[nodes]];
        for (number, edge) in known() {
            let place = &mut place[end(edge) as usize];
            edges[*place] = number;
            *place += 1;
        }
        Adjacent { first, edges }
    }

    fn of_node<'g>(&self, graph: &'g Graph, node: u32) -> impl Iterator<Item = &'g Edge> {
        self.edges[self.first[node as usize]..self.first[node as usize + 1]].iter().map(|edge| &graph.edges[*edge])
    }
}
