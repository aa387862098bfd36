//! Counts how often a call of a function copies, at most and at least, if the call returns.
//!
//! A function is a control-flow graph (`control`). Outside loops, the longest path has the greatest count. In a loop, a
//! `read` is counted if its index is a value that differs in each iteration (`index`); everything else in a loop has no
//! bound. Callees are counted first, so that each function is examined once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::calls::{Calls, Meaning, Node};
use super::control::{Call, Graph};
use super::index::Rounds;
use super::limits::{MAX_COUNT, MAX_VALUES, MAX_VALUES_IN_ALL, Stop};
use super::values::{Symbol, Value, Values};
use crate::contract::TrackedImport;

/// How often one call copies the payload of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    /// `None` if there is no bound.
    pub(super) max: Option<u32>,
    pub(super) min: u32,
    pub(super) index: Index,
}

/// The index of the element that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Index {
    /// No element is read.
    Nothing,
    /// The index is a parameter plus a constant; with the greatest count for each constant.
    Parameter(u32, BTreeMap<u32, u32>),
    /// Any index.
    Any,
}

/// Counts the calls of certain host functions, from any function of the component.
pub(super) struct Counter<'c, 'w, 'a> {
    calls: &'c Calls<'w, 'a>,
    /// The nodes from which those functions can be reached.
    relevant: Vec<bool>,
    counts: HashMap<Node, Count>,
    /// How many values may still be tracked.
    budget: usize,
    /// Why there is no bound, in the order in which the reasons were found.
    pub(super) reasons: Vec<String>,
}

impl Count {
    const NOTHING: Count = Count { max: Some(0), min: 0, index: Index::Nothing };
    pub(super) const UNBOUNDED: Count = Count { max: None, min: 0, index: Index::Any };

    /// The count of one call of an import that reads from a batch or writes.
    fn of(import: TrackedImport) -> Count {
        match import {
            // A call of `read` may copy nothing: it refuses a range that is not in the payload.
            TrackedImport::Read => Count { max: Some(1), min: 0, index: Index::Parameter(1, BTreeMap::from([(0, 1)])) },
            TrackedImport::ReadAll | TrackedImport::EmitAll => Count { max: Some(1), min: 1, index: Index::Any },
            _ => Count::UNBOUNDED,
        }
    }

    /// The count of one of several possible callees.
    pub(super) fn or(self, other: Count) -> Count {
        let max = self.max.zip(other.max).map(|(a, b)| a.max(b));
        let index = match (self.index, other.index) {
            (Index::Nothing, index) | (index, Index::Nothing) => index,
            (Index::Parameter(a, mut of), Index::Parameter(b, more)) if a == b => {
                for (plus, count) in more {
                    let known = of.entry(plus).or_default();
                    *known = count.max(*known);
                }
                // A table could have any number of functions with different constants, and each would be copied here.
                if of.len() > MAX_INDICES { Index::Any } else { Index::Parameter(a, of) }
            }
            _ => Index::Any,
        };
        Count { max, min: self.min.min(other.min), index }
    }
}

impl<'c, 'w, 'a> Counter<'c, 'w, 'a> {
    pub(super) fn new(calls: &'c Calls<'w, 'a>, imports: &[TrackedImport]) -> Self {
        let goals: Vec<Node> = imports.iter().map(|import| super::calls::node_of(*import)).collect();
        let counts = imports.iter().zip(&goals).map(|(import, node)| (*node, Count::of(*import))).collect();
        Counter { calls, relevant: calls.reaching(&goals), counts, budget: MAX_VALUES_IN_ALL, reasons: Vec::new() }
    }

    /// Whether a call of a node can copy and return.
    pub(super) fn is_relevant(&self, node: Node) -> bool {
        self.relevant[node as usize]
    }

    /// The count of a call of `root`.
    pub(super) fn count(&mut self, root: Node) -> Result<Count, Stop> {
        // Depth first, without recursion: the functions in `open` wait for a callee.
        let mut open: Vec<(Node, Vec<Node>)> = vec![(root, self.relevant_callees(root))];
        let mut waits = HashSet::from([root]);
        while let Some((node, callees)) = open.last_mut() {
            let Some(callee) = callees.pop() else {
                let node = *node;
                let count = self.count_one(node)?;
                self.counts.insert(node, count);
                waits.remove(&node);
                open.pop();
                continue;
            };
            if self.counts.contains_key(&callee) {
                continue;
            }
            if waits.contains(&callee) {
                self.counts.insert(callee, Count::UNBOUNDED);
                self.reasons.push("a function that copies is recursive".to_string());
                continue;
            }
            waits.insert(callee);
            open.push((callee, self.relevant_callees(callee)));
        }
        Ok(self.known(root))
    }

    fn relevant_callees(&self, node: Node) -> Vec<Node> {
        let edges = self.calls.edges[node as usize].iter().filter(|edge| edge.returns && self.is_relevant(edge.to));
        let mut callees: Vec<Node> = edges.map(|edge| edge.to).collect();
        callees.sort_unstable();
        callees.dedup();
        callees
    }

    fn known(&self, node: Node) -> Count {
        if !self.is_relevant(node) {
            return Count::NOTHING;
        }
        self.counts.get(&node).cloned().unwrap_or(Count::UNBOUNDED)
    }

    /// The count of a node whose callees have been counted.
    fn count_one(&mut self, node: Node) -> Result<Count, Stop> {
        if !self.is_relevant(node) {
            return Ok(Count::NOTHING);
        }
        // A recursive function has no bound.
        if let Some(count) = self.counts.get(&node) {
            return Ok(count.clone());
        }
        let callees = || self.calls.edges[node as usize].iter().map(|edge| self.known(edge.to));
        match self.calls.meanings[node as usize] {
            Meaning::Function { instance, function } => self.count_function(instance, function),
            Meaning::OneOf => Ok(callees().reduce(Count::or).unwrap_or(Count::NOTHING)),
            Meaning::Lifted => {
                // The function and its post-return function, in sequence. No index can be tracked into it.
                let max = callees().try_fold(0u32, |sum, count| Some(sum.saturating_add(count.max?)));
                let min = callees().map(|count| count.min).max().unwrap_or(0);
                Ok(Count { max, min, index: Index::Any })
            }
            Meaning::Drop | Meaning::Host | Meaning::TrackedImport(_) => Ok(Count::UNBOUNDED),
        }
    }

    fn count_function(&mut self, instance: u32, function: u32) -> Result<Count, Stop> {
        let module = self.calls.wiring.module_of(instance)?;
        let body = module.bodies.get((function - module.imported_functions) as usize).ok_or_else(Stop::inconsistent)?;
        if self.budget < MAX_VALUES {
            return Err(Stop::beyond("it has too much code to analyse"));
        }
        let (graph, values) = match Graph::with_values(module, function, body) {
            Ok(built) => built,
            Err(Stop::Beyond(reason)) => {
                self.budget -= MAX_VALUES;
                self.reasons.push(reason);
                return Ok(Count::UNBOUNDED);
            }
            Err(stop) => return Err(stop),
        };
        self.budget -= MAX_VALUES - values.budget;
        let mut counts = Vec::with_capacity(graph.calls.len());
        for call in &graph.calls {
            let callees = self.calls.callees(instance, call.callee)?;
            counts.push(callees.iter().map(|node| self.known(*node)).reduce(Count::or).unwrap_or(Count::NOTHING));
        }
        let sites =
            Sites { graph: &graph, values: &values, live: graph.can_return(), counts, forward: forward_edges(&graph) };
        match sites.count() {
            Ok(count) => Ok(count),
            Err(reason) => {
                // The reason for the callee has already been recorded.
                if reason != CALLEE {
                    self.reasons.push(reason.to_string());
                }
                Ok(Count::UNBOUNDED)
            }
        }
    }
}

const CALLEE: &str = "a function that it calls has no proven bound";
/// The most different indices in one function.
const MAX_INDICES: usize = 32;
/// The most combinations of indices that are tried.
const MAX_CHOICES: usize = 64;

/// The calls of one function that copy.
struct Sites<'g> {
    graph: &'g Graph,
    values: &'g Values,
    live: Vec<bool>,
    /// For each call of the graph.
    counts: Vec<Count>,
    /// The forward edges (from, to), in ascending order.
    forward: Vec<(u32, u32)>,
}

/// The counts of the nodes of a function.
#[derive(Default)]
struct Tally {
    /// At most, outside loops.
    most: Vec<u32>,
    /// At least.
    least: Vec<u32>,
    /// In loops, by the node that starts the iterations and the index.
    in_loops: BTreeMap<(u32, Value), Times>,
    /// Outside loops, by index, if the index is known.
    outside: BTreeMap<Value, Times>,
    /// At most, outside loops, by index, for the calls that read at one index only.
    alone: BTreeMap<Value, Times>,
    /// Whether the index is known for all calls outside loops.
    only_parameters: bool,
}

/// Counts by node.
#[derive(Default)]
struct Times(BTreeMap<u32, u32>);

impl Times {
    fn add(&mut self, node: u32, times: u32) {
        let here = self.0.entry(node).or_default();
        *here = here.saturating_add(times);
    }

    fn weights(&self, nodes: usize) -> Vec<u32> {
        let mut weights = vec![0; nodes];
        self.0.iter().for_each(|(node, times)| weights[*node as usize] = *times);
        weights
    }
}

impl Sites<'_> {
    fn count(&self) -> Result<Count, &'static str> {
        let rounds = Rounds::of(self.graph, self.values, &self.live)?;
        let nodes = self.graph.nodes.len();
        let tally = self.tally(&rounds)?;
        let max = self.most(&tally, &rounds)?;
        let Tally { least, in_loops, outside, only_parameters, .. } = tally;
        if max > MAX_COUNT {
            return Err("it copies too often for a useful bound");
        }
        let index = if max == 0 {
            Index::Nothing
        } else if only_parameters && in_loops.is_empty() {
            self.by_parameter(&outside, nodes)
        } else {
            Index::Any
        };
        Ok(Count { max: Some(max), min: self.shortest(&least), index })
    }

    /// How often one element is read at most.
    ///
    /// Each index equals that of an element in at most one iteration of a loop. The counts of different indices add up,
    /// unless they never have the same value: then an element is read at one of them.
    fn most(&self, tally: &Tally, rounds: &Rounds<'_>) -> Result<u32, &'static str> {
        let nodes = self.graph.nodes.len();
        let differs = |(start, index): (u32, Value)| {
            let others = tally.alone.keys().filter(move |other| rounds.differs(start, index, **other));
            [None].into_iter().chain(others.map(|other| Some(*other))).collect::<Vec<_>>()
        };
        // For each index in a loop: itself, and those of which each differs from it and from one another.
        let exclusive: Vec<Vec<Option<Value>>> = tally.in_loops.keys().map(|key| differs(*key)).collect();
        let choices = exclusive.iter().try_fold(1usize, |all, one| all.checked_mul(one.len()));
        let choices = choices.filter(|choices| *choices <= MAX_CHOICES);
        let mut greatest = 0;
        for mut choice in 0..choices.unwrap_or(1) {
            let mut most = tally.most.clone();
            let mut left_out = BTreeSet::new();
            for (((start, _), of), one_of) in tally.in_loops.iter().zip(&exclusive) {
                let one_of = if choices.is_some() { &one_of[..] } else { &[None] };
                let chosen = one_of[choice % one_of.len()];
                choice /= one_of.len();
                left_out.extend(one_of.iter().flatten().filter(|other| chosen != Some(**other)));
                if chosen.is_none() {
                    let times = self.longest(&of.weights(nodes), Some((*start, rounds)));
                    let head = rounds.head(*start).ok_or(CALLEE)?;
                    most[head as usize] = most[head as usize].saturating_add(times);
                }
            }
            let left_out = left_out.iter().filter_map(|index| tally.alone.get(index));
            for (node, times) in left_out.flat_map(|times| &times.0) {
                let here = &mut most[*node as usize];
                // A sum that was too large stays so.
                *here = if *here == u32::MAX { *here } else { here.saturating_sub(*times) };
            }
            greatest = greatest.max(self.longest(&most, None));
        }
        Ok(greatest)
    }

    /// Collects the counts of all nodes.
    fn tally(&self, rounds: &Rounds<'_>) -> Result<Tally, &'static str> {
        let nodes = self.graph.nodes.len();
        let mut tally =
            Tally { most: vec![0; nodes], least: vec![0; nodes], only_parameters: true, ..Tally::default() };
        for (number, node) in (0..).zip(&self.graph.nodes).filter(|(number, _)| self.live[*number as usize]) {
            for (call, count) in self.graph.calls[node.calls.clone()].iter().zip(&self.counts[node.calls.clone()]) {
                let least = &mut tally.least[number as usize];
                *least = least.saturating_add(count.min);
                if count.max == Some(0) {
                    continue;
                }
                let max = count.max.ok_or(CALLEE)?;
                let indices = self.indices(call, count);
                if rounds.head(number).is_some() {
                    let indices = indices.ok_or("a call in a loop may copy the same element again")?;
                    for (index, times) in indices {
                        let start = rounds.start(number, index)?;
                        tally.in_loops.entry((start, index)).or_default().add(number, times);
                    }
                } else {
                    let most = &mut tally.most[number as usize];
                    *most = most.saturating_add(max);
                    tally.only_parameters &= indices.is_some();
                    if let Some([(index, _)]) = indices.as_deref() {
                        tally.alone.entry(*index).or_default().add(number, max);
                    }
                    for (index, times) in indices.into_iter().flatten() {
                        tally.outside.entry(index).or_default().add(number, times);
                    }
                }
                if tally.in_loops.len() + tally.outside.len() > MAX_INDICES {
                    return Err("it reads at too many different indices");
                }
            }
        }
        Ok(tally)
    }

    /// The indices that a call reads, with their counts; `None` if they are not known.
    fn indices(&self, call: &Call, count: &Count) -> Option<Vec<(Value, u32)>> {
        let Index::Parameter(parameter, of) = &count.index else { return None };
        let argument = *call.arguments.get(*parameter as usize)?;
        let at = |(plus, times): (&u32, &u32)| (Value { plus: argument.plus.wrapping_add(*plus), ..argument }, *times);
        Some(of.iter().map(at).collect())
    }

    fn by_parameter(&self, outside: &BTreeMap<Value, Times>, nodes: usize) -> Index {
        let mut found = None;
        let mut of = BTreeMap::new();
        for (index, times) in outside {
            let Some(Symbol::Parameter(parameter)) = self.values.symbols.get(index.symbol as usize) else {
                return Index::Any;
            };
            if found.is_some_and(|found| found != *parameter) {
                return Index::Any;
            }
            found = Some(*parameter);
            of.insert(index.plus, self.longest(&times.weights(nodes), None));
        }
        found.map_or(Index::Any, |parameter| Index::Parameter(parameter, of))
    }

    /// The greatest sum of weights on a forward path: from the entry, or within an iteration from its start.
    fn longest(&self, weights: &[u32], within: Option<(u32, &Rounds<'_>)>) -> u32 {
        let inside = |node: u32| within.is_none_or(|(start, rounds)| rounds.head(node) == rounds.head(start));
        let entry = within.map_or(0, |(start, _)| start);
        let mut sums: Vec<Option<u32>> = vec![None; weights.len()];
        if let Some(sum) = sums.get_mut(entry as usize) {
            *sum = Some(0);
        }
        let mut greatest = 0;
        let mut edges = self.forward.iter().peekable();
        for node in 0..weights.len() as u32 {
            while edges.next_if(|(from, _)| *from < node).is_some() {}
            let Some(sum) = sums[node as usize].filter(|_| self.live[node as usize] && inside(node)) else { continue };
            let sum = sum.saturating_add(weights[node as usize]);
            greatest = greatest.max(sum);
            while let Some((_, to)) = edges.next_if(|(from, _)| *from == node) {
                let known = &mut sums[*to as usize];
                *known = Some(known.map_or(sum, |known| known.max(sum)));
            }
        }
        greatest
    }

    /// The least sum of weights on a path to a return. Further iterations only add to it.
    fn shortest(&self, weights: &[u32]) -> u32 {
        let mut sums: Vec<Option<u32>> = vec![None; weights.len()];
        if let Some(sum) = sums.first_mut() {
            *sum = Some(0);
        }
        let mut least = None;
        let mut edges = self.forward.iter().peekable();
        for node in 0..weights.len() as u32 {
            while edges.next_if(|(from, _)| *from < node).is_some() {}
            let Some(sum) = sums[node as usize].filter(|_| self.live[node as usize]) else { continue };
            let sum = sum.saturating_add(weights[node as usize]);
            if self.graph.nodes[node as usize].returns {
                least = Some(least.map_or(sum, |least: u32| least.min(sum)));
            }
            while let Some((_, to)) = edges.next_if(|(from, _)| *from == node) {
                let known = &mut sums[*to as usize];
                *known = Some(known.map_or(sum, |known| known.min(sum)));
            }
        }
        least.unwrap_or(0)
    }
}

fn forward_edges(graph: &Graph) -> Vec<(u32, u32)> {
    let forward = graph.edges.iter().filter(|edge| edge.from < edge.to && (edge.to as usize) < graph.nodes.len());
    let mut forward: Vec<(u32, u32)> = forward.map(|edge| (edge.from, edge.to)).collect();
    forward.sort_unstable();
    forward
}
