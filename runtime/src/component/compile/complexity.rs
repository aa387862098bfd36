//! What compiling a component can cost at most, told from its binary without compiling it.
//!
//! The compiler keeps a value for each local at each place where control flow meets, and a value for each parameter and
//! result of each block and call. So the measure of a function is these values; its instructions are bounded by its bytes.

use wasmparser::{CompositeInnerType, DataKind, ElementItems, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::instances::Instances;

/// What a component is made of, as far as it costs when it is compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Complexity {
    /// Bytes of the component.
    pub bytes: u64,
    /// Bytes of the code of all functions, and of constant expressions.
    pub code_bytes: u64,
    /// Bytes of the code of the largest function.
    pub function_bytes: u64,
    /// Functions with code.
    pub functions: u64,
    /// Types of core modules: for each of a function the engine compiles what calls one.
    pub types: u64,
    /// Functions in the element segments of core modules.
    pub elements: u64,
    /// Values of the function that has most: its locals at each branch, and the parameters and results of its blocks and
    /// calls, at most.
    pub function_values: u64,
    /// Values of all functions.
    pub values: u64,
    /// Core modules and components in it.
    pub modules: u64,
    /// Components in it, between which the engine writes code of its own.
    pub components: u64,
    /// Memories, tables, globals, imports and exports of all core modules.
    pub definitions: u64,
    /// Instances of core modules and components, each counted as often as it is instantiated.
    pub instances: u64,
    /// Types, imports, exports and functions that components declare outside of their modules, each as often as the component
    /// is instantiated.
    pub declarations: u64,
    /// Bytes of the types of functions that one component calls in another, for each of these functions: the engine writes code
    /// for every part of them.
    pub adapter_bytes: u64,
}

/// Up to this a component compiles where it is asked for: some ten milliseconds for each 100 KiB of code, and a few MiB.
const SMALL: Complexity = Complexity {
    bytes: 8 << 20,
    code_bytes: 512 << 10,
    function_bytes: 64 << 10,
    functions: 4096,
    types: 1024,
    elements: 4096,
    function_values: 1 << 20,
    values: 1 << 24,
    modules: 16,
    components: 8,
    definitions: 2048,
    instances: 64,
    declarations: 4096,
    adapter_bytes: 64 << 10,
};

/// Beyond this no component compiles without a process that can be stopped: some hundred MiB, and some minutes.
const MOST: Complexity = Complexity {
    bytes: u64::MAX,
    code_bytes: 32 << 20,
    function_bytes: 4 << 20,
    functions: 100_000,
    types: 50_000,
    elements: 100_000,
    function_values: 1 << 26,
    values: 1 << 30,
    modules: 256,
    components: 64,
    definitions: 100_000,
    instances: 256,
    declarations: 100_000,
    adapter_bytes: 4 << 20,
};

/// What no component may have, wherever it is compiled: no tool makes so many instances, a stage cannot have them, and the
/// memory of the process that compiles it would be full before it is refused.
const ANYWHERE: Complexity = Complexity {
    bytes: u64::MAX,
    code_bytes: u64::MAX,
    function_bytes: u64::MAX,
    functions: u64::MAX,
    types: u64::MAX,
    elements: u64::MAX,
    function_values: u64::MAX,
    values: u64::MAX,
    modules: u64::MAX,
    components: u64::MAX,
    definitions: u64::MAX,
    instances: 256,
    declarations: u64::MAX,
    adapter_bytes: u64::MAX,
};

impl Complexity {
    /// Measures a component, with all modules and components in it.
    ///
    /// # Errors
    ///
    /// Where it is not one.
    pub fn measure(component: &[u8]) -> Result<Complexity, wasmparser::BinaryReaderError> {
        let Instances { instances, declarations, adapters } = Instances::count(component)?;
        let bytes = component.len() as u64;
        let mut all = Complexity { bytes, instances, declarations, ..Complexity::default() };
        let mut type_bytes = 0;
        // Parameters and results of the type with most of them, in the module that is read.
        let mut arity = 0;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::ModuleSection { .. } => all.modules += 1,
                Payload::ComponentSection { .. } => {
                    all.modules += 1;
                    all.components += 1;
                }
                Payload::Version { .. } => arity = 0,
                Payload::TypeSection(types) => {
                    for group in types {
                        for ty in group?.into_types() {
                            all.types += 1;
                            if let CompositeInnerType::Func(ty) = &ty.composite_type.inner {
                                arity = arity.max((ty.params().len() + ty.results().len()) as u64);
                            }
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        all.definitions += 1 + u64::from(matches!(import?.ty, TypeRef::Memory(_)));
                    }
                }
                Payload::MemorySection(section) => all.definitions += 256 * u64::from(section.count()),
                Payload::TableSection(section) => all.definitions += 64 * u64::from(section.count()),
                Payload::GlobalSection(section) => {
                    all.definitions += u64::from(section.count());
                    all.code_bytes += section.range().len() as u64;
                }
                Payload::ExportSection(section) => all.definitions += u64::from(section.count()),
                Payload::ElementSection(section) => {
                    all.code_bytes += section.range().len() as u64;
                    for element in section {
                        all.elements += u64::from(match element?.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        });
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        if let DataKind::Active { offset_expr, .. } = data?.kind {
                            all.code_bytes += offset_expr.get_binary_reader().range().len() as u64;
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => all.add_function(&body, arity)?,
                Payload::ComponentTypeSection(section) => type_bytes += section.range().len() as u64,
                _ => {}
            }
        }
        all.adapter_bytes = adapters.saturating_mul(type_bytes);
        Ok(all)
    }

    fn add_function(&mut self, body: &FunctionBody<'_>, arity: u64) -> Result<(), wasmparser::BinaryReaderError> {
        let bytes = (body.range().end - body.range().start) as u64;
        let mut locals = 0u64;
        for local in body.get_locals_reader()? {
            locals += u64::from(local?.0);
        }
        let (mut places, mut calls) = (1u64, 0u64);
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrOnNull { .. }
                | Operator::BrOnNonNull { .. } => places += 1,
                Operator::BrTable { targets } => places += 1 + u64::from(targets.len()),
                Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => calls += 1,
                _ => {}
            }
        }
        let values = (locals + arity).saturating_mul(places).saturating_add(arity.saturating_mul(calls));
        self.functions += 1;
        self.code_bytes += bytes;
        self.function_bytes = self.function_bytes.max(bytes);
        self.function_values = self.function_values.max(values);
        self.values = self.values.saturating_add(values);
        Ok(())
    }

    /// Whether it compiles at once and in little memory.
    pub fn is_small(&self) -> bool {
        self.beyond(&SMALL).is_none()
    }

    /// Why it does not compile without a process that can be stopped, if it does not.
    pub fn is_too_complex(&self) -> Option<String> {
        self.beyond(&MOST)
    }

    /// Why it compiles nowhere, if it does not.
    pub fn is_refused(&self) -> Option<String> {
        self.beyond(&ANYWHERE)
    }

    fn beyond(&self, most: &Complexity) -> Option<String> {
        [
            ("bytes", self.bytes, most.bytes),
            ("bytes of code", self.code_bytes, most.code_bytes),
            ("bytes of code in one function", self.function_bytes, most.function_bytes),
            ("functions", self.functions, most.functions),
            ("types", self.types, most.types),
            ("functions in element segments", self.elements, most.elements),
            ("locals × branches in one function", self.function_values, most.function_values),
            ("locals × branches", self.values, most.values),
            ("modules", self.modules, most.modules),
            ("components in components", self.components, most.components),
            ("memories, tables, imports and exports, weighted", self.definitions, most.definitions),
            ("instances of modules and components", self.instances, most.instances),
            ("declarations of its components", self.declarations, most.declarations),
            ("bytes of types between its components", self.adapter_bytes, most.adapter_bytes),
        ]
        .into_iter()
        .find(|(_, is, most)| is > most)
        .map(|(what, is, most)| format!("it has {is} {what}, and at most {most} are compiled"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(fields: &str) -> Complexity {
        let text = format!("(component (core module {fields}))");
        Complexity::measure(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn values_are_locals_at_branches_and_what_blocks_and_calls_pass() {
        let plain = measure("(func (param i32) (result i32) (local i64 i64 i64) (local.get 0))");
        assert_eq!((plain.functions, plain.function_values), (1, 3 + 2));
        let branches = measure("(func (local i32 i32) (block (block (br 1) (br_if 0 (i32.const 1)))))");
        assert_eq!(branches.function_values, 2 * 5);
        let table = measure("(func (local i32) (block (br_table 0 0 0 0 (i32.const 1))))");
        assert_eq!(table.function_values, 1 + 1 + (1 + 3));
        let calls = measure("(func $f (param i64 i64)) (func (call $f (i64.const 0) (i64.const 0)))");
        assert_eq!((calls.function_values, calls.values), (2 + 2, 2 + 4));
        assert!(plain.is_small() && plain.is_too_complex().is_none());
    }

    #[test]
    fn what_costs_much_is_neither_small_nor_compiled_here() {
        let locals = "(local i64) ".repeat(20_000);
        let bomb = measure(&format!("(func {locals} {})", "(block)".repeat(60_000)));
        assert!(!bomb.is_small());
        assert!(bomb.is_too_complex().unwrap().contains("locals × branches in one function"));
        let many = measure(&"(func)".repeat(100_001));
        assert!(!many.is_small() && many.is_too_complex().unwrap().contains("100001 functions"));
        let params = |at: usize| (0..11).map(move |bit| if at >> bit & 1 == 0 { " i32" } else { " i64" });
        let types = (0..1100).map(|at| format!("(type (func (param{})))", params(at).collect::<String>()));
        let types = types.collect::<String>();
        assert!(!measure(&types).is_small());
        let elements = measure(&format!("(func $f) (elem func {})", "$f ".repeat(4097)));
        assert!(!elements.is_small() && elements.is_too_complex().is_none());
        let constant = measure(&format!("(global i32 (i32.const 0) {})", "(i32.const 0) i32.add ".repeat(200_000)));
        assert!(!constant.is_small());
        let memories = measure(&"(memory 1)".repeat(9));
        assert!(!memories.is_small() && memories.is_too_complex().is_none());
    }
}
