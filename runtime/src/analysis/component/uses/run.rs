//! Interprets the code around one call of `read`: all paths, until nothing new is found.

use std::collections::{BTreeSet, HashMap};

use wasmparser::Operator;

use super::known::{Known, Memory, State};
use super::{Place, Use, Uses};
use crate::analysis::component::calls::{Meaning, Node};
use crate::analysis::component::control::Callee;
use crate::analysis::component::limits::Stop;
use crate::analysis::component::module::Module;

/// The deepest nesting of functions that are entered.
const MAX_DEPTH: usize = 12;
/// The index of the parameter of `process` and `push` that is the address of the metadata.
const METADATA: usize = 2;

/// The examination of one call, and its results.
pub(super) struct Run<'u, 'c, 'w, 'a> {
    pub(super) uses: &'u mut Uses<'c, 'w, 'a>,
    pub(super) place: Place,
    instance: Option<u32>,
    /// The functions that are entered.
    entered: Vec<Node>,
    pub(super) reached: bool,
    pub(super) reads_whole: bool,
    /// The end of the bytes that are used.
    used: u32,
}

/// Where to continue.
pub(super) enum Next {
    /// At the next instruction.
    Step,
    /// Where other paths continue, if any.
    Elsewhere,
}

/// A function that is entered.
pub(super) struct Activation {
    pub(super) node: Node,
    pub(super) instance: u32,
    /// The values on the stack below each block.
    heights: Vec<usize>,
    /// The states where paths merge, by place and `has_new_list`.
    states: HashMap<(usize, bool), State>,
    waiting: BTreeSet<(usize, bool)>,
    returned: [Option<State>; 2],
}

pub(super) fn untracked() -> Stop {
    Stop::beyond("the use of the bytes that are read cannot be tracked")
}

impl<'u, 'c, 'w, 'a> Run<'u, 'c, 'w, 'a> {
    pub(super) fn new(uses: &'u mut Uses<'c, 'w, 'a>, place: Place) -> Self {
        Run { uses, place, instance: None, entered: Vec::new(), reached: false, reads_whole: true, used: 0 }
    }

    /// Interprets all code that the export reaches on its paths to the call, and after the call.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        let root = self.uses.root;
        let Meaning::Function { instance, function } = self.uses.calls.meanings[root as usize] else {
            return Err(untracked());
        };
        self.instance = Some(instance);
        let params = self.uses.calls.wiring.module_of(instance)?.function_type(function)?.params;
        let mut arguments = vec![Known::Other; params as usize];
        *arguments.get_mut(METADATA).ok_or_else(untracked)? = Known::Metadata;
        let state = State {
            locals: arguments,
            stack: Vec::new(),
            memory: Memory::new(),
            has_new_list: false,
            longest: None,
            called_again: false,
        };
        self.enter(root, state)?;
        if self.reached { Ok(()) } else { Err(untracked()) }
    }

    pub(super) fn result(&self) -> Use {
        match self.used {
            0 => Use::Nothing,
            end if self.reads_whole => Use::Within(end),
            _ => Use::Unknown,
        }
    }

    /// Records that bytes of the list are used. If the payload is known to be short, these may be all its bytes.
    pub(super) fn use_bytes(&mut self, state: &State, at: Option<u32>, offset: u64, width: u64) -> Result<(), Stop> {
        let end = u64::from(at.ok_or_else(untracked)?).saturating_add(offset).saturating_add(width);
        // An address below the list is an offset that has wrapped around.
        let end = u32::try_from(end).ok().filter(|end| *end <= i32::MAX as u32).ok_or_else(untracked)?;
        self.used = self.used.max(end);
        self.reads_whole &= state.longest.is_none();
        Ok(())
    }

    /// Interprets a function whose arguments are the locals of `state`. Returns the state where it returns.
    pub(super) fn enter(&mut self, node: Node, mut state: State) -> Result<[Option<State>; 2], Stop> {
        let Meaning::Function { instance, function } = self.uses.calls.meanings[node as usize] else {
            return Err(untracked());
        };
        if self.instance != Some(instance) || self.entered.contains(&node) || self.entered.len() == MAX_DEPTH {
            return Err(untracked());
        }
        let module = self.uses.calls.wiring.module_of(instance)?;
        // The code is taken out while it is interpreted: a function does not enter itself.
        let code = match self.uses.code.remove(&node) {
            Some(code) => code,
            None => super::Code::of(module, function)?,
        };
        self.entered.push(node);
        if code.locals > self.uses.budget {
            return Err(untracked());
        }
        state.locals.resize(code.locals, Known::Constant(0));
        state.called_again = false;
        let heights = vec![0; code.blocks.len()];
        let mut active = Activation {
            node,
            instance,
            heights,
            states: HashMap::new(),
            waiting: BTreeSet::new(),
            returned: [None, None],
        };
        active.arrive(0, state);
        let done = self.follow(&mut active, module, &code);
        self.uses.code.insert(node, code);
        done?;
        self.entered.pop();
        Ok(active.returned)
    }

    fn follow(&mut self, active: &mut Activation, module: &Module<'a>, code: &super::Code<'a>) -> Result<(), Stop> {
        while let Some((start, has_new_list)) = active.waiting.pop_first() {
            let mut state = active.states.get(&(start, has_new_list)).cloned().ok_or_else(untracked)?;
            self.spend(state.size())?;
            let mut pc = start;
            loop {
                self.spend(1)?;
                match self.control(active, module, code, pc, &mut state)? {
                    Next::Step => pc += 1,
                    Next::Elsewhere => break,
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, operators: usize) -> Result<(), Stop> {
        self.uses.budget = self.uses.budget.checked_sub(operators).ok_or_else(untracked)?;
        Ok(())
    }

    fn control(
        &mut self,
        active: &mut Activation,
        module: &Module<'a>,
        code: &super::Code<'a>,
        pc: usize,
        state: &mut State,
    ) -> Result<Next, Stop> {
        let (operator, at) = code.operators.get(pc).ok_or_else(untracked)?;
        let block = code.block(pc)?;
        let mut height = |state: &State| {
            active.heights[block] = state.stack.len().saturating_sub(code.blocks[block].params);
        };
        match operator {
            Operator::Block { .. } => height(state),
            Operator::Loop { .. } => {
                height(state);
                active.arrive(pc + 1, state.clone());
                return Ok(Next::Elsewhere);
            }
            Operator::If { .. } => {
                let known = pop(state)?;
                let condition = known.truth();
                self.spend(state.size())?;
                height(state);
                if condition != Some(true) {
                    let target = &code.blocks[block];
                    active.arrive(target.otherwise.unwrap_or(target.end) + 1, state.assuming(known, false));
                }
                *state = state.assuming(known, true);
                return Ok(if condition == Some(false) { Next::Elsewhere } else { Next::Step });
            }
            Operator::Else | Operator::End if block != 0 => {
                active.arrive(code.blocks[block].end + 1, state.clone());
                return Ok(Next::Elsewhere);
            }
            Operator::End | Operator::Return => {
                active.leave(code, 0, state.clone());
                return Ok(Next::Elsewhere);
            }
            Operator::Unreachable => return Ok(Next::Elsewhere),
            Operator::Br { relative_depth } => {
                active.leave(code, code.label(pc, *relative_depth)?, state.clone());
                return Ok(Next::Elsewhere);
            }
            Operator::BrIf { relative_depth } => {
                let known = pop(state)?;
                let condition = known.truth();
                self.spend(state.size())?;
                if condition != Some(false) {
                    active.leave(code, code.label(pc, *relative_depth)?, state.assuming(known, true));
                }
                *state = state.assuming(known, false);
                return Ok(if condition == Some(true) { Next::Elsewhere } else { Next::Step });
            }
            Operator::BrTable { targets } => {
                let chosen = pop(state)?;
                self.reads_whole &= !matches!(chosen, Known::Length | Known::Size);
                let mut labels = targets.targets().collect::<Result<Vec<u32>, _>>()?;
                labels.push(targets.default());
                if let Known::Constant(value) = chosen {
                    labels = vec![labels[(value as usize).min(labels.len() - 1)]];
                }
                labels.sort_unstable();
                labels.dedup();
                self.spend(labels.len().saturating_mul(state.size()))?;
                for depth in labels {
                    active.leave(code, code.label(pc, depth)?, state.clone());
                }
                return Ok(Next::Elsewhere);
            }
            Operator::Call { function_index } => {
                return self.call(active, module, Callee::Direct(*function_index), pc, *at, state);
            }
            Operator::CallIndirect { type_index, table_index } => {
                let slot = match state.stack.last() {
                    Some(Known::Constant(slot)) => Some(*slot as u32),
                    _ => None,
                };
                // The call graph knows the slot only if its constant is just before the call.
                let slot = slot.filter(|_| matches!(code.operators[pc - 1].0, Operator::I32Const { .. }));
                let callee = Callee::Table { table: *table_index, ty: *type_index, slot };
                return self.call(active, module, callee, pc, *at, state);
            }
            Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::CallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::BrOnCastDescEq { .. }
            | Operator::BrOnCastDescEqFail { .. } => return Err(untracked()),
            other => self.step(module, other, state)?,
        }
        Ok(Next::Step)
    }
}

impl Activation {
    /// Continues at an instruction, unless it was already reached in a state in which no more was known.
    pub(super) fn arrive(&mut self, pc: usize, state: State) {
        let key = (pc, state.has_new_list);
        let new = match self.states.get_mut(&key) {
            Some(known) => known.join(&state),
            None => {
                self.states.insert(key, state);
                true
            }
        };
        if new {
            self.waiting.insert(key);
        }
    }

    /// Branches to a label.
    fn leave(&mut self, code: &super::Code<'_>, block: usize, mut state: State) {
        let target = &code.blocks[block];
        let kept = if target.is_loop { target.params } else { target.results };
        let kept = state.stack.split_off(state.stack.len().saturating_sub(kept));
        state.stack.truncate(self.heights[block]);
        state.stack.extend(kept);
        if block != 0 {
            return self.arrive(if target.is_loop { target.begin + 1 } else { target.end + 1 }, state);
        }
        state.locals.clear();
        match &mut self.returned[usize::from(state.has_new_list)] {
            Some(known) => {
                known.join(&state);
            }
            nothing => *nothing = Some(state),
        }
    }
}

pub(super) fn pop(state: &mut State) -> Result<Known, Stop> {
    state.stack.pop().ok_or_else(untracked)
}
