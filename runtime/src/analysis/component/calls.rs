//! The call graph of a component, over all its core modules.
//!
//! A call through a table can reach every function in the table whose type matches. If code modifies a table, the table
//! can contain every function whose address is taken anywhere: no other reference can exist.

use std::collections::{BTreeMap, HashMap};

use super::control::Callee;
use super::limits::{Stop, find};
use super::module::Signature;
use super::wiring::{Target, Wiring};
use crate::contract::TrackedImport;

/// A node of the call graph.
pub(super) type Node = u32;

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    TrackedImport(TrackedImport),
    /// Calls nothing in the component.
    Host,
    /// A function of a core module.
    Function {
        instance: u32,
        function: u32,
    },
    /// The code that runs when a lifted function is called from within the component.
    Lifted,
    /// Any destructor.
    Drop,
    /// One of several functions, known only at run time.
    OneOf,
}

/// A possible call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) to: Node,
    /// The offset of the call in the file; 0 if the engine makes it.
    pub(super) at: usize,
    /// Whether a path from the call can return.
    pub(super) returns: bool,
}

/// Every call that the component can make.
pub(super) struct Calls<'w, 'a> {
    pub(super) wiring: &'w Wiring<'a>,
    pub(super) meanings: Vec<Meaning>,
    pub(super) edges: Vec<Vec<Edge>>,
    /// The node of the first function of each instance.
    first: Vec<Node>,
    first_lift: Node,
    tables: Vec<Table>,
    /// Every function whose address is taken.
    taken: Held,
    one_of: HashMap<(Option<u32>, Signature), Node>,
    of_any_type: HashMap<Option<u32>, Node>,
}

const HOST: Node = TrackedImport::ALL.len() as Node;
const DROP: Node = HOST + 1;
const FIRST: Node = DROP + 1;

/// The contents of a table.
#[derive(Default)]
struct Table {
    held: Held,
    /// The functions by slot. Complete only if all slots are constants.
    places: BTreeMap<u32, Vec<Node>>,
    open: bool,
    scattered: bool,
}

/// Functions by their types.
type Held = HashMap<Signature, Vec<Node>>;

/// The node of a tracked import.
pub(super) fn node_of(import: TrackedImport) -> Node {
    TrackedImport::ALL.iter().position(|known| *known == import).map_or(HOST, |place| place as Node)
}

impl<'w, 'a> Calls<'w, 'a> {
    pub(super) fn of(wiring: &'w Wiring<'a>) -> Result<Calls<'w, 'a>, Stop> {
        let mut meanings: Vec<Meaning> = TrackedImport::ALL.map(Meaning::TrackedImport).to_vec();
        meanings.extend([Meaning::Host, Meaning::Drop]);
        let mut first = Vec::new();
        for (number, instance) in (0..).zip(&wiring.instances) {
            let module = wiring.module_of(number)?;
            first.push(meanings.len() as Node);
            let imported = instance.imports.len() as u32;
            let defined = (0..module.bodies.len() as u32)
                .map(|body| Meaning::Function { instance: number, function: imported + body });
            meanings.extend(defined);
        }
        let first_lift = meanings.len() as Node;
        meanings.extend(wiring.lifts.iter().map(|_| Meaning::Lifted));
        let edges = vec![Vec::new(); meanings.len()];
        let tables = (0..wiring.tables).map(|_| Table::default()).collect();
        let (taken, one_of, of_any_type) = (Held::default(), HashMap::new(), HashMap::new());
        let mut calls = Calls { wiring, meanings, edges, first, first_lift, tables, taken, one_of, of_any_type };
        calls.fill_tables()?;
        calls.connect()?;
        Ok(calls)
    }

    pub(super) fn node(&self, target: Target) -> Node {
        match target {
            Target::TrackedImport(import) => node_of(import),
            Target::Host => HOST,
            Target::Drop => DROP,
            Target::Lifted(lift) => self.first_lift + lift,
            Target::Wasm { instance, function } => {
                let imported = self.wiring.instances[instance as usize].imports.len() as u32;
                self.first[instance as usize] + (function - imported)
            }
        }
    }

    /// The nodes that can be reached from `roots`, including by calls that cannot return.
    pub(super) fn reachable(&self, roots: impl IntoIterator<Item = Node>) -> Vec<bool> {
        let mut reached = vec![false; self.edges.len()];
        let mut waiting: Vec<Node> = roots.into_iter().collect();
        while let Some(node) = waiting.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                waiting.extend(self.edges[node as usize].iter().map(|edge| edge.to));
            }
        }
        reached
    }

    /// The nodes from which one of `goals` can be reached by calls that can return.
    pub(super) fn reaching(&self, goals: &[Node]) -> Vec<bool> {
        let mut callers: Vec<Vec<Node>> = vec![Vec::new(); self.edges.len()];
        for (from, edges) in (0..).zip(&self.edges) {
            edges.iter().filter(|edge| edge.returns).for_each(|edge| callers[edge.to as usize].push(from));
        }
        let mut reaching = vec![false; self.edges.len()];
        let mut waiting = goals.to_vec();
        while let Some(node) = waiting.pop() {
            if !std::mem::replace(&mut reaching[node as usize], true) {
                waiting.append(&mut callers[node as usize]);
            }
        }
        reaching
    }

    /// The nodes that a call in a function of `instance` can reach. Known for every call that the graph was built from.
    pub(super) fn callees(&self, instance: u32, callee: Callee) -> Result<Vec<Node>, Stop> {
        let module = self.wiring.module_of(instance)?;
        let (table, ty) = match callee {
            Callee::Direct(function) => {
                return Ok(vec![self.skip_shim(self.node(self.wiring.function(instance, function)?))]);
            }
            Callee::Reference(ty) => (None, ty),
            Callee::Table { table, ty, slot } => {
                let table = *find(&find(&self.wiring.instances, instance)?.tables, table)?;
                let contents = find(&self.tables, table)?;
                if let (Some(slot), false, false) = (slot, contents.open, contents.scattered) {
                    match contents.places.get(&slot).map_or(&[][..], Vec::as_slice) {
                        [] => return Ok(Vec::new()),
                        [one] => return Ok(vec![*one]),
                        _ => {}
                    }
                }
                ((!contents.open).then_some(table), ty)
            }
        };
        let signature = module.type_at(ty)?.signature;
        Ok(self.one_of.get(&(table, signature)).map(|node| vec![*node]).unwrap_or_default())
    }

    /// The function that a shim forwards to: a shim only calls another function with its own arguments. For all other
    /// functions, `node` itself.
    fn skip_shim(&self, node: Node) -> Node {
        let Meaning::Function { instance, function } = self.meanings[node as usize] else { return node };
        let Ok(module) = self.wiring.module_of(instance) else { return node };
        let code = &module.code[(function - module.imported_functions) as usize];
        let [live] = code.calls.as_slice() else { return node };
        match self.callee_of_shim(instance, live.call.callee) {
            Some(target) if code.passes_on => target,
            _ => node,
        }
    }

    /// The host function that a shim calls.
    fn callee_of_shim(&self, instance: u32, callee: Callee) -> Option<Node> {
        let Callee::Table { table, slot: Some(slot), .. } = callee else { return None };
        let table = *self.wiring.instances[instance as usize].tables.get(table as usize)?;
        let contents = self.tables.get(table as usize)?;
        match contents.places.get(&slot)?.as_slice() {
            [one] if !contents.open && !contents.scattered && *one < FIRST => Some(*one),
            _ => None,
        }
    }

    fn fill_tables(&mut self) -> Result<(), Stop> {
        for (number, instance) in (0..).zip(&self.wiring.instances) {
            let module = self.wiring.module_of(number)?;
            for &function in &module.taken {
                let signature = module.function_type(function)?.signature;
                let node = self.node(self.wiring.function(number, function)?);
                self.taken.entry(signature).or_default().push(node);
            }
            for &table in &module.open_tables {
                self.tables[*find(&instance.tables, table)? as usize].open = true;
            }
            for segment in &module.segments {
                let table = *find(&instance.tables, segment.table)? as usize;
                self.tables[table].scattered |= segment.offset.is_none();
                for (after, function) in (0..).zip(&segment.functions) {
                    let Some(function) = *function else { continue };
                    // On overflow the instantiation traps, so the recorded slot does not matter.
                    let place = segment.offset.unwrap_or(0).wrapping_add(after);
                    let signature = module.function_type(function)?.signature;
                    let node = self.node(self.wiring.function(number, function)?);
                    let table = &mut self.tables[table];
                    table.places.entry(place).or_default().push(node);
                    table.held.entry(signature).or_default().push(node);
                }
            }
        }
        let tables = self.tables.iter_mut().flat_map(|table| table.held.values_mut());
        for nodes in tables.chain(self.taken.values_mut()) {
            nodes.sort_unstable();
            nodes.dedup();
        }
        for nodes in self.tables.iter_mut().flat_map(|table| table.places.values_mut()) {
            nodes.sort_unstable();
            nodes.dedup();
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Stop> {
        let from_engine = |to| Edge { to, at: 0, returns: true };
        self.edges[DROP as usize] =
            self.wiring.destructors.iter().map(|target| from_engine(self.node(*target))).collect();
        for (number, lift) in (0..).zip(&self.wiring.lifts) {
            let called = [Some(lift.core), lift.post_return].into_iter().flatten();
            self.edges[(self.first_lift + number) as usize] =
                called.map(|target| from_engine(self.node(target))).collect();
        }
        for number in 0..self.wiring.instances.len() as u32 {
            let module = self.wiring.module_of(number)?;
            for (place, code) in (self.first[number as usize]..).zip(&module.code) {
                let mut edges = Vec::with_capacity(code.calls.len());
                for live in &code.calls {
                    self.add_indirect(number, live.call.callee)?;
                    for to in self.callees(number, live.call.callee)? {
                        edges.push(Edge { to, at: live.call.at, returns: live.returns });
                    }
                }
                self.edges[place as usize] = edges;
            }
        }
        Ok(())
    }

    /// The node for the functions of a table whose type is not known.
    fn of_any_type(&mut self, table: Option<u32>) -> Node {
        if let Some(node) = self.of_any_type.get(&table) {
            return *node;
        }
        let held = table.map_or(&self.taken, |table| &self.tables[table as usize].held);
        let edges = held.get(&None).into_iter().flatten().map(|to| Edge { to: *to, at: 0, returns: true }).collect();
        let node = self.edges.len() as Node;
        self.of_any_type.insert(table, node);
        self.meanings.push(Meaning::OneOf);
        self.edges.push(edges);
        node
    }

    /// Adds the node for a call through a table or a reference.
    fn add_indirect(&mut self, instance: u32, callee: Callee) -> Result<(), Stop> {
        let module = self.wiring.module_of(instance)?;
        let (table, ty) = match callee {
            Callee::Direct(_) => return Ok(()),
            Callee::Reference(ty) => (None, ty),
            Callee::Table { table, ty, .. } => {
                (Some(*find(&find(&self.wiring.instances, instance)?.tables, table)?), ty)
            }
        };
        let table = table.filter(|table| !self.tables[*table as usize].open);
        let signature = module.type_at(ty)?.signature;
        if self.one_of.contains_key(&(table, signature)) {
            return Ok(());
        }
        let held = table.map_or(&self.taken, |table| &self.tables[table as usize].held);
        let edge = |to: &Node| Edge { to: *to, at: 0, returns: true };
        let edges = match signature {
            None => held.values().flatten().map(edge).collect(),
            // Functions of unknown type share one node for all signatures.
            Some(_) if held.contains_key(&None) => {
                let mut edges: Vec<Edge> = held.get(&signature).into_iter().flatten().map(edge).collect();
                edges.push(edge(&self.of_any_type(table)));
                edges
            }
            Some(_) => held.get(&signature).into_iter().flatten().map(edge).collect(),
        };
        self.one_of.insert((table, signature), self.edges.len() as Node);
        self.meanings.push(Meaning::OneOf);
        self.edges.push(edges);
        Ok(())
    }
}
