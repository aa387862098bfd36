//! Tracks the values of the locals and the stack of one function, while its graph is built.
//!
//! A value is a symbol plus a constant, in `i32` arithmetic. Two values with the same symbol come from one execution of
//! the code that produced the symbol, so they differ exactly by their constants. Symbols are numbered in the order of
//! the code: a symbol from before a loop has a lower number than the symbols of the loop. Memory is not tracked.

use wasmparser::{FunctionBody, ModuleArity, Operator};

use super::control::Callee;
use super::limits::{MAX_VALUES, Stop, find};
use super::module::Module;

/// A symbol plus a constant, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Value {
    /// The number of the symbol; 0 stands for none.
    pub(super) symbol: u32,
    pub(super) plus: u32,
}

/// The meaning of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A value that is not tracked.
    Unknown,
    /// A parameter of the function.
    Parameter(u32),
    /// A local at the head of a loop, by the number of the loop; a new value in each iteration.
    Round(u32),
    /// 1 if the comparison holds, otherwise 0.
    Compare(Compare, Value, Value),
}

/// A comparison of two `i32` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Eq,
    Ne,
    LtU,
    LtS,
    LeU,
    LeS,
    GtU,
    GtS,
    GeU,
    GeS,
}

/// The value of a local in the next iteration of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// No iteration ends.
    None,
    /// This value, however the iteration ends.
    Is(Value),
    /// Different values.
    Other,
}

/// The values of a loop.
pub(super) struct Loop {
    pub(super) head: u32,
    /// The first symbol of the loop, which has one for each local that it sets.
    pub(super) first: u32,
    locals: Vec<u32>,
    /// The value of each of these locals before the first iteration.
    entry: Vec<Value>,
    next: Vec<Next>,
}

/// The values of the locals and of a part of the stack at a place in the code.
#[derive(Clone)]
pub(super) struct State {
    locals: Vec<Value>,
    stack: Vec<Value>,
}

/// The values at the current place, and of the code before it.
pub(super) struct Values {
    pub(super) symbols: Vec<Symbol>,
    /// The loops entered so far, in the order of the code.
    pub(super) loops: Vec<Loop>,
    pub(super) results: u32,
    locals: Vec<Value>,
    stack: Vec<Value>,
    /// The height of the stack below each enclosing block.
    heights: Vec<usize>,
    /// For each loop in the code, the locals that it sets, and its index in `loops`.
    loop_locals: Vec<Vec<u32>>,
    entered: Vec<usize>,
    /// How many values may still be tracked.
    pub(super) budget: usize,
}

impl Value {
    pub(super) fn constant(value: u32) -> Value {
        Value { symbol: 0, plus: value }
    }
}

impl Compare {
    /// The comparison that holds exactly if this one does not.
    pub(super) fn negated(self) -> Compare {
        match self {
            Compare::Eq => Compare::Ne,
            Compare::Ne => Compare::Eq,
            Compare::LtU => Compare::GeU,
            Compare::LtS => Compare::GeS,
            Compare::LeU => Compare::GtU,
            Compare::LeS => Compare::GtS,
            Compare::GtU => Compare::LeU,
            Compare::GtS => Compare::LeS,
            Compare::GeU => Compare::LtU,
            Compare::GeS => Compare::LtS,
        }
    }

    /// The equivalent comparison for swapped operands.
    pub(super) fn swapped(self) -> Compare {
        match self {
            Compare::Eq | Compare::Ne => self,
            Compare::LtU => Compare::GtU,
            Compare::LtS => Compare::GtS,
            Compare::LeU => Compare::GeU,
            Compare::LeS => Compare::GeS,
            Compare::GtU => Compare::LtU,
            Compare::GtS => Compare::LtS,
            Compare::GeU => Compare::LeU,
            Compare::GeS => Compare::LeS,
        }
    }
}

impl Values {
    pub(super) fn at_entry(module: &Module<'_>, function: u32, body: &FunctionBody<'_>) -> Result<Values, Stop> {
        let ty = module.function_type(function)?;
        let mut count = ty.params as usize;
        for group in body.get_locals_reader()? {
            count = count.saturating_add(group?.0 as usize);
        }
        let mut values = Values {
            symbols: vec![Symbol::Unknown],
            loops: Vec::new(),
            results: ty.results,
            locals: Vec::new(),
            stack: Vec::new(),
            heights: Vec::new(),
            loop_locals: locals_set_in_loops(body)?,
            entered: Vec::new(),
            budget: MAX_VALUES,
        };
        values.spend(count)?;
        values.entered = vec![usize::MAX; values.loop_locals.len()];
        for parameter in 0..ty.params {
            let value = values.new_symbol(Symbol::Parameter(parameter));
            values.locals.push(value);
        }
        values.locals.resize(count, Value::constant(0));
        Ok(values)
    }

    /// The number of the loop whose local the value is made of, if any.
    pub(super) fn round(&self, value: Value) -> Option<usize> {
        match self.symbols.get(value.symbol as usize)? {
            Symbol::Round(number) if value.symbol != 0 => Some(*number as usize),
            _ => None,
        }
    }

    /// For a value made of a local of a loop: the value before the first iteration, and in the next iteration.
    pub(super) fn progression(&self, value: Value) -> Option<(Value, Next)> {
        let found = self.loops.get(self.round(value)?)?;
        let index = (value.symbol - found.first) as usize;
        Some((*found.entry.get(index)?, *found.next.get(index)?))
    }

    /// The comparison that holds exactly if a condition is not 0.
    pub(super) fn comparison(&self, condition: Value) -> (Compare, Value, Value) {
        match self.symbols.get(condition.symbol as usize) {
            Some(Symbol::Compare(compare, a, b)) if condition.plus == 0 => (*compare, *a, *b),
            _ => (Compare::Ne, condition, Value::constant(0)),
        }
    }

    pub(super) fn pop(&mut self) -> Result<Value, Stop> {
        self.stack.pop().ok_or_else(Stop::inconsistent)
    }

    /// The locals, and the top `params` values of the stack.
    pub(super) fn state(&mut self, params: u32) -> State {
        State { locals: self.locals.clone(), stack: self.top(params).to_vec() }
    }

    pub(super) fn open(&mut self, params: u32) -> Result<(), Stop> {
        self.heights.push(self.stack.len().checked_sub(params as usize).ok_or_else(Stop::inconsistent)?);
        Ok(())
    }

    /// Leaves a block, and keeps its results if its end can be reached.
    pub(super) fn close(&mut self, results: Option<u32>) -> Result<(), Stop> {
        let height = self.heights.pop().ok_or_else(Stop::inconsistent)?;
        let results = results.map_or_else(Vec::new, |results| self.top(results).to_vec());
        self.stack.truncate(height);
        self.stack.extend(results);
        Ok(())
    }

    /// Continues with the values that all branches to a label have in common.
    pub(super) fn resume(&mut self, state: Option<State>) -> Result<(), Stop> {
        let state = state.ok_or_else(Stop::inconsistent)?;
        self.locals = state.locals;
        self.stack.extend(state.stack);
        Ok(())
    }

    /// Restores the values from the start of the innermost block.
    pub(super) fn restore(&mut self, state: Option<State>, params: u32) -> Result<(), Stop> {
        let state = state.ok_or_else(Stop::inconsistent)?;
        debug_assert_eq!(state.stack.len(), params as usize);
        self.stack.truncate(*self.heights.last().ok_or_else(Stop::inconsistent)?);
        self.locals = state.locals;
        self.stack.extend(state.stack);
        self.spend(self.locals.len())
    }

    /// Merges the current values into those of a label.
    pub(super) fn merge(&mut self, label: &mut Option<State>, results: u32) -> Result<(), Stop> {
        self.spend(self.locals.len() + results as usize + 1)?;
        let Some(known) = label else {
            *label = Some(self.state(results));
            return Ok(());
        };
        let arriving = self.state(results);
        let old = known.locals.iter_mut().chain(&mut known.stack);
        for (old, new) in old.zip(arriving.locals.iter().chain(&arriving.stack)) {
            if old != new {
                *old = self.new_symbol(Symbol::Unknown);
            }
        }
        Ok(())
    }

    pub(super) fn enter_loop(&mut self, number: usize, head: u32, params: u32) -> Result<(), Stop> {
        let locals = std::mem::take(self.loop_locals.get_mut(number).ok_or_else(Stop::inconsistent)?);
        self.spend(locals.len() + params as usize)?;
        self.entered[number] = self.loops.len();
        let first = self.symbols.len() as u32;
        let mut entry = Vec::with_capacity(locals.len());
        for &local in &locals {
            let value = self.new_symbol(Symbol::Round(self.loops.len() as u32));
            entry.push(std::mem::replace(self.local(local)?, value));
        }
        for index in self.stack.len().saturating_sub(params as usize)..self.stack.len() {
            self.stack[index] = self.new_symbol(Symbol::Unknown);
        }
        let next = vec![Next::None; locals.len()];
        self.loops.push(Loop { head, first, locals, entry, next });
        Ok(())
    }

    /// Branches from the current place back to the head of a loop.
    pub(super) fn repeat_loop(&mut self, number: usize) -> Result<(), Stop> {
        let entered = *self.entered.get(number).ok_or_else(Stop::inconsistent)?;
        let found = self.loops.get_mut(entered).ok_or_else(Stop::inconsistent)?;
        self.budget = self.budget.saturating_sub(found.locals.len());
        for (local, next) in found.locals.iter().zip(&mut found.next) {
            let value = Next::Is(*find(&self.locals, *local)?);
            *next = if *next == Next::None || *next == value { value } else { Next::Other };
        }
        self.spend(0)
    }

    /// Pops the arguments of a call, and pushes its results.
    pub(super) fn call(&mut self, module: &Module<'_>, callee: Callee, is_tail_call: bool) -> Result<Vec<Value>, Stop> {
        let ty = match callee {
            Callee::Direct(function) => module.function_type(function)?,
            Callee::Table { ty, .. } | Callee::Reference(ty) => module.type_at(ty)?,
        };
        if !matches!(callee, Callee::Direct(_)) {
            self.pop()?;
        }
        self.spend(ty.params as usize + ty.results as usize)?;
        let arguments = self.top(ty.params).to_vec();
        self.stack.truncate(self.stack.len() - arguments.len());
        if !is_tail_call {
            self.push_unknown(ty.results);
        }
        Ok(arguments)
    }

    /// Evaluates an instruction that neither branches nor calls.
    pub(super) fn step(&mut self, module: &Module<'_>, operator: &Operator<'_>) -> Result<(), Stop> {
        let value = match operator {
            Operator::LocalGet { local_index } => *self.local(*local_index)?,
            Operator::LocalSet { local_index } => {
                let value = self.pop()?;
                *self.local(*local_index)? = value;
                return Ok(());
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop()?;
                *self.local(*local_index)? = value;
                value
            }
            Operator::I32Const { value } => Value::constant(*value as u32),
            Operator::I32Add => {
                let (b, a) = (self.pop()?, self.pop()?);
                match (a.symbol, b.symbol) {
                    (symbol, 0) | (0, symbol) => Value { symbol, plus: a.plus.wrapping_add(b.plus) },
                    _ => self.new_symbol(Symbol::Unknown),
                }
            }
            Operator::I32Sub => {
                let (b, a) = (self.pop()?, self.pop()?);
                let plus = a.plus.wrapping_sub(b.plus);
                match (a.symbol, b.symbol) {
                    (symbol, 0) => Value { symbol, plus },
                    (a, b) if a == b => Value::constant(plus),
                    _ => self.new_symbol(Symbol::Unknown),
                }
            }
            Operator::I32Eqz => {
                let value = self.pop()?;
                let (compare, a, b) = self.comparison(value);
                self.new_symbol(Symbol::Compare(compare.negated(), a, b))
            }
            Operator::I32Eq => self.compare(Compare::Eq)?,
            Operator::I32Ne => self.compare(Compare::Ne)?,
            Operator::I32LtU => self.compare(Compare::LtU)?,
            Operator::I32LtS => self.compare(Compare::LtS)?,
            Operator::I32LeU => self.compare(Compare::LeU)?,
            Operator::I32LeS => self.compare(Compare::LeS)?,
            Operator::I32GtU => self.compare(Compare::GtU)?,
            Operator::I32GtS => self.compare(Compare::GtS)?,
            Operator::I32GeU => self.compare(Compare::GeU)?,
            Operator::I32GeS => self.compare(Compare::GeS)?,
            other => {
                let (pops, pushes) = other
                    .operator_arity(&Arity(module))
                    .ok_or_else(|| Stop::beyond("the code uses instructions that are not analysed"))?;
                let rest = self.stack.len().checked_sub(pops as usize).ok_or_else(Stop::inconsistent)?;
                self.stack.truncate(rest);
                self.push_unknown(pushes);
                return Ok(());
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn compare(&mut self, compare: Compare) -> Result<Value, Stop> {
        let (b, a) = (self.pop()?, self.pop()?);
        Ok(self.new_symbol(Symbol::Compare(compare, a, b)))
    }

    fn new_symbol(&mut self, symbol: Symbol) -> Value {
        self.symbols.push(symbol);
        Value { symbol: self.symbols.len() as u32 - 1, plus: 0 }
    }

    fn push_unknown(&mut self, count: u32) {
        for _ in 0..count {
            let value = self.new_symbol(Symbol::Unknown);
            self.stack.push(value);
        }
    }

    fn local(&mut self, index: u32) -> Result<&mut Value, Stop> {
        self.locals.get_mut(index as usize).ok_or_else(Stop::inconsistent)
    }

    fn top(&self, count: u32) -> &[Value] {
        &self.stack[self.stack.len().saturating_sub(count as usize)..]
    }

    fn spend(&mut self, values: usize) -> Result<(), Stop> {
        self.budget = self.budget.saturating_sub(values);
        if self.budget == 0 { Err(Stop::beyond("a function is too large to analyse")) } else { Ok(()) }
    }
}

/// The locals that each loop of a body sets, in the order of the loops.
fn locals_set_in_loops(body: &FunctionBody<'_>) -> Result<Vec<Vec<u32>>, Stop> {
    let mut all: Vec<Vec<u32>> = Vec::new();
    let mut open_blocks = vec![false];
    let mut open_loops: Vec<usize> = Vec::new();
    let mut budget = MAX_VALUES;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Loop { .. } => {
                open_blocks.push(true);
                open_loops.push(all.len());
                all.push(Vec::new());
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => open_blocks.push(false),
            Operator::End => {
                if open_blocks.pop() != Some(true) {
                    continue;
                }
                let ended = open_loops.pop().ok_or_else(Stop::inconsistent)?;
                let mut locals = std::mem::take(&mut all[ended]);
                locals.sort_unstable();
                locals.dedup();
                budget = budget.saturating_sub(locals.len() + 1);
                if budget == 0 {
                    return Err(Stop::beyond("a function is too large to analyse"));
                }
                if let Some(&outer) = open_loops.last() {
                    all[outer].extend(&locals);
                }
                all[ended] = locals;
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if let Some(&innermost) = open_loops.last() {
                    all[innermost].push(local_index);
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

/// Instructions whose arity depends on types are handled explicitly, or not supported.
pub(super) struct Arity<'m, 'a>(pub(super) &'m Module<'a>);

impl ModuleArity for Arity<'_, '_> {
    fn sub_type_at(&self, _: u32) -> Option<&wasmparser::SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, function: u32) -> Option<u32> {
        self.0.functions.get(function as usize).copied()
    }

    fn func_type_of_cont_type(&self, _: &wasmparser::ContType) -> Option<&wasmparser::FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &wasmparser::RefType) -> Option<&wasmparser::SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(wasmparser::BlockType, wasmparser::FrameKind)> {
        None
    }
}
