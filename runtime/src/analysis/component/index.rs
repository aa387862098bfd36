//! Proves that an index differs in each iteration of a loop.
//!
//! The index must be a local that changes by the same odd step in every iteration. Modulo 2^32, an odd step reaches
//! every number once before any number repeats, so no index repeats within 2^32 iterations. The number of iterations is
//! limited if each iteration makes a test that exits the loop, the tested value also changes by an odd step, and there
//! is a number at which the test exits whatever it compares with: the value reaches that number within 2^32 iterations.
//! A loop without such a test could continue after the end of the batch, wrap around and read the whole batch again.
//!
//! Compilers turn a loop whose iterations end in two ways into two nested loops. They count as one loop if the local
//! enters the inner loop unchanged, and every iteration of either ends with the inner loop's value changed by the step:
//! an iteration is then the code between two visits of the innermost head.

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
    /// For each node, the head of the outermost loop that contains it.
    heads: Vec<Option<u32>>,
    /// For each node, the head of the innermost loop that contains it.
    innermost: Vec<Option<u32>>,
    /// For the head of each loop, the head of the next outer loop.
    parents: HashMap<u32, Option<u32>>,
    /// The nodes of each outermost loop, in ascending order.
    members: BTreeMap<u32, Vec<u32>>,
    /// Whether the number of iterations is limited (see above), by the innermost head.
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
        // In ascending order of the heads, so that an outer loop comes before its inner loops.
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

    /// The head of the outermost loop that contains a node.
    pub(super) fn head(&self, node: u32) -> Option<u32> {
        self.heads.get(node as usize).copied().flatten()
    }

    /// The head whose visits start iterations in each of which `index` has a different value, and a call in `node` is
    /// made with that index at most once.
    pub(super) fn start(&self, node: u32, index: Value) -> Result<u32, &'static str> {
        let outermost = self.head(node).ok_or("a read is not in a loop")?;
        let loops =
            self.progression(outermost, index).ok_or("a read in a loop may use the same index in two iterations")?;
        if !self.innermost[node as usize].is_some_and(|innermost| loops.contains(&innermost)) {
            return Err("a read is in a nested loop");
        }
        let start = loops[0];
        let known = self.limited.borrow().get(&start).copied();
        let limited = known.unwrap_or_else(|| self.is_limited(outermost, start));
        self.limited.borrow_mut().insert(start, limited);
        if limited { Ok(start) } else { Err("a loop that reads cannot be proven to end") }
    }

    /// The heads of the loops, from the innermost to the outermost, in which a value changes by the same odd step in
    /// every iteration. `None` if it does not, or if the last loop is not `outermost`.
    fn progression(&self, outermost: u32, value: Value) -> Option<Vec<u32>> {
        let innermost = Value { plus: 0, ..value };
        let (mut entry, next) = self.values.progression(innermost)?;
        let Next::Is(moved) = next else { return None };
        if moved.symbol != innermost.symbol || moved.plus % 2 == 0 {
            return None;
        }
        let head = |value: Value| self.values.round(value).map(|number| self.values.loops[number].head);
        let mut heads = vec![head(innermost)?];
        while *heads.last()? != outermost {
            let outer = entry;
            let (before, next) = self.values.progression(outer)?;
            if outer.plus != 0 || next != Next::Is(moved) || heads.len() >= MAX_LOOPS {
                return None;
            }
            // No other loop between the two could restart the inner loop.
            let parent = self.parents.get(heads.last()?).copied().flatten()?;
            heads.push(head(outer).filter(|head| *head == parent)?);
            entry = before;
        }
        Some(heads)
    }

    /// Whether every iteration from `start` passes a node with a test as described above.
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
                // True at the greatest or the least number, whatever it is compared with.
                Compare::GeU | Compare::LeU | Compare::GeS | Compare::LeS => true,
                // True at the number it is compared with, or at all others: that number must be the same in each
                // iteration.
                Compare::Eq | Compare::Ne => same,
                Compare::LtU | Compare::LtS | Compare::GtU | Compare::GtS => false,
            };
            at_some_number && self.progression(outermost, moved).is_some_and(|heads| heads[0] == start)
        };
        ends(compare, a, b) || ends(compare.swapped(), b, a)
    }

    /// Whether a value is the same in every iteration of the outermost loop, whose symbols start at `first_symbol`: it
    /// is from before the loop, or of a local that is set only on exits from the loop (whose code may lie within the
    /// loop).
    fn is_same(&self, first_symbol: u32, value: Value) -> bool {
        let mut value = Value { plus: 0, ..value };
        for _ in 0..MAX_LOOPS {
            if value.symbol < first_symbol {
                return true;
            }
            match self.values.progression(value) {
                Some((entry, Next::Is(next))) if next == value => value = Value { plus: 0, ..entry },
                _ => return false,
            }
        }
        false
    }

    /// Whether every path from `start` back to `start` passes `test`.
    fn every_round_passes(&self, start: u32, members: &[u32], test: u32) -> bool {
        let mut reached: HashSet<u32> = HashSet::from([start]);
        // Within an iteration all paths lead forward, except inner loops, which end where they started or further on.
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

/// The most nested loops that may count as one.
const MAX_LOOPS: usize = 8;
/// The most tests of one loop that are examined.
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
