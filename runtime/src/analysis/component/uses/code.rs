//! A function body as a list of instructions, with the start and the end of each block.

use wasmparser::{BlockType, FunctionBody, Operator};

use crate::analysis::component::limits::{Stop, find};
use crate::analysis::component::module::Module;

/// A function body.
pub(super) struct Code<'a> {
    /// The instructions, with their offsets in the file.
    pub(super) operators: Vec<(Operator<'a>, usize)>,
    /// The innermost block of each instruction; for an instruction that starts or ends a block, that block.
    inside: Vec<u32>,
    /// The first block is the whole body.
    pub(super) blocks: Vec<Block>,
    pub(super) locals: usize,
}

/// A block, by the indices of its instructions.
pub(super) struct Block {
    pub(super) is_loop: bool,
    outer: u32,
    pub(super) begin: usize,
    pub(super) otherwise: Option<usize>,
    pub(super) end: usize,
    pub(super) params: usize,
    pub(super) results: usize,
}

impl<'a> Code<'a> {
    pub(super) fn of(module: &Module<'a>, function: u32) -> Result<Code<'a>, Stop> {
        let body: &FunctionBody<'a> = find(&module.bodies, function.wrapping_sub(module.imported_functions))?;
        let ty = module.function_type(function)?;
        let mut locals = ty.params as usize;
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(group?.0 as usize);
        }
        let results = ty.results as usize;
        let whole = Block { is_loop: false, outer: 0, begin: 0, otherwise: None, end: 0, params: 0, results };
        let mut code = Code { operators: Vec::new(), inside: Vec::new(), blocks: vec![whole], locals };
        let mut open = vec![0];
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (operator, at) = reader.read_with_offset()?;
            let number = code.operators.len();
            if let Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } = operator {
                let (params, results) = match blockty {
                    BlockType::Empty => (0, 0),
                    BlockType::Type(_) => (0, 1),
                    BlockType::FuncType(ty) => {
                        module.type_at(ty).map(|ty| (ty.params as usize, ty.results as usize))?
                    }
                };
                let is_loop = matches!(operator, Operator::Loop { .. });
                let outer = *open.last().ok_or_else(Stop::inconsistent)?;
                open.push(code.blocks.len() as u32);
                code.blocks.push(Block { is_loop, outer, begin: number, otherwise: None, end: 0, params, results });
            }
            let innermost = *open.last().ok_or_else(Stop::inconsistent)?;
            code.inside.push(innermost);
            match operator {
                Operator::Else => code.blocks[innermost as usize].otherwise = Some(number),
                Operator::End => {
                    code.blocks[innermost as usize].end = number;
                    open.pop();
                }
                Operator::TryTable { .. } => return Err(Stop::beyond("exceptions are not analysed")),
                _ => {}
            }
            code.operators.push((operator, at));
        }
        Ok(code)
    }

    /// The number of the block that an instruction starts, ends or belongs to.
    pub(super) fn block(&self, operator: usize) -> Result<usize, Stop> {
        find(&self.inside, operator as u32).map(|block| *block as usize)
    }

    /// The number of the block that a label refers to, relative to an instruction; 0 for the body.
    pub(super) fn label(&self, operator: usize, depth: u32) -> Result<usize, Stop> {
        let mut block = self.block(operator)?;
        for _ in 0..depth {
            block = self.blocks[block].outer as usize;
        }
        Ok(block)
    }
}
