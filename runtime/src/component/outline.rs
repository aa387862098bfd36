//! The outline of a component: the same declarations, imports and exports with the same types, but functions that only
//! trap. The engine links an outline if and only if it links the component, and there is next to nothing to compile. An
//! outline can be instantiated without running code of the component.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{
    CodeSection, Component, ComponentSectionId, ConstExpr, CustomSection, Encode as _, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, Module, RawSection, RefType, Section as _, TableSection, TableType,
    ValType,
};
use wasmparser::{BinaryReaderError, Encoding, ExternalKind, Parser, Payload, TableInit, TypeRef};

use crate::error::LoadError;

/// The outline of the valid component in `bytes`.
///
/// # Errors
///
/// If `bytes` cannot be parsed to the end.
pub(crate) fn outline(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    // The enclosing components, outermost first.
    let mut around: Vec<Vec<u8>> = Vec::new();
    let mut output = Component::HEADER.to_vec();
    let mut in_module = false;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        match &payload {
            Payload::End(_) if in_module => in_module = false,
            _ if in_module => {}
            Payload::ModuleSection { unchecked_range, .. } => {
                let module = get_section(bytes, unchecked_range)?;
                let outlined = Outline::read(module).map_err(malformed)?.and_then(Outline::encode);
                let data = outlined.map_or_else(|| without_start(module), Ok)?;
                RawSection { id: ComponentSectionId::CoreModule as u8, data: &data }.append_to(&mut output);
                in_module = true;
            }
            Payload::ComponentSection { .. } => {
                around.push(std::mem::replace(&mut output, Component::HEADER.to_vec()));
            }
            Payload::End(_) => {
                let Some(mut outer) = around.pop() else { break };
                outer.push(ComponentSectionId::Component as u8);
                output.encode(&mut outer);
                output = outer;
            }
            Payload::CustomSection(_) | Payload::Version { encoding: Encoding::Component, .. } => {}
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    RawSection { id, data: get_section(bytes, &range)? }.append_to(&mut output);
                }
            }
        }
    }
    Ok(output)
}

/// A module that no outline can be made of, without the function that runs when it is instantiated.
fn without_start(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut kept = Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(malformed)?;
        if !matches!(payload, Payload::StartSection { .. })
            && let Some((id, range)) = payload.as_section()
        {
            RawSection { id, data: get_section(module, &range)? }.append_to(&mut kept);
        }
    }
    Ok(kept)
}

fn malformed(error: BinaryReaderError) -> LoadError {
    LoadError::Malformed(error.to_string())
}

fn get_section<'a>(bytes: &'a [u8], range: &Range<usize>) -> Result<&'a [u8], LoadError> {
    bytes.get(range.clone()).ok_or_else(|| LoadError::Malformed("a section extends beyond the end".to_string()))
}

/// The parts of a core module that an outline needs.
#[derive(Default)]
struct Outline<'a> {
    /// Sections that are kept unchanged, by ID.
    kept: BTreeMap<u8, &'a [u8]>,
    custom: Vec<&'a str>,
    imported_functions: u32,
    /// The types of the functions that the module defines.
    functions: Vec<u32>,
    tables: Vec<wasmparser::TableType>,
    /// Whether a table has initial values other than null.
    has_table_values: bool,
    globals: Vec<wasmparser::GlobalType>,
    exports: Vec<wasmparser::Export<'a>>,
}

impl<'a> Outline<'a> {
    /// `None` if no outline can be made of the module.
    fn read(module: &'a [u8]) -> Result<Option<Outline<'a>>, BinaryReaderError> {
        let mut outline = Outline::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let Payload::TypeSection(_)
            | Payload::ImportSection(_)
            | Payload::MemorySection(_)
            | Payload::TagSection(_) = &payload
                && let Some((id, range)) = payload.as_section()
                && let Some(data) = module.get(range)
            {
                outline.kept.insert(id, data);
            }
            match payload {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let is_function = matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        outline.imported_functions += u32::from(is_function);
                    }
                }
                Payload::FunctionSection(types) => outline.functions = types.into_iter().collect::<Result<_, _>>()?,
                Payload::TableSection(tables) => {
                    for table in tables {
                        let table = table?;
                        outline.has_table_values |= !matches!(table.init, TableInit::RefNull);
                        outline.tables.push(table.ty);
                    }
                }
                Payload::GlobalSection(globals) => {
                    for global in globals {
                        outline.globals.push(global?.ty);
                    }
                }
                Payload::ExportSection(exports) => outline.exports = exports.into_iter().collect::<Result<_, _>>()?,
                // The engine rejects some custom sections by name.
                Payload::CustomSection(section) => outline.custom.push(section.name()),
                _ => {}
            }
        }
        Ok((!outline.has_table_values).then_some(outline))
    }

    /// `None` if a global needs an initial value that cannot be constructed.
    fn encode(self) -> Option<Vec<u8>> {
        let mut module = Module::new();
        let raw = |module: &mut Module, id: u8| {
            if let Some(data) = self.kept.get(&id) {
                module.section(&RawSection { id, data });
            }
        };
        let (functions, exports) = self.exports()?;
        raw(&mut module, TYPES);
        raw(&mut module, IMPORTS);
        let (mut types, mut code) = (FunctionSection::new(), CodeSection::new());
        for ty in functions {
            types.function(ty);
            let mut body = wasm_encoder::Function::new([]);
            body.instructions().unreachable().end();
            code.function(&body);
        }
        module.section(&types).section(&self.tables()?);
        raw(&mut module, MEMORIES);
        raw(&mut module, TAGS);
        module.section(&self.globals()?).section(&exports).section(&code);
        for name in self.custom.iter().filter(|name| **name != "name" && !name.starts_with(".debug")) {
            module.section(&CustomSection { name: (*name).into(), data: (&[]).into() });
        }
        Some(module.finish())
    }

    /// The types of the functions of the outline, one function for each exported type, and the exports of these
    /// functions.
    fn exports(&self) -> Option<(Vec<u32>, ExportSection)> {
        let mut left: Vec<u32> = Vec::new();
        let mut places: BTreeMap<u32, u32> = BTreeMap::new();
        let mut exports = ExportSection::new();
        for export in &self.exports {
            let (kind, index) = match export.kind {
                ExternalKind::Func => {
                    let index = match export.index.checked_sub(self.imported_functions) {
                        None => export.index,
                        Some(defined) => {
                            let ty = *self.functions.get(defined as usize)?;
                            *places.entry(ty).or_insert_with(|| {
                                left.push(ty);
                                self.imported_functions + left.len() as u32 - 1
                            })
                        }
                    };
                    (ExportKind::Func, index)
                }
                ExternalKind::Table => (ExportKind::Table, export.index),
                ExternalKind::Memory => (ExportKind::Memory, export.index),
                ExternalKind::Global => (ExportKind::Global, export.index),
                ExternalKind::Tag => (ExportKind::Tag, export.index),
                ExternalKind::FuncExact => return None,
            };
            exports.export(export.name, kind, index);
        }
        Some((left, exports))
    }

    fn tables(&self) -> Option<TableSection> {
        let mut tables = TableSection::new();
        for table in &self.tables {
            tables.table(TableType::try_from(*table).ok()?);
        }
        Some(tables)
    }

    fn globals(&self) -> Option<GlobalSection> {
        let mut globals = GlobalSection::new();
        for global in &self.globals {
            let ty = GlobalType::try_from(*global).ok()?;
            globals.global(ty, &zero(ty.val_type)?);
        }
        Some(globals)
    }
}

/// The IDs of sections of a core module.
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const MEMORIES: u8 = 5;
const TAGS: u8 = 13;

fn zero(ty: ValType) -> Option<ConstExpr> {
    Some(match ty {
        ValType::I32 => ConstExpr::i32_const(0),
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0f32.into()),
        ValType::F64 => ConstExpr::f64_const(0f64.into()),
        ValType::V128 => ConstExpr::v128_const(0),
        ValType::Ref(RefType { nullable: true, heap_type }) => ConstExpr::ref_null(heap_type),
        ValType::Ref(RefType { nullable: false, .. }) => return None,
    })
}
