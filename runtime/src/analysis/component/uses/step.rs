//! Interprets one instruction that is not a call.

use wasmparser::{MemArg, Operator};

use super::known::{Known, State};
use super::run::{Run, pop, untracked};
use crate::analysis::component::limits::Stop;
use crate::analysis::component::module::Module;
use crate::analysis::component::values::Arity;

/// The most parts of the stack memory that are tracked.
const MAX_CELLS: usize = 256;

/// An instruction that loads or stores.
struct Access {
    offset: u64,
    width: u32,
    stores: bool,
    /// The loaded value is sign-extended.
    signed: bool,
    /// The whole value is loaded or stored.
    full: bool,
}

impl Run<'_, '_, '_, '_> {
    /// Interprets an instruction that neither branches nor calls.
    pub(super) fn step(&mut self, module: &Module<'_>, operator: &Operator<'_>, state: &mut State) -> Result<(), Stop> {
        if let Some(access) = Access::of(operator) {
            return self.access(&access, operator, state);
        }
        let known = match operator {
            Operator::Nop => return Ok(()),
            Operator::Drop => return pop(state).map(drop),
            Operator::LocalGet { local_index } => *local(state, *local_index)?,
            Operator::LocalSet { local_index } => {
                let known = pop(state)?;
                *local(state, *local_index)? = known;
                return Ok(());
            }
            Operator::LocalTee { local_index } => {
                let known = pop(state)?;
                *local(state, *local_index)? = known;
                known
            }
            // Linkers make the stack pointer the first global.
            Operator::GlobalGet { global_index: 0 } => state.memory.top,
            Operator::GlobalSet { global_index: 0 } => {
                state.memory.top = pop(state)?;
                return if state.memory.top.is_list() { Err(untracked()) } else { Ok(()) };
            }
            Operator::I32Const { value } => Known::Constant(u64::from(*value as u32)),
            Operator::I64Const { value } => Known::Constant(*value as u64),
            Operator::Select | Operator::TypedSelect { .. } => {
                let (condition, b, a) = (pop(state)?, pop(state)?, pop(state)?);
                match condition.truth() {
                    Some(holds) => [b, a][usize::from(holds)],
                    None => a.join(b),
                }
            }
            Operator::MemoryCopy { .. } => {
                let (len, from, to) = (pop(state)?, pop(state)?, pop(state)?);
                return self.copy(to, from, len, state);
            }
            Operator::MemoryFill { .. } => {
                let (len, _, to) = (pop(state)?, pop(state)?, pop(state)?);
                match (to, len) {
                    (Known::List { .. }, _) => return Err(untracked()),
                    (Known::Stack(Some(to)), Known::Constant(len)) => state.memory.clear(to, len as u32),
                    (Known::Stack(to), _) => state.memory.forget(to),
                    _ => {}
                }
                return Ok(());
            }
            Operator::I32WrapI64 => match pop(state)? {
                Known::ListAndLength { old } => Known::List { at: Some(0), old },
                Known::Constant(value) => Known::Constant(u64::from(value as u32)),
                Known::Metadata => Known::Metadata,
                known if known.is_list() => Known::ANY_LIST,
                _ => Known::Other,
            },
            Operator::I64ExtendI32U | Operator::I64ExtendI32S => {
                if pop(state)?.is_list() {
                    Known::ANY_LIST
                } else {
                    Known::Other
                }
            }
            Operator::I32Eqz | Operator::I64Eqz => match pop(state)? {
                Known::Test { held, failed } => Known::Test { held: failed, failed: held },
                known => known.truth().map_or(Known::Other, |truth| Known::Constant(u64::from(!truth))),
            },
            other => match other.operator_arity(&Arity(module)) {
                Some((2, 1)) => {
                    let (b, a) = (pop(state)?, pop(state)?);
                    let known = if is_comparison(other) { compare(other, a, b) } else { None };
                    self.reads_whole &= known.is_some() || !depends_on_length(other, a, b);
                    match known {
                        Some(known) => known,
                        None => binary(other, a, b)?,
                    }
                }
                Some((pops, pushes)) => {
                    for _ in 0..pops {
                        let known = pop(state)?;
                        // Some of these load and store in ways that are not tracked.
                        if known.is_list() || matches!(known, Known::Stack(_)) {
                            return Err(untracked());
                        }
                    }
                    state.stack.resize(state.stack.len() + pushes as usize, Known::Other);
                    return Ok(());
                }
                None => return Err(untracked()),
            },
        };
        state.stack.push(known);
        Ok(())
    }

    fn access(&mut self, access: &Access, operator: &Operator<'_>, state: &mut State) -> Result<(), Stop> {
        let offset = access.offset as u32;
        let value = if access.stores { Some(pop(state)?) } else { None };
        let address = pop(state)?;
        let Some(value) = value else {
            let known = match address {
                Known::List { at, .. } => {
                    self.use_bytes(state, at, access.offset, u64::from(access.width))?;
                    Known::Other
                }
                Known::ListAndLength { .. } => return Err(untracked()),
                Known::Stack(Some(at)) => match state.memory.load(at.wrapping_add(offset), access.width) {
                    known if access.full || (!access.signed && matches!(known, Known::Constant(_))) => known,
                    known if known.is_list() => Known::ANY_LIST,
                    _ => Known::Other,
                },
                Known::Metadata if matches!(operator, Operator::I64Load { .. }) => Known::Size,
                // It can be any value that was stored there.
                Known::Stack(None) if state.memory.has_list() => Known::ANY_LIST,
                Known::Stack(None) => Known::Stack(None),
                _ if state.memory.escaped && state.memory.has_list() => Known::ANY_LIST,
                _ => Known::Other,
            };
            state.stack.push(known);
            return Ok(());
        };
        match address {
            Known::List { .. } | Known::ListAndLength { .. } => return Err(untracked()),
            Known::Stack(Some(at)) => {
                let at = at.wrapping_add(offset);
                let fits = match value {
                    Known::List { .. } => matches!(operator, Operator::I32Store { .. }),
                    Known::ListAndLength { .. } => matches!(operator, Operator::I64Store { .. }),
                    _ => true,
                };
                if !fits {
                    return Err(untracked());
                }
                let known = match value {
                    Known::Constant(value) if access.width < 8 => {
                        Known::Constant(value & ((1 << (8 * access.width)) - 1))
                    }
                    known if access.full => known,
                    _ => Known::Other,
                };
                state.memory.store(at, access.width, known);
                if state.memory.len() > MAX_CELLS {
                    return Err(untracked());
                }
            }
            _ if value.is_list() => return Err(untracked()),
            Known::Stack(None) => {
                state.memory.forget(None);
                state.memory.escaped |= matches!(value, Known::Stack(_));
            }
            _ => {
                state.memory.escaped |= matches!(value, Known::Stack(_));
                if state.memory.escaped {
                    state.memory.forget(None);
                }
            }
        }
        Ok(())
    }

    pub(super) fn copy(&mut self, to: Known, from: Known, len: Known, state: &mut State) -> Result<(), Stop> {
        let len = match len {
            Known::Constant(len) => Some(len as u32),
            _ => None,
        };
        if to.is_list() {
            return Err(untracked());
        }
        match from {
            Known::List { at, .. } => self.use_bytes(state, at, 0, u64::from(len.ok_or_else(untracked)?))?,
            Known::ListAndLength { .. } => return Err(untracked()),
            Known::Stack(Some(from)) => {
                if let (Known::Stack(Some(to)), Some(len)) = (to, len) {
                    state.memory.copy(to, from, len);
                    return Ok(());
                }
                if state.memory.has_list() {
                    return Err(untracked());
                }
            }
            Known::Stack(None) if state.memory.has_list() => return Err(untracked()),
            _ => {}
        }
        match (to, len) {
            (Known::Stack(Some(to)), Some(len)) => state.memory.clear(to, len),
            (Known::Stack(to), _) => state.memory.forget(to),
            _ if state.memory.escaped => state.memory.forget(None),
            _ => {}
        }
        Ok(())
    }
}

fn local(state: &mut State, index: u32) -> Result<&mut Known, Stop> {
    state.locals.get_mut(index as usize).ok_or_else(untracked)
}

/// The result of a binary instruction.
fn binary(operator: &Operator<'_>, a: Known, b: Known) -> Result<Known, Stop> {
    use Known::{Constant, Length, List, ListAndLength, Metadata, Other, Stack};
    let any = |is: fn(Known) -> bool| is(a) || is(b);
    Ok(match (operator, a, b) {
        (Operator::I32Add, Constant(a), Constant(b)) => Constant(u64::from((a as u32).wrapping_add(b as u32))),
        (Operator::I32Sub, Constant(a), Constant(b)) => Constant(u64::from((a as u32).wrapping_sub(b as u32))),
        (Operator::I32And, Constant(a), Constant(b)) => Constant(a & b),
        (Operator::I32Add, List { at, old }, Constant(by)) | (Operator::I32Add, Constant(by), List { at, old }) => {
            List { at: at.map(|at| at.wrapping_add(by as u32)), old }
        }
        (Operator::I32Sub, List { at, old }, Constant(by)) => List { at: at.map(|at| at.wrapping_sub(by as u32)), old },
        (Operator::I32Add, Stack(at), Constant(by)) | (Operator::I32Add, Constant(by), Stack(at)) => {
            Stack(at.map(|at| at.wrapping_add(by as u32)))
        }
        (Operator::I32Sub, Stack(at), Constant(by)) => Stack(at.map(|at| at.wrapping_sub(by as u32))),
        (Operator::I64ShrU, ListAndLength { .. }, Constant(32)) => Length,
        _ if is_comparison(operator) => Other,
        _ if any(Known::is_list) && is_arithmetic(operator) => Known::ANY_LIST,
        _ if any(Known::is_list) => return Err(untracked()),
        _ if any(|known| matches!(known, Stack(_))) && is_arithmetic(operator) => Stack(None),
        _ if any(|known| matches!(known, Stack(_))) => return Err(untracked()),
        (Operator::I32Add | Operator::I32Sub, Metadata, _) | (Operator::I32Add, _, Metadata) => Metadata,
        _ => Other,
    })
}

/// Whether a result may depend on the length of the payload in a way that is not tracked.
fn depends_on_length(operator: &Operator<'_>, a: Known, b: Known) -> bool {
    let measured = |known| matches!(known, Known::Length | Known::Size);
    let constant = |known| matches!(known, Known::Constant(_));
    let tested = |known| matches!(known, Known::Test { .. });
    let either = is_comparison(operator) || constant(a) || constant(b);
    tested(a) || tested(b) || (either && (measured(a) || measured(b)))
}

/// What a comparison says about the length of the payload, or its result if that is known.
fn compare(operator: &Operator<'_>, a: Known, b: Known) -> Option<Known> {
    use Operator::*;
    let truth = |holds: bool| Some(Known::Constant(u64::from(holds)));
    let at_most = |bytes: u64| u32::try_from(bytes).ok();
    let (a, b, swapped) = if matches!(a, Known::Constant(_)) { (b, a, true) } else { (a, b, false) };
    let Known::Constant(c) = b else { return None };
    let below = Known::Test { held: at_most(c.saturating_sub(1)), failed: None };
    let up_to = Known::Test { held: at_most(c), failed: None };
    let above = Known::Test { held: None, failed: at_most(c) };
    let from = Known::Test { held: None, failed: at_most(c.saturating_sub(1)) };
    match (operator, a) {
        (I32Eq | I64Eq, Known::Constant(a)) => truth(a == c),
        (I32Ne | I64Ne, Known::Constant(a)) => truth(a != c),
        (I32Eq, Known::Length) if c == 0 => truth(false),
        (I32Ne, Known::Length) if c == 0 => truth(true),
        (I32LtU, Known::Length) if c == 1 && !swapped => truth(false),
        (I32Eq | I64Eq, Known::Length | Known::Size) => Some(up_to),
        (I32Ne | I64Ne, Known::Length | Known::Size) => Some(above),
        (I32LtU | I32LtS | I64LtU | I64LtS, Known::Length | Known::Size) => Some(if swapped { above } else { below }),
        (I32LeU | I32LeS | I64LeU | I64LeS, Known::Length | Known::Size) => Some(if swapped { from } else { up_to }),
        (I32GtU | I32GtS | I64GtU | I64GtS, Known::Length | Known::Size) => Some(if swapped { below } else { above }),
        (I32GeU | I32GeS | I64GeU | I64GeS, Known::Length | Known::Size) => Some(if swapped { up_to } else { from }),
        _ => None,
    }
}

fn is_comparison(operator: &Operator<'_>) -> bool {
    use Operator::*;
    matches!(operator, I32Eq | I32Ne | I32LtS | I32LtU | I32GtS | I32GtU | I32LeS | I32LeU | I32GeS | I32GeU)
        || matches!(operator, I64Eq | I64Ne | I64LtS | I64LtU | I64GtS | I64GtU | I64LeS | I64LeU | I64GeS | I64GeU)
}

fn is_arithmetic(operator: &Operator<'_>) -> bool {
    use Operator::*;
    matches!(operator, I32Add | I32Sub | I32Mul | I32And | I32Or | I32Xor | I32Shl | I32ShrS | I32ShrU)
        || matches!(operator, I64Add | I64Sub | I64Mul | I64And | I64Or | I64Xor | I64Shl | I64ShrS | I64ShrU)
}

impl Access {
    fn of(operator: &Operator<'_>) -> Option<Access> {
        use Operator::*;
        let (memarg, width, stores, full): (&MemArg, u32, bool, bool) = match operator {
            I32Load { memarg } => (memarg, 4, false, true),
            I64Load { memarg } => (memarg, 8, false, true),
            F32Load { memarg } => (memarg, 4, false, false),
            F64Load { memarg } => (memarg, 8, false, false),
            I32Load8U { memarg } | I32Load8S { memarg } => (memarg, 1, false, false),
            I64Load8U { memarg } | I64Load8S { memarg } => (memarg, 1, false, false),
            I32Load16U { memarg } | I32Load16S { memarg } => (memarg, 2, false, false),
            I64Load16U { memarg } | I64Load16S { memarg } => (memarg, 2, false, false),
            I64Load32U { memarg } | I64Load32S { memarg } => (memarg, 4, false, false),
            I32Store { memarg } => (memarg, 4, true, true),
            I64Store { memarg } => (memarg, 8, true, true),
            F32Store { memarg } => (memarg, 4, true, false),
            F64Store { memarg } => (memarg, 8, true, false),
            I32Store8 { memarg } | I64Store8 { memarg } => (memarg, 1, true, false),
            I32Store16 { memarg } | I64Store16 { memarg } => (memarg, 2, true, false),
            I64Store32 { memarg } => (memarg, 4, true, false),
            _ => return None,
        };
        let signed = matches!(
            operator,
            I32Load8S { .. } | I32Load16S { .. } | I64Load8S { .. } | I64Load16S { .. } | I64Load32S { .. }
        );
        (memarg.memory == 0).then_some(Access { offset: memarg.offset, width, stores, signed, full })
    }
}
