//! Finds the source of calls of tracked imports: from line tables, or else from function names.

use std::collections::{HashMap, HashSet, VecDeque};

use addr2line::gimli::{EndianSlice, LittleEndian};

use super::calls::{Calls, Meaning, Node};
use super::limits::Stop;
use super::module::{Item, Module};
use super::names::read_names;
use super::site::{Place, Use};
use super::wiring::Wiring;
use crate::analysis::{Frame, Site};
use crate::component::debug_info;
use crate::contract::TrackedImport;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The most sites that are reported.
const MAX_SITES: usize = 64;
/// The most calls that lead to one that copies.
const MAX_CHAIN: usize = 64;
/// The most callers of a function that copies that get a site of their own.
const MAX_CALLERS: usize = 8;

/// Finds sites. Reads the debug information of a module on first use.
pub(super) struct Blame<'c, 'w, 'a> {
    wiring: &'w Wiring<'a>,
    calls: &'c Calls<'w, 'a>,
    sources: HashMap<usize, Source<'a>>,
}

/// The debug information of a module.
struct Source<'a> {
    lines: Option<addr2line::Context<Slice<'a>>>,
    names: HashMap<u32, &'a str>,
}

/// A call in a chain of calls: the function that contains it, and its offset in the file.
type Step = (Node, usize);

impl<'c, 'w, 'a> Blame<'c, 'w, 'a> {
    pub(super) fn new(wiring: &'w Wiring<'a>, calls: &'c Calls<'w, 'a>) -> Self {
        Blame { wiring, calls, sources: HashMap::new() }
    }

    /// The calls of tracked imports that `exports` can reach, each once, for the first export that reaches it; with
    /// their places in the code.
    pub(super) fn sites(&mut self, exports: &[(&'static str, Node)]) -> Result<Vec<(Place, Site)>, Stop> {
        let imports = self.imports();
        let mut sites = Vec::new();
        let mut seen = HashSet::new();
        for &(export, root) in exports {
            let (order, came_from) = self.paths(root);
            let callers = self.callers(&order);
            for &node in &order {
                for edge in &self.calls.edges[node as usize] {
                    let Some(&callee) = imports.get(&edge.to).filter(|_| edge.at != 0) else { continue };
                    if !seen.insert((node, edge.at)) {
                        continue;
                    }
                    let mut starts: Vec<Option<Step>> =
                        callers.get(&node).into_iter().flatten().take(MAX_CALLERS).map(|step| Some(*step)).collect();
                    if starts.is_empty() || node == root {
                        starts = vec![came_from.get(&node).copied()];
                    }
                    for start in starts {
                        if sites.len() == MAX_SITES {
                            return Ok(sites);
                        }
                        let mut chain = vec![(node, edge.at)];
                        let mut next = start;
                        while let Some(step) = next.filter(|step| chain.len() < MAX_CHAIN && !chain.contains(step)) {
                            chain.push(step);
                            next = if step.0 == root { None } else { came_from.get(&step.0).copied() };
                        }
                        let mut frames = Vec::new();
                        for (node, at) in chain {
                            frames.extend(self.frames(node, at)?);
                        }
                        sites.push(((node, edge.at), Site { callee, export, frames, used: Use::Unknown }));
                    }
                }
            }
        }
        Ok(sites)
    }

    /// The nodes of tracked imports, and of indirect calls that may reach one.
    fn imports(&self) -> HashMap<Node, TrackedImport> {
        let import = |node: Node| match self.calls.meanings[node as usize] {
            Meaning::TrackedImport(import) => Some(import),
            _ => None,
        };
        let nodes = (0..).zip(&self.calls.meanings).filter_map(|(node, meaning)| {
            let found = match meaning {
                Meaning::OneOf => self.calls.edges[node as usize].iter().find_map(|edge| import(edge.to)),
                _ => import(node),
            };
            Some((node, found?))
        });
        nodes.collect()
    }

    /// The nodes that can be reached from a root, nearest first, and the call that reaches each.
    fn paths(&self, root: Node) -> (Vec<Node>, HashMap<Node, Step>) {
        let mut order = Vec::new();
        let mut came_from: HashMap<Node, Step> = HashMap::new();
        let mut seen = HashSet::from([root]);
        let mut waiting = VecDeque::from([root]);
        while let Some(node) = waiting.pop_front() {
            order.push(node);
            for edge in &self.calls.edges[node as usize] {
                if seen.insert(edge.to) {
                    came_from.insert(edge.to, (node, edge.at));
                    waiting.push_back(edge.to);
                }
            }
        }
        (order, came_from)
    }

    /// The callers of each function, in the order of the code.
    fn callers(&self, order: &[Node]) -> HashMap<Node, Vec<Step>> {
        let mut callers: HashMap<Node, Vec<Step>> = HashMap::new();
        for &node in order {
            for edge in self.calls.edges[node as usize].iter().filter(|edge| edge.at != 0) {
                callers.entry(edge.to).or_default().push((node, edge.at));
            }
        }
        callers
    }

    /// The functions that contain a place in the code, innermost first.
    fn frames(&mut self, node: Node, at: usize) -> Result<Vec<Frame>, Stop> {
        let Meaning::Function { instance, function } = self.calls.meanings[node as usize] else {
            return Ok(Vec::new());
        };
        let module = self.wiring.module_of(instance)?;
        let number = self.wiring.instances[instance as usize].module;
        let source = self.sources.entry(number).or_insert_with(|| Source::of(module));
        let address = at.saturating_sub(module.code_start) as u64;
        let frames = source.lines.as_ref().map(|lines| lookup(lines, address)).unwrap_or_default();
        if !frames.is_empty() {
            return Ok(frames);
        }
        let name = source.names.get(&function).copied().or_else(|| {
            module.exports.iter().find(|(_, item)| **item == Item::Function(function)).map(|(name, _)| *name)
        });
        Ok(vec![Frame { function: name.map(demangled), ..Frame::default() }])
    }
}

impl<'a> Source<'a> {
    fn of(module: &Module<'a>) -> Source<'a> {
        let lines = debug_info::load(&module.custom);
        let names = module.custom.iter().find(|(name, _)| *name == "name").map(|(_, data)| read_names(data));
        Source {
            lines: lines.and_then(|dwarf| addr2line::Context::from_dwarf(dwarf).ok()),
            names: names.unwrap_or_default(),
        }
    }
}

fn lookup(lines: &addr2line::Context<Slice<'_>>, address: u64) -> Vec<Frame> {
    let mut found = Vec::new();
    let Ok(mut frames) = lines.find_frames(address).skip_all_loads() else { return found };
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.as_ref().and_then(|function| function.raw_name().ok());
        let location = frame.location.as_ref();
        found.push(Frame {
            function: function.map(|name| demangled(&name)),
            file: location.and_then(|location| location.file).map(str::to_string),
            line: location.and_then(|location| location.line).filter(|line| *line > 0),
            column: location.and_then(|location| location.column).filter(|column| *column > 0),
        });
    }
    found
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
