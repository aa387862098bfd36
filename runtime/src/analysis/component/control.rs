//! The control-flow graph of a function body, with the calls of each node.
//!
//! Nodes are numbered so that every edge leads to a higher number, except back edges to the head of a loop. Code that
//! cannot be reached from the entry has no node. With `values`, the arguments of each call are known too.

use std::ops::Range;

use wasmparser::{BlockType, FunctionBody, Operator};

use super::limits::Stop;
use super::module::Module;
use super::values::{State, Value, Values};

/// The callee of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Callee {
    /// A function of the module, by index.
    Direct(u32),
    /// A function in a table, with the index of its type, and the slot if that is a constant.
    Table { table: u32, ty: u32, slot: Option<u32> },
    /// A function reference, with the index of its type.
    Reference(u32),
}

/// A call in a function body.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The offset in the file.
    pub(super) at: usize,
    pub(super) callee: Callee,
    /// The arguments; empty without values.
    pub(super) arguments: Vec<Value>,
}

/// When an edge is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// If the condition of the node is not 0.
    Holds,
    /// If the condition is 0.
    Fails,
    /// Not known.
    Any,
}

/// An edge between two nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) when: When,
}

/// A basic block: straight code without branches.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The range of its calls, in order.
    pub(super) calls: Range<usize>,
    /// Whether the function can return at the end of the node.
    pub(super) returns: bool,
    /// The condition that selects the outgoing edge.
    pub(super) condition: Option<Value>,
}

/// The control flow of one function.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) calls: Vec<Call>,
    /// Functions whose address the body takes.
    pub(super) taken: Vec<u32>,
    /// Tables that the body modifies.
    pub(super) changed_tables: Vec<u32>,
    /// Whether the body throws or catches exceptions: a call may then end neither in a return nor in a trap.
    pub(super) exceptions: bool,
}

/// No node: the current node in unreachable code, and the end of an edge before the graph reaches it.
const NO_NODE: u32 = u32::MAX;

enum Kind {
    Function,
    Block,
    Loop { head: u32, number: usize },
    If { otherwise: usize, state: Option<State> },
}

/// A label, and the branches to it.
struct Frame {
    kind: Kind,
    params: u32,
    results: u32,
    edges: Vec<usize>,
    state: Option<State>,
}

/// The module, and the values of the locals and the stack.
type Followed<'m, 'a> = (&'m Module<'a>, Values);

struct Builder<'m, 'a> {
    graph: Graph,
    frames: Vec<Frame>,
    /// The current node.
    current: u32,
    /// Blocks that were opened in unreachable code.
    unreachable_blocks: u32,
    loops: usize,
    values: Option<Followed<'m, 'a>>,
}

impl Graph {
    /// The graph of a body, without values.
    pub(super) fn without_values(body: &FunctionBody<'_>) -> Result<Graph, Stop> {
        Ok(Builder::build(body, None)?.0)
    }

    /// The graph of a body of `module`, with the values that calls and branches depend on.
    pub(super) fn with_values(
        module: &Module<'_>,
        function: u32,
        body: &FunctionBody<'_>,
    ) -> Result<(Graph, Values), Stop> {
        let values = Values::at_entry(module, function, body)?;
        let (graph, values) = Builder::build(body, Some((module, values)))?;
        let (_, values) = values.ok_or_else(Stop::inconsistent)?;
        Ok((graph, values))
    }

    /// For each node, whether a path from it can return.
    pub(super) fn can_return(&self) -> Vec<bool> {
        let all: Vec<bool> = self.nodes.iter().map(|node| node.returns).collect();
        self.add_predecessors(all, |_| true)
    }

    /// Adds to `marked` the nodes from which a marked node can be reached through `allowed` nodes.
    pub(super) fn add_predecessors(&self, mut marked: Vec<bool>, allowed: impl Fn(u32) -> bool) -> Vec<bool> {
        let mut first = vec![0usize; self.nodes.len() + 1];
        self.edges.iter().filter(|edge| edge.to != NO_NODE).for_each(|edge| first[edge.to as usize + 1] += 1);
        for node in 0..self.nodes.len() {
            first[node + 1] += first[node];
        }
        let mut place = first.clone();
        let mut from = vec![0u32; self.edges.len()];
        for edge in self.edges.iter().filter(|edge| edge.to != NO_NODE) {
            from[place[edge.to as usize]] = edge.from;
            place[edge.to as usize] += 1;
        }
        let mut waiting: Vec<u32> = (0..self.nodes.len() as u32).filter(|node| marked[*node as usize]).collect();
        while let Some(node) = waiting.pop() {
            for &before in &from[first[node as usize]..first[node as usize + 1]] {
                if !marked[before as usize] && allowed(before) {
                    marked[before as usize] = true;
                    waiting.push(before);
                }
            }
        }
        marked
    }
}

impl<'m, 'a> Builder<'m, 'a> {
    fn build(
        body: &FunctionBody<'_>,
        values: Option<Followed<'m, 'a>>,
    ) -> Result<(Graph, Option<Followed<'m, 'a>>), Stop> {
        let results = values.as_ref().map_or(0, |(_, values)| values.results);
        let function = Frame { kind: Kind::Function, params: 0, results, edges: Vec::new(), state: None };
        let mut builder = Builder {
            graph: Graph::default(),
            frames: vec![function],
            current: NO_NODE,
            unreachable_blocks: 0,
            loops: 0,
            values,
        };
        builder.start_node();
        let mut operators = body.get_operators_reader()?;
        let mut constant = None;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            builder.step(&operator, at, constant)?;
            constant = if let Operator::I32Const { value } = operator { Some(value as u32) } else { None };
        }
        Ok((builder.graph, builder.values))
    }

    fn step(&mut self, operator: &Operator<'_>, at: usize, constant: Option<u32>) -> Result<(), Stop> {
        match *operator {
            Operator::RefFunc { function_index } => self.graph.taken.push(function_index),
            Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableFill { table }
            | Operator::TableInit { table, .. }
            | Operator::TableCopy { dst_table: table, .. } => self.graph.changed_tables.push(table),
            _ => {}
        }
        if self.current == NO_NODE {
            return self.step_unreachable(operator);
        }
        match operator {
            Operator::Block { blockty } => self.open_block(Kind::Block, *blockty)?,
            Operator::TryTable { try_table } => {
                self.graph.exceptions = true;
                self.open_block(Kind::Block, try_table.ty)?;
                for catch in &try_table.catches {
                    let (wasmparser::Catch::One { label, .. }
                    | wasmparser::Catch::OneRef { label, .. }
                    | wasmparser::Catch::All { label }
                    | wasmparser::Catch::AllRef { label }) = catch;
                    // The labels of a handler are relative to the outside of the block.
                    self.branch(label.saturating_add(1), When::Any)?;
                }
            }
            Operator::Loop { blockty } => self.open_loop(*blockty)?,
            Operator::If { blockty } => {
                let condition = self.pop()?;
                self.node().condition = condition;
                let otherwise = self.add_edge(NO_NODE, When::Fails);
                let held = self.add_edge(NO_NODE, When::Holds);
                let (params, _) = self.arity(*blockty)?;
                let state = self.values.as_mut().map(|(_, values)| values.state(params));
                self.open_block(Kind::If { otherwise, state }, *blockty)?;
                self.start_node();
                self.graph.edges[held].to = self.current;
            }
            Operator::Else => self.start_else(true)?,
            Operator::End => self.end_block(true)?,
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth, When::Any)?;
                self.current = NO_NODE;
            }
            Operator::BrIf { relative_depth } => {
                let condition = self.pop()?;
                self.node().condition = condition;
                self.branch(*relative_depth, When::Holds)?;
                self.fall_through(When::Fails);
            }
            Operator::BrTable { targets } => {
                self.pop()?;
                let mut labels: Vec<u32> = targets.targets().collect::<Result<_, _>>()?;
                labels.push(targets.default());
                labels.sort_unstable();
                labels.dedup();
                for label in labels {
                    self.branch(label, When::Any)?;
                }
                self.current = NO_NODE;
            }
            Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. }
            | Operator::BrOnCastDescEq { relative_depth, .. }
            | Operator::BrOnCastDescEqFail { relative_depth, .. } => {
                if self.values.is_some() {
                    return Err(Stop::beyond("the code branches on a reference"));
                }
                self.branch(*relative_depth, When::Any)?;
                self.fall_through(When::Any);
            }
            Operator::Return => {
                self.node().returns = true;
                self.current = NO_NODE;
            }
            Operator::Unreachable => self.current = NO_NODE,
            Operator::Throw { .. } | Operator::ThrowRef => {
                self.graph.exceptions = true;
                self.current = NO_NODE;
            }
            Operator::Call { function_index } => self.call(Callee::Direct(*function_index), at, false)?,
            Operator::CallIndirect { type_index, table_index } => {
                let callee = Callee::Table { table: *table_index, ty: *type_index, slot: constant };
                self.call(callee, at, false)?;
            }
            Operator::CallRef { type_index } => self.call(Callee::Reference(*type_index), at, false)?,
            Operator::ReturnCall { function_index } => self.call(Callee::Direct(*function_index), at, true)?,
            Operator::ReturnCallIndirect { type_index, table_index } => {
                let callee = Callee::Table { table: *table_index, ty: *type_index, slot: constant };
                self.call(callee, at, true)?;
            }
            Operator::ReturnCallRef { type_index } => self.call(Callee::Reference(*type_index), at, true)?,
            other => {
                if let Some((module, values)) = &mut self.values {
                    values.step(module, other)?;
                }
            }
        }
        Ok(())
    }

    /// In unreachable code, only the ends of blocks matter.
    fn step_unreachable(&mut self, operator: &Operator<'_>) -> Result<(), Stop> {
        match operator {
            Operator::Loop { .. } => {
                self.loops += 1;
                self.unreachable_blocks += 1;
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => self.unreachable_blocks += 1,
            Operator::End if self.unreachable_blocks > 0 => self.unreachable_blocks -= 1,
            Operator::End => self.end_block(false)?,
            Operator::Else if self.unreachable_blocks == 0 => self.start_else(false)?,
            _ => {}
        }
        Ok(())
    }

    fn node(&mut self) -> &mut Node {
        &mut self.graph.nodes[self.current as usize]
    }

    /// Starts a node.
    fn start_node(&mut self) {
        let calls = self.graph.calls.len();
        self.current = self.graph.nodes.len() as u32;
        self.graph.nodes.push(Node { calls: calls..calls, ..Node::default() });
    }

    fn add_edge(&mut self, to: u32, when: When) -> usize {
        self.graph.edges.push(Edge { from: self.current, to, when });
        self.graph.edges.len() - 1
    }

    /// Falls through to a new node.
    fn fall_through(&mut self, when: When) {
        let edge = self.add_edge(NO_NODE, when);
        self.start_node();
        self.graph.edges[edge].to = self.current;
    }

    fn arity(&self, ty: BlockType) -> Result<(u32, u32), Stop> {
        let Some((module, _)) = &self.values else { return Ok((0, 0)) };
        match ty {
            BlockType::Empty => Ok((0, 0)),
            BlockType::Type(_) => Ok((0, 1)),
            BlockType::FuncType(ty) => module.type_at(ty).map(|ty| (ty.params, ty.results)),
        }
    }

    fn pop(&mut self) -> Result<Option<Value>, Stop> {
        self.values.as_mut().map(|(_, values)| values.pop()).transpose()
    }

    fn open_block(&mut self, kind: Kind, ty: BlockType) -> Result<(), Stop> {
        let (params, results) = self.arity(ty)?;
        if let Some((_, values)) = &mut self.values {
            values.open(params)?;
        }
        self.frames.push(Frame { kind, params, results, edges: Vec::new(), state: None });
        Ok(())
    }

    fn open_loop(&mut self, ty: BlockType) -> Result<(), Stop> {
        self.fall_through(When::Any);
        let (params, _) = self.arity(ty)?;
        if let Some((_, values)) = &mut self.values {
            values.enter_loop(self.loops, self.current, params)?;
        }
        self.open_block(Kind::Loop { head: self.current, number: self.loops }, ty)?;
        self.loops += 1;
        Ok(())
    }

    /// Adds an edge from the current node to a label.
    fn branch(&mut self, depth: u32, when: When) -> Result<(), Stop> {
        let frame = self.frames.len().checked_sub(1 + depth as usize).ok_or_else(Stop::inconsistent)?;
        let head = match self.frames[frame].kind {
            Kind::Loop { head, number } => {
                if let Some((_, values)) = &mut self.values {
                    values.repeat_loop(number)?;
                }
                head
            }
            Kind::Function => {
                self.node().returns = true;
                return Ok(());
            }
            _ => NO_NODE,
        };
        let edge = self.add_edge(head, when);
        if head == NO_NODE {
            self.add_edge_to_end(frame, edge)?;
        }
        Ok(())
    }

    /// Records that an edge leads to the end of a block.
    fn add_edge_to_end(&mut self, frame: usize, edge: usize) -> Result<(), Stop> {
        let frame = &mut self.frames[frame];
        frame.edges.push(edge);
        if let Some((_, values)) = &mut self.values {
            values.merge(&mut frame.state, frame.results)?;
        }
        Ok(())
    }

    fn start_else(&mut self, reached: bool) -> Result<(), Stop> {
        let frame = self.frames.len() - 1;
        if reached {
            let edge = self.add_edge(NO_NODE, When::Any);
            self.add_edge_to_end(frame, edge)?;
        }
        let frame = &mut self.frames[frame];
        let Kind::If { otherwise, state } = std::mem::replace(&mut frame.kind, Kind::Block) else {
            return Err(Stop::inconsistent());
        };
        let params = frame.params;
        self.start_node();
        self.graph.edges[otherwise].to = self.current;
        if let Some((_, values)) = &mut self.values {
            values.restore(state, params)?;
        }
        Ok(())
    }

    fn end_block(&mut self, reached: bool) -> Result<(), Stop> {
        let frame = self.frames.len() - 1;
        if let Kind::If { otherwise, .. } = self.frames[frame].kind {
            // Without an `else`, the false branch leads here, with the values from the start of the `if`.
            let end_of_then = self.current;
            if reached {
                let edge = self.add_edge(NO_NODE, When::Any);
                self.add_edge_to_end(frame, edge)?;
            }
            let frame = &mut self.frames[frame];
            frame.edges.push(otherwise);
            if let Kind::If { state, .. } = std::mem::replace(&mut frame.kind, Kind::Block)
                && let Some((_, values)) = &mut self.values
            {
                values.restore(state, frame.params)?;
                values.merge(&mut frame.state, frame.results)?;
            }
            self.current = end_of_then;
            return self.finish_block(false);
        }
        if matches!(self.frames[frame].kind, Kind::Function) {
            if reached {
                self.node().returns = true;
            }
            self.frames.pop();
            self.current = NO_NODE;
            return Ok(());
        }
        self.finish_block(reached)
    }

    fn finish_block(&mut self, reached: bool) -> Result<(), Stop> {
        let frame = self.frames.len() - 1;
        if !self.frames[frame].edges.is_empty() && reached {
            let edge = self.add_edge(NO_NODE, When::Any);
            self.add_edge_to_end(frame, edge)?;
        }
        let frame = self.frames.pop().ok_or_else(Stop::inconsistent)?;
        if frame.edges.is_empty() {
            if let Some((_, values)) = &mut self.values {
                values.close(reached.then_some(frame.results))?;
            }
            if !reached {
                self.current = NO_NODE;
            }
            return Ok(());
        }
        self.start_node();
        for edge in frame.edges {
            self.graph.edges[edge].to = self.current;
        }
        if let Some((_, values)) = &mut self.values {
            values.close(None)?;
            values.resume(frame.state)?;
        }
        Ok(())
    }

    fn call(&mut self, callee: Callee, at: usize, is_tail_call: bool) -> Result<(), Stop> {
        let mut arguments = Vec::new();
        if let Some((module, values)) = &mut self.values {
            arguments = values.call(module, callee, is_tail_call)?;
        }
        self.graph.calls.push(Call { at, callee, arguments });
        let end = self.graph.calls.len();
        let node = self.node();
        node.calls.end = end;
        if is_tail_call {
            node.returns = true;
            self.current = NO_NODE;
        }
        Ok(())
    }
}
