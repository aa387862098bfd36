//! Interprets a call: the read that is examined, functions that are known by name, and functions that are entered.

use super::known::{Known, State};
use super::run::{Activation, Next, Run, pop, untracked};
use crate::analysis::component::calls::{Meaning, Node, node_of};
use crate::analysis::component::control::Callee;
use crate::analysis::component::limits::Stop;
use crate::analysis::component::module::Module;
use crate::contract::TrackedImport;

/// The size of the result of a read in the canonical ABI: a byte that is 0 for a list, the address of the list at 4,
/// and its length at 8.
const RESULT: u32 = 16;
/// A Rust vector contains its pointer within this many bytes.
const OF_VEC: u32 = 8;

impl<'a> Run<'_, '_, '_, 'a> {
    pub(super) fn call(
        &mut self,
        active: &mut Activation,
        module: &Module<'a>,
        callee: Callee,
        pc: usize,
        at: usize,
        state: &mut State,
    ) -> Result<Next, Stop> {
        let ty = match callee {
            Callee::Direct(function) => module.function_type(function)?,
            Callee::Table { ty, .. } | Callee::Reference(ty) => {
                pop(state)?;
                module.type_at(ty)?
            }
        };
        let (params, results) = (ty.params as usize, ty.results as usize);
        let rest = state.stack.len().checked_sub(params).ok_or_else(untracked)?;
        let arguments = state.stack.split_off(rest);
        let callees = self.uses.calls.callees(active.instance, callee)?;
        let read = match callees[..] {
            [node] => [TrackedImport::Read, TrackedImport::ReadAll].into_iter().find(|read| node_of(*read) == node),
            _ => None,
        };
        if let Some(read) = read {
            if (active.node, at) == self.place {
                self.read(active, read, &arguments, pc, state)?;
                return Ok(Next::Elsewhere);
            }
            match arguments.last() {
                Some(Known::Stack(Some(result))) => state.memory.clear(*result, RESULT),
                _ => state.memory.forget(None),
            }
            return Ok(Next::Step);
        }
        let function = match callees[..] {
            [node] => match self.uses.calls.meanings[node as usize] {
                Meaning::Function { instance, function } => Some((node, instance, function)),
                _ => None,
            },
            _ => None,
        };
        let relevant = callees.iter().any(|node| self.uses.relevant[*node as usize]);
        let given_list = arguments.iter().any(|known| known.is_list());
        let given_stack = arguments.iter().any(|known| matches!(known, Known::Stack(_)));
        if let Some((_, instance, function)) = function
            && (given_list || given_stack)
        {
            let name = self.uses.name(instance, function)?;
            if self.call_by_name(&name, &arguments, results, state)? {
                return Ok(Next::Step);
            }
        }
        let sees = relevant || given_list || (given_stack && state.memory.has_list());
        match function {
            Some((node, ..)) if sees => return self.call_into(active, node, arguments, pc, state),
            None if relevant || given_list => return Err(untracked()),
            None if given_stack && state.memory.has_list() && !self.is_host(&callees) => return Err(untracked()),
            _ => {}
        }
        if state.memory.escaped && state.memory.has_list() && !self.is_host(&callees) {
            return Err(untracked());
        }
        for argument in &arguments {
            if let Known::Stack(from) = argument {
                state.memory.forget(*from);
            }
        }
        // A function may return its arguments, or parts of them.
        let result = if given_stack && !self.is_host(&callees) { Known::Stack(None) } else { Known::Other };
        state.stack.resize(rest + results, result);
        Ok(Next::Step)
    }

    fn is_host(&self, callees: &[Node]) -> bool {
        let host =
            |node: &Node| matches!(self.uses.calls.meanings[*node as usize], Meaning::Host | Meaning::TrackedImport(_));
        callees.iter().all(host)
    }

    /// The call of `read` that is examined: with a non-empty list, and with an empty one.
    fn read(
        &mut self,
        active: &mut Activation,
        read: TrackedImport,
        arguments: &[Known],
        pc: usize,
        state: &mut State,
    ) -> Result<(), Stop> {
        let Some(Known::Stack(Some(result))) = arguments.last() else { return Err(untracked()) };
        self.reached = true;
        self.reads_whole &= match (read, arguments) {
            (TrackedImport::Read, [_, _, offset, length, _]) => *offset == Known::Constant(0) && *length == Known::Size,
            _ => false,
        };
        state.age_lists();
        state.memory.clear(*result, RESULT);
        state.has_new_list = false;
        active.arrive(pc + 1, state.clone());
        state.has_new_list = true;
        state.memory.store(*result, 1, Known::Constant(0));
        state.memory.store(result.wrapping_add(4), 4, Known::List { at: Some(0), old: false });
        state.memory.store(result.wrapping_add(8), 4, Known::Length);
        active.arrive(pc + 1, state.clone());
        Ok(())
    }

    fn call_into(
        &mut self,
        active: &mut Activation,
        node: Node,
        arguments: Vec<Known>,
        pc: usize,
        state: &mut State,
    ) -> Result<Next, Stop> {
        let memory = state.memory.clone();
        let inner = State {
            locals: arguments,
            stack: Vec::new(),
            memory,
            has_new_list: state.has_new_list,
            longest: state.longest,
            called_again: false,
        };
        for returned in self.enter(node, inner)?.into_iter().flatten() {
            let mut after = state.clone();
            if returned.called_again {
                after.age_lists();
            } else if after.has_new_list && !returned.has_new_list {
                after.drop_list();
            }
            after.stack.extend(returned.stack);
            after.memory = returned.memory;
            after.memory.top = state.memory.top;
            after.memory.forget_below_top();
            after.has_new_list = returned.has_new_list;
            after.longest = returned.longest;
            active.arrive(pc + 1, after);
        }
        Ok(Next::Elsewhere)
    }

    /// Interprets a call of a function whose name says what it does with its memory arguments. Returns whether it is
    /// one.
    fn call_by_name(
        &mut self,
        name: &str,
        arguments: &[Known],
        results: usize,
        state: &mut State,
    ) -> Result<bool, Stop> {
        let pointer = |old: bool| Known::List { at: Some(0), old };
        if frees(name) {
            let holds = |known: &Known| match known {
                Known::Stack(Some(at)) => state.memory.holds(*at, OF_VEC, pointer(false)),
                known => *known == pointer(false),
            };
            if arguments.iter().any(holds) {
                state.drop_list();
            } else if arguments.iter().any(|known| known.is_list() && *known != pointer(true)) {
                return Err(untracked());
            }
            state.stack.resize(state.stack.len() + results, Known::Other);
            return Ok(true);
        }
        let &[a, b, len] = arguments else { return Ok(false) };
        match name {
            "memcmp" | "bcmp" => {
                let Known::Constant(len) = len else { return Err(untracked()) };
                for known in [a, b] {
                    match known {
                        Known::List { at, .. } => self.use_bytes(state, at, 0, len)?,
                        known if known.is_list() => return Err(untracked()),
                        _ => {}
                    }
                }
                state.stack.push(Known::Other);
            }
            "memcpy" | "memmove" => {
                self.copy(a, b, len, state)?;
                state.stack.push(a);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Whether a function of the C or Rust allocator frees its argument without reading it.
fn frees(name: &str) -> bool {
    let plain = ["free", "dlfree", "__rust_dealloc", "__rustc::__rust_dealloc", "alloc::alloc::dealloc"];
    let generic = [
        ("<alloc::raw_vec::RawVec<", ">::drop"),
        ("alloc::raw_vec::RawVec", "::deallocate"),
        ("<alloc::raw_vec::RawVec", "::deallocate"),
        ("core::ptr::drop_in_place<alloc::vec::Vec<u8>", ">"),
        ("core::ptr::drop_in_place::<alloc::vec::Vec<u8>", ">"),
    ];
    plain.contains(&name) || generic.iter().any(|(begin, end)| name.starts_with(begin) && name.ends_with(end))
}
