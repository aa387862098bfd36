//! Reads a core module: its imports and exports, the contents of its tables, the functions whose address is taken, and
//! the calls of each function. Nothing is resolved here: that is done in `wiring` and `calls`.
//!
//! Cycle: with `control` and `values`. Reading a module means finding the calls of its functions, and following a
//! function needs the types of its module.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::ops::Range;

use wasmparser::{
    CompositeInnerType, ConstExpr, ElementItems, ElementKind, ExternalKind, FunctionBody, Operator, Parser, Payload,
    TableInit, TypeRef, ValType,
};

use super::control::{Call, Graph};
use super::limits::{Stop, find};

/// Identifies a function type across modules. `None` if its form does not identify it: such a type is assumed to match
/// every other.
pub(super) type Signature = Option<u32>;

/// Numbers the signatures of all modules of a component.
#[derive(Default)]
pub(super) struct Signatures(HashMap<Form, u32>);

/// Parameters and results.
type Form = (Box<[ValType]>, Box<[ValType]>);

/// The type of a function.
pub(super) struct FunctionType {
    pub(super) params: u32,
    pub(super) results: u32,
    pub(super) signature: Signature,
}

/// An exported function or table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Function(u32),
    Table(u32),
}

/// An import of a function or a table.
pub(super) struct Import<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

/// An element segment: functions that are written to a table when the module is instantiated.
pub(super) struct Segment {
    pub(super) table: u32,
    /// The slot of the first function; `None` if it is not a constant.
    pub(super) offset: Option<u32>,
    pub(super) functions: Vec<Option<u32>>,
}

/// The calls of a function.
pub(super) struct Code {
    pub(super) calls: Vec<LiveCall>,
    /// Whether it is a shim: it calls one function once, with exactly its own parameters, in order, and returns exactly
    /// the results.
    pub(super) passes_on: bool,
}

/// A call, and whether a path from the call can return.
pub(super) struct LiveCall {
    pub(super) call: Call,
    pub(super) returns: bool,
}

/// A core module.
#[derive(Default)]
pub(super) struct Module<'a> {
    /// By type index; `None` for a type that is not a function type.
    pub(super) types: Vec<Option<FunctionType>>,
    pub(super) imports: Vec<Import<'a>>,
    /// The type index of each function, imported functions first.
    pub(super) functions: Vec<u32>,
    pub(super) imported_functions: u32,
    pub(super) tables: u32,
    pub(super) exports: HashMap<&'a str, Item>,
    pub(super) start: Option<u32>,
    pub(super) segments: Vec<Segment>,
    /// Tables that code may modify, so that they can contain any function whose address is taken.
    pub(super) open_tables: BTreeSet<u32>,
    /// Functions whose address is taken.
    pub(super) taken: BTreeSet<u32>,
    /// Whether code throws or catches exceptions.
    pub(super) exceptions: bool,
    pub(super) bodies: Vec<FunctionBody<'a>>,
    pub(super) code: Vec<Code>,
    /// The offset of the contents of the code section in the file.
    pub(super) code_start: usize,
    pub(super) custom: Vec<(&'a str, &'a [u8])>,
    /// Whether a type has a supertype: a call through a reference may then reach a function of another form.
    subtypes: bool,
}

impl Signatures {
    fn number(&mut self, function: &wasmparser::FuncType) -> Signature {
        let alike = |ty: &ValType| match ty {
            ValType::Ref(reference) => reference.type_index().is_none(),
            _ => true,
        };
        if !function.params().iter().chain(function.results()).all(alike) {
            return None;
        }
        let next = self.0.len() as u32;
        Some(*self.0.entry((function.params().into(), function.results().into())).or_insert(next))
    }
}

impl<'a> Module<'a> {
    /// Reads the module in `range` of the file.
    pub(super) fn parse(bytes: &'a [u8], range: Range<usize>, signatures: &mut Signatures) -> Result<Module<'a>, Stop> {
        let mut module = Module::default();
        let content = bytes.get(range.clone()).unwrap_or_default();
        for payload in Parser::new(range.start as u64).parse_all(content) {
            module.section(payload?, signatures)?;
        }
        if module.subtypes {
            module.types.iter_mut().flatten().for_each(|ty| ty.signature = None);
        }
        for (function, body) in (module.imported_functions..).zip(mem::take(&mut module.bodies)) {
            let code = module.scan(function, &body)?;
            module.code.push(code);
            module.bodies.push(body);
        }
        Ok(module)
    }

    /// The type of a function.
    pub(super) fn function_type(&self, function: u32) -> Result<&FunctionType, Stop> {
        self.type_at(*find(&self.functions, function)?)
    }

    pub(super) fn type_at(&self, index: u32) -> Result<&FunctionType, Stop> {
        find(&self.types, index)?.as_ref().ok_or_else(Stop::inconsistent)
    }

    fn section(&mut self, payload: Payload<'a>, signatures: &mut Signatures) -> Result<(), Stop> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        self.subtypes |= ty.supertype_idx.is_some();
                        self.types.push(match &ty.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(FunctionType {
                                params: function.params().len() as u32,
                                results: function.results().len() as u32,
                                signature: signatures.number(function),
                            }),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.import(import?);
                }
            }
            Payload::FunctionSection(types) => {
                for ty in types {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    if let TableInit::Expr(init) = table?.init {
                        self.open_tables.insert(self.tables);
                        self.take(&init)?;
                    }
                    self.tables += 1;
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.take(&global?.init_expr)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            self.exports.insert(export.name, Item::Function(export.index));
                        }
                        ExternalKind::Table => {
                            self.exports.insert(export.name, Item::Table(export.index));
                        }
                        _ => {}
                    }
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.element(element?)?;
                }
            }
            Payload::CodeSectionStart { range, .. } => self.code_start = range.start,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => self.custom.push((section.name(), section.data())),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) {
        match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
            }
            TypeRef::Table(_) => self.tables += 1,
            _ => return,
        }
        self.imports.push(Import { module: import.module, name: import.name });
    }

    fn element(&mut self, element: wasmparser::Element<'a>) -> Result<(), Stop> {
        let mut functions = Vec::new();
        let mut followed = true;
        match element.items {
            ElementItems::Functions(indices) => {
                for index in indices {
                    functions.push(Some(index?));
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let expression = expression?;
                    self.take(&expression)?;
                    match single(&expression)? {
                        Some(Operator::RefFunc { function_index }) => functions.push(Some(function_index)),
                        Some(Operator::RefNull { .. }) => functions.push(None),
                        _ => {
                            followed = false;
                            functions.push(None);
                        }
                    }
                }
            }
        }
        self.taken.extend(functions.iter().flatten());
        if let ElementKind::Active { table_index, offset_expr } = element.kind {
            let table = table_index.unwrap_or(0);
            let offset = match single(&offset_expr)? {
                Some(Operator::I32Const { value }) => Some(value as u32),
                _ => None,
            };
            if !followed {
                self.open_tables.insert(table);
            }
            self.segments.push(Segment { table, offset, functions });
        }
        Ok(())
    }

    fn take(&mut self, expression: &ConstExpr<'a>) -> Result<(), Stop> {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.taken.insert(function_index);
            }
        }
        Ok(())
    }

    fn scan(&mut self, function: u32, body: &FunctionBody<'a>) -> Result<Code, Stop> {
        let graph = Graph::without_values(body)?;
        self.taken.extend(&graph.taken);
        self.exceptions |= graph.exceptions;
        self.open_tables.extend(&graph.changed_tables);
        let live = graph.can_return();
        let mut calls = Vec::with_capacity(graph.calls.len());
        for (node, returns) in graph.nodes.iter().zip(&live) {
            for call in &graph.calls[node.calls.clone()] {
                calls.push(LiveCall { call: call.clone(), returns: *returns });
            }
        }
        Ok(Code { calls, passes_on: self.passes_on(function, body)? })
    }

    /// Whether a body reads `local.get 0, …, local.get n, i32.const k, call_indirect` with all parameters of the
    /// function and of the callee, no more and no fewer: such a shim is what wit-component generates for an import that
    /// is not available yet.
    ///
    /// With more `local.get` than the callee has parameters, the first values would stay on the stack as results, and
    /// the callee would get shifted arguments. With more than the function has parameters, the last ones would be
    /// zeros.
    fn passes_on(&self, function: u32, body: &FunctionBody<'_>) -> Result<bool, Stop> {
        let params = self.function_type(function)?.params;
        let mut operators = body.get_operators_reader()?;
        for parameter in 0..params {
            if !matches!(operators.read()?, Operator::LocalGet { local_index } if local_index == parameter) {
                return Ok(false);
            }
        }
        if !matches!(operators.read()?, Operator::I32Const { .. }) {
            return Ok(false);
        }
        let Operator::CallIndirect { type_index, .. } = operators.read()? else { return Ok(false) };
        Ok(self.type_at(type_index)?.params == params && matches!(operators.read()?, Operator::End))
    }
}

/// The only instruction of an expression; `None` if it has several.
fn single<'a>(expression: &ConstExpr<'a>) -> Result<Option<Operator<'a>>, Stop> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read()?;
    Ok(matches!(operators.read()?, Operator::End).then_some(first))
}
