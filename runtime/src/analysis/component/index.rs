//! Proves that an index differs in each iteration of a loop.
//!
//! The index must be a local that changes by the same odd step in every iteration. Modulo 2^32, an odd step reaches
//! every number once before any number repeats, so no index repeats within 2^32 iterations. The number of iterations is
//! limited if each iteration makes a test that exits the loop, the tested value also changes by an odd step, and there
//! is a number at which the test exits whatever it compares with: the value reaches that number within 2^32 iterations.
//! A loop without such a test could continue after the end of the batch, wrap around and read the whole batch again.
//!
//! Compilers also move the first iterations of a loop before it. Such an iteration reads at the index that the loop would
//! reach last of all, after 2^32 iterations without a few. It differs from the indices in the loop if the number at which
//! the test exits is reached before: if that number is known to be none of the few that are tested last.
//!
//! Compilers turn a loop whose iterations end in two ways into two nested loops. They count as one loop if the local
//! enters the inner loop unchanged, and every iteration of either ends with the inner loop's value changed by the step:
//! an iteration is then the code between two visits of the innermost head.

use std::cell::{Cell, RefCell};
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
    /// How many nodes may still be visited to show that indices differ.
    visits: Cell<usize>,
}

/// A value that changes by the same odd step in every iteration.
struct Progression {
    /// The heads of the loops, from the innermost to the outermost.
    heads: Vec<u32>,
    /// The value in the first iteration.
    first: Value,
    step: u32,
}

/// A test that exits the outermost loop when a value that changes by an odd step has reached some number.
struct Test {
    /// The comparison that exits, of `moved` with `other`.
    exits: Compare,
    moved: Value,
    other: Value,
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
        let (limited, visits) = (RefCell::default(), Cell::new(nodes.saturating_mul(MAX_VISITS)));
        Ok(Rounds { graph, values, out, heads, innermost, parents, members, limited, visits })
    }

    /// The head of the outermost loop that contains a node.
    pub(super) fn head(&self, node: u32) -> Option<u32> {
        self.heads.get(node as usize).copied().flatten()
    }

    /// The head whose visits start iterations in each of which `index` has a different value, and a call in `node` is
    /// made with that index at most once.
    pub(super) fn start(&self, node: u32, index: Value) -> Result<u32, &'static str> {
        let outermost = self.head(node).ok_or("a read is not in a loop")?;
        let Progression { heads: loops, .. } =
            self.progression(outermost, index).ok_or("a read in a loop may use the same index in two iterations")?;
        if !self.innermost[node as usize].is_some_and(|innermost| loops.contains(&innermost)) {
            return Err("a read is in a nested loop");
        }
        let start = loops[0];
        let known = self.limited.borrow().get(&start).copied();
        let limited = known.unwrap_or_else(|| self.tests(outermost, start).next().is_some());
        self.limited.borrow_mut().insert(start, limited);
        if limited { Ok(start) } else { Err("a loop that reads cannot be proven to end") }
    }

    /// Whether `index`, with which the iterations from `start` read, never has the value `other`, with which a call
    /// outside loops reads.
    pub(super) fn differs(&self, start: u32, index: Value, other: Value) -> bool {
        let Some(outermost) = self.head(start) else { return false };
        let Some(Progression { first, step, .. }) = self.progression(outermost, index) else { return false };
        let before = |steps: u32| Value { plus: first.plus.wrapping_sub(step.wrapping_mul(steps)), ..first };
        let Some(steps) = (1..=MAX_BEFORE).find(|steps| before(*steps) == other) else { return false };
        let nodes = self.members.get(&outermost).map_or(0, Vec::len);
        self.visit(nodes.saturating_mul(MAX_TESTS))
            && self.tests(outermost, start).any(|test| self.ends_before(outermost, &test, steps))
    }

    fn visit(&self, nodes: usize) -> bool {
        let rest = self.visits.get().checked_sub(nodes);
        self.visits.set(rest.unwrap_or(0));
        rest.is_some()
    }

    /// Whether a loop that makes this test in every iteration makes fewer than 2^32 - `steps` iterations.
    fn ends_before(&self, outermost: u32, test: &Test, steps: u32) -> bool {
        let Some(Progression { first, step, .. }) = self.progression(outermost, test.moved) else { return false };
        let last = match test.exits {
            // In the first iteration or in the second.
            Compare::Ne => return true,
            Compare::Eq => self.before_loop(outermost, test.other),
            Compare::GeU => Some(Value::constant(u32::MAX)),
            Compare::LeU => Some(Value::constant(0)),
            Compare::GeS => Some(Value::constant(i32::MAX as u32)),
            Compare::LeS => Some(Value::constant(i32::MIN as u32)),
            Compare::LtU | Compare::LtS | Compare::GtU | Compare::GtS => None,
        };
        last.is_some_and(|last| {
            (1..=steps).all(|steps| {
                let tested = Value { plus: first.plus.wrapping_sub(step.wrapping_mul(steps)), ..first };
                self.are_unequal(last, tested, outermost)
            })
        })
    }

    /// Whether two values from before the loop are unequal whenever its head is reached.
    fn are_unequal(&self, a: Value, b: Value, head: u32) -> bool {
        if a.symbol == b.symbol {
            return a.plus != b.plus;
        }
        if !self.visit(head as usize) {
            return false;
        }
        // Unequal values stay unequal when the same number is added to both.
        let is_pair = |x: Value, y: Value| {
            let same_symbols = (x.symbol, y.symbol) == (a.symbol, b.symbol);
            same_symbols && x.plus.wrapping_sub(a.plus) == y.plus.wrapping_sub(b.plus)
        };
        let outside = (0..head).filter(|node| self.head(*node).is_none());
        let conditions = outside.filter_map(|node| self.graph.nodes[node as usize].condition.map(|of| (node, of)));
        let mut compared = conditions.filter_map(|(node, condition)| {
            let (compare, x, y) = self.values.comparison(condition);
            match compare {
                _ if !is_pair(x, y) && !is_pair(y, x) => None,
                Compare::Ne => Some((node, When::Holds)),
                Compare::Eq => Some((node, When::Fails)),
                _ => None,
            }
        });
        compared.any(|(node, when)| self.visit(head as usize) && self.only_by(node, when, head))
    }

    /// Whether every path from the entry to `head` leaves `node` by an edge that is taken `when`.
    fn only_by(&self, node: u32, when: When, head: u32) -> bool {
        let mut reached: HashSet<u32> = HashSet::from([0]);
        for at in 0..head {
            if reached.contains(&at) {
                let edges = self.out.of_node(self.graph, at).filter(|edge| edge.from != node || edge.when != when);
                reached.extend(edges.map(|edge| edge.to));
            }
        }
        !reached.contains(&head)
    }

    /// How a value changes by the same odd step in every iteration. `None` if it does not, or if the last of the loops is
    /// not `outermost`.
    fn progression(&self, outermost: u32, value: Value) -> Option<Progression> {
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
        let first = Value { plus: entry.plus.wrapping_add(value.plus), ..entry };
        Some(Progression { heads, first, step: moved.plus })
    }

    /// The tests as described above that every iteration from `start` makes.
    fn tests(&self, outermost: u32, start: u32) -> impl Iterator<Item = Test> {
        let members = self.members.get(&outermost).map_or(&[][..], Vec::as_slice);
        let tests = members.iter().filter_map(move |node| Some((*node, self.test(outermost, start, *node)?)));
        let made = tests.take(MAX_TESTS).filter(move |(node, _)| self.every_round_passes(start, members, *node));
        made.map(|(_, test)| test)
    }

    /// The test at the end of a node, if it ends the loop as described above.
    fn test(&self, outermost: u32, start: u32, node: u32) -> Option<Test> {
        let condition = self.graph.nodes[node as usize].condition?;
        let stays = |when: When| {
            self.out.of_node(self.graph, node).any(|edge| edge.when == when && self.head(edge.to) == Some(outermost))
        };
        let (compare, a, b) = self.values.comparison(condition);
        let compare = match (stays(When::Holds), stays(When::Fails)) {
            (false, true) => compare,
            (true, false) => compare.negated(),
            _ => return None,
        };
        let ends = |exits: Compare, moved: Value, other: Value| {
            let at_some_number = match exits {
                // True at the greatest or the least number, whatever it is compared with.
                Compare::GeU | Compare::LeU | Compare::GeS | Compare::LeS => true,
                // True at the number it is compared with, or at all others: that number must be the same in each
                // iteration.
                Compare::Eq | Compare::Ne => self.before_loop(outermost, other).is_some(),
                Compare::LtU | Compare::LtS | Compare::GtU | Compare::GtS => false,
            };
            let moves = at_some_number && self.progression(outermost, moved).is_some_and(|of| of.heads[0] == start);
            moves.then_some(Test { exits, moved, other })
        };
        ends(compare, a, b).or_else(|| ends(compare.swapped(), b, a))
    }

    /// The value before the loop of a value that is the same in every iteration of the outermost loop: it is from before the
    /// loop, or of a local that is set only on exits from the loop (whose code may lie within the loop).
    fn before_loop(&self, outermost: u32, value: Value) -> Option<Value> {
        let loops = &self.values.loops;
        let first_symbol = loops[loops.binary_search_by_key(&outermost, |of| of.head).ok()?].first;
        let mut known = value;
        for _ in 0..MAX_LOOPS {
            if known.symbol < first_symbol {
                return Some(known);
            }
            let at_head = Value { plus: 0, ..known };
            match self.values.progression(at_head) {
                Some((entry, Next::Is(next))) if next == at_head => {
                    known = Value { plus: entry.plus.wrapping_add(known.plus), ..entry };
                }
                _ => return None,
            }
        }
        None
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
/// The most iterations that may have been moved before a loop.
const MAX_BEFORE: u32 = 8;
/// How often each node may be visited to show that indices differ.
const MAX_VISITS: usize = 128;
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
