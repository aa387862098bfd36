//! Loops in which an index is never the same in two rounds.
//!
//! The index is a local that is moved by the same odd step in every round. Modulo 2^32 an odd step meets every number
//! once before it meets one again: so no index repeats as long as there are at most 2^32 rounds. That holds where each
//! round makes a test that ends the loop, and the test is of a value that is moved by an odd step too, and there is a
//! number at which it ends the loop whatever it is compared with: within 2^32 rounds the value meets that number. A
//! loop without such a test could go on after the end of the batch, wrap around and read it all again.
//!
//! Compilers make two loops, one within the other, of one whose rounds end in two ways. They count as one loop where
//! the local goes into the inner loop as it is, and every round of either ends with the inner loop's value moved by the
//! step: then a round is what lies between two visits of the innermost head.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::control::{Edge, Graph, When};
use super::limits::MAX_VALUES;
use super::values::{Compare, Next, Value, Values};

/// The loops of a function.
pub(super) struct Rounds<'g> {
    graph: &'g Graph,
    values: &'g Values,
    out: Adjacent,
    /// For each node the head of the outermost loop it is in.
    heads: Vec<Option<u32>>,
    /// For each node the head of the innermost loop it is in.
    innermost: Vec<Option<u32>>,
    /// For the head of each loop that of the next outer one.
    parents: HashMap<u32, Option<u32>>,
    /// For each outermost loop its nodes, in ascending order.
    members: BTreeMap<u32, Vec<u32>>,
    /// Whether the number of rounds is limited as said above, by the innermost head.
    limited: RefCell<HashMap<u32, bool>>,
}

impl<'g> Rounds<'g> {
    pub(super) fn of(graph: &'g Graph, values: &'g Values, live: &[bool]) -> Result<Rounds<'g>, &'static str> {
        let nodes = graph.nodes.len();
        let alive = |node: u32| live.get(node as usize).copied().unwrap_or(false);
        let mut heads: Vec<Option<u32>> = vec![None; nodes];
        let mut innermost: Vec<Option<u32>> = vec![None; nodes];
        let mut back: Vec<(u32, u32)> = graph
            .edges
            .iter()
            .filter(|edge| edge.to <= edge.from && alive(edge.from))
            .map(|edge| (edge.to, edge.from))
            .collect();
        back.sort_unstable();
        let before = Adjacent::of(graph, |edge| edge.to);
        let mut parents = HashMap::new();
        let mut budget = MAX_VALUES;
        // The heads in ascending order, so that an outer loop comes before those within it.
        for of_head in back.chunk_by(|a, b| a.0 == b.0) {
            let head = of_head[0].0;
            parents.insert(head, innermost[head as usize]);
            let mut waiting: Vec<u32> = of_head.iter().map(|(_, from)| *from).collect();
            waiting.push(head);
            while let Some(node) = waiting.pop() {
                if innermost[node as usize].replace(head) == Some(head) {
                    continue;
                }
                heads[node as usize].get_or_insert(head);
                let entering = before.of_node(graph, node).map(|edge| edge.from);
                let length = waiting.len();
                waiting.extend(entering.filter(|from| node != head && *from >= head && alive(*from)));
                budget = budget.saturating_sub(1 + waiting.len() - length);
                if budget == 0 {
                    return Err("loops are nested too deeply");
                }
            }
        }
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (node, head) in (0..).zip(&heads) {
            head.iter().for_each(|head| members.entry(*head).or_default().push(node));
        }
        let out = Adjacent::of(graph, |edge| edge.from);
        Ok(Rounds { graph, values, out, heads, innermost, parents, members, limited: RefCell::default() })
    }

    /// The head of the outermost loop that a node is in.
    pub(super) fn head(&self, node: u32) -> Option<u32> {
        self.heads.get(node as usize).copied().flatten()
    }

    /// The head whose visits begin the rounds in which `index` takes another value each, where a call in `node` is made
    /// at that index at most once a round.
    pub(super) fn start(&self, node: u32, index: Value) -> Result<u32, &'static str> {
        let outermost = self.head(node).ok_or("a read is not in a loop")?;
        let loops = self.course(outermost, index).ok_or("a read in a loop may use the same index in two iterations")?;
        if !self.innermost[node as usize].is_some_and(|innermost| loops.contains(&innermost)) {
            return Err("a read is in a nested loop");
        }
        let start = loops[0];
        let known = self.limited.borrow().get(&start).copied();
        let limited = known.unwrap_or_else(|| self.is_limited(outermost, start));
        self.limited.borrow_mut().insert(start, limited);
        if limited { Ok(start) } else { Err("a loop that reads cannot be proven to end") }
    }

    /// The heads of the loops, from the innermost to the outermost, in whose every round a value is moved by the same
    /// odd step; `None` where it is not, or the last is not `outermost`.
    fn course(&self, outermost: u32, value: Value) -> Option<Vec<u32>> {
        let innermost = Value { plus: 0, ..value };
        let (mut entry, next) = self.values.course(innermost)?;
        let Next::Is(moved) = next else { return None };
        if moved.symbol != innermost.symbol || moved.plus % 2 == 0 {
            return None;
        }
        let head = |value: Value| self.values.round(value).map(|number| self.values.loops[number].head);
        let mut heads = vec![head(innermost)?];
        while *heads.last()? != outermost {
            let outer = entry;
            let (before, next) = self.values.course(outer)?;
            if outer.plus != 0 || next != Next::Is(moved) || heads.len() >= MAX_LOOPS {
                return None;
            }
            // No loop lies between the two that could begin the inner one anew.
            let parent = self.parents.get(heads.last()?).copied().flatten()?;
            heads.push(head(outer).filter(|head| *head == parent)?);
            entry = before;
        }
        Some(heads)
    }

    /// Whether some node that every round from `start` on passes has a test as described above.
    fn is_limited(&self, outermost: u32, start: u32) -> bool {
        let loops = &self.values.loops;
        let Ok(number) = loops.binary_search_by_key(&outermost, |of| of.head) else { return false };
        let Some(members) = self.members.get(&outermost) else { return false };
        let tests = members.iter().filter(|node| self.ends_the_loop(outermost, start, loops[number].first, **node));
        tests.take(MAX_TESTS).any(|test| self.every_round_passes(start, members, *test))
    }

    fn ends_the_loop(&self, outermost: u32, start: u32, first_symbol: u32, node: u32) -> bool {
        let Some(condition) = self.graph.nodes[node as usize].condition else { return false };
        let stays = |when: When| {
            self.out.of_node(self.graph, node).any(|edge| edge.when == when && self.head(edge.to) == Some(outermost))
        };
        let (compare, a, b) = self.values.comparison(condition);
        let compare = match (stays(When::Holds), stays(When::Fails)) {
            (false, true) => compare,
            (true, false) => compare.negated(),
            _ => return false,
        };
        let ends = |compare: Compare, moved: Value, other: Value| {
            let same = self.is_same(first_symbol, other);
            let at_some_number = match compare {
                // True at the greatest or the least number, whatever that is compared with.
                Compare::GeU | Compare::LeU | Compare::GeS | Compare::LeS => true,
                // True at the number it is compared with, or at all others: it must be the same one in each round.
                Compare::Eq | Compare::Ne => same,
                Compare::LtU | Compare::LtS | Compare::GtU | Compare::GtS => false,
            };
            at_some_number && self.course(outermost, moved).is_some_and(|heads| heads[0] == start)
        };
        ends(compare, a, b) || ends(compare.exchanged(), b, a)
    }

    /// Whether a value is the same in every round of the outermost loop, whose symbols begin with `first_symbol`: it is
    /// from before it, or of a local that only ways out of the loop set. Those stand among the code of the loop.
    fn is_same(&self, first_symbol: u32, value: Value) -> bool {
        let mut value = Value { plus: 0, ..value };
        for _ in 0..MAX_LOOPS {
            if value.symbol < first_symbol {
                return true;
            }
            match self.values.course(value) {
                Some((entry, Next::Is(next))) if next == value => value = Value { plus: 0, ..entry },
                _ => return false,
            }
        }
        false
    }

    /// Whether no way leads from `start` back to it without passing `test`.
    fn every_round_passes(&self, start: u32, members: &[u32], test: u32) -> bool {
        let mut reached: HashSet<u32> = HashSet::from([start]);
        // Within a round the way leads forward but for inner loops, which end where they began or further on.
        for &node in members.iter().filter(|node| **node >= start && **node != test) {
            if !reached.contains(&node) {
                continue;
            }
            for edge in self.out.of_node(self.graph, node) {
                if edge.to <= start {
                    return false;
                }
                reached.insert(edge.to);
            }
        }
        true
    }
}

/// Loops within one another that may count as one.
const MAX_LOOPS: usize = 8;
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
