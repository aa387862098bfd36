//! [`Complexity`]: an upper bound for the cost of compiling a component, measured from its binary.
//!
//! The compiler keeps a value for each local at each point where control flow merges, and a value for each parameter
//! and result of each block and call. The number of these values measures a function; its instructions are bounded by
//! its bytes.

use wasmparser::{CompositeInnerType, DataKind, ElementItems, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::instances::Instances;

/// The counts of a component that determine the cost of compiling it.
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
    /// Types of core modules: for each function type the engine compiles a trampoline.
    pub types: u64,
    /// Functions in the element segments of core modules.
    pub elements: u64,
    /// Values of the function with the most values: an upper bound for its locals at each branch plus the parameters
    /// and results of its blocks and calls.
    pub function_values: u64,
    /// Values of all functions.
    pub values: u64,
    /// Nested core modules and components.
    pub modules: u64,
    /// Nested components. The engine generates adapter code between them.
    pub components: u64,
    /// Memories, tables, globals, imports and exports of all core modules.
    pub definitions: u64,
    /// Instances of core modules and components, each counted as often as it is instantiated.
    pub instances: u64,
    /// Types, imports, exports and functions that components declare outside of their modules, each counted as often as
    /// the component is instantiated.
    pub declarations: u64,
    /// Bytes of the function types, for each function that one component calls in another: the engine generates adapter
    /// code for every part of them.
    pub adapter_bytes: u64,
}

/// Up to these counts, a component compiles in this process: it takes about ten milliseconds for each 100 KiB of code,
/// and a few MiB of memory.
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

/// Beyond these counts, a component compiles only in a compiler process: it can take some hundred MiB and some minutes.
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

/// Beyond these counts, a component is not compiled at all: no tool makes so many instances, a stage cannot have them,
/// and the compiler process would run out of memory before it refuses them.
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
    /// Measures a component, including all nested modules and components.
    ///
    /// # Errors
    ///
    /// If `component` is not a valid component.
    pub fn measure(component: &[u8]) -> Result<Complexity, wasmparser::BinaryReaderError> {
        let Instances { instances, declarations, adapters } = Instances::count(component)?;
        let bytes = component.len() as u64;
        let mut all = Complexity { bytes, instances, declarations, ..Complexity::default() };
        let mut type_bytes = 0;
        // The most parameters and results of any type in the current module.
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

    /// Whether the component compiles fast and in little memory.
    pub fn is_small(&self) -> bool {
        self.exceeds(&SMALL).is_none()
    }

    /// Why the component may compile only in a compiler process; `None` if it may also compile in this process.
    pub fn why_too_complex(&self) -> Option<String> {
        self.exceeds(&MOST)
    }

    /// Why the component may not be compiled at all; `None` if it may.
    pub fn why_refused(&self) -> Option<String> {
        self.exceeds(&ANYWHERE)
    }

    fn exceeds(&self, most: &Complexity) -> Option<String> {
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
            ("nested components", self.components, most.components),
            ("memories, tables, imports and exports (weighted)", self.definitions, most.definitions),
            ("instances of modules and components", self.instances, most.instances),
            ("declarations in components", self.declarations, most.declarations),
            ("bytes of types between components", self.adapter_bytes, most.adapter_bytes),
        ]
        .into_iter()
        .find(|(_, count, most)| count > most)
        .map(|(what, count, most)| format!("it has {count} {what}, the limit is {most}"))
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
    fn counts_values_of_branches_blocks_and_calls() {
        let plain = measure("(func (param i32) (result i32) (local i64 i64 i64) (local.get 0))");
        assert_eq!((plain.functions, plain.function_values), (1, 3 + 2));
        let branches = measure("(func (local i32 i32) (block (block (br 1) (br_if 0 (i32.const 1)))))");
        assert_eq!(branches.function_values, 2 * 5);
        let table = measure("(func (local i32) (block (br_table 0 0 0 0 (i32.const 1))))");
        assert_eq!(table.function_values, 1 + 1 + (1 + 3));
        let calls = measure("(func $f (param i64 i64)) (func (call $f (i64.const 0) (i64.const 0)))");
        assert_eq!((calls.function_values, calls.values), (2 + 2, 2 + 4));
        assert!(plain.is_small() && plain.why_too_complex().is_none());
    }

    #[test]
    fn rejects_expensive_components() {
        let locals = "(local i64) ".repeat(20_000);
        let bomb = measure(&format!("(func {locals} {})", "(block)".repeat(60_000)));
        assert!(!bomb.is_small());
        assert!(bomb.why_too_complex().unwrap().contains("locals × branches in one function"));
        let many = measure(&"(func)".repeat(100_001));
        assert!(!many.is_small() && many.why_too_complex().unwrap().contains("100001 functions"));
        let params = |at: usize| (0..11).map(move |bit| if at >> bit & 1 == 0 { " i32" } else { " i64" });
        let types = (0..1100).map(|at| format!("(type (func (param{})))", params(at).collect::<String>()));
        let types = types.collect::<String>();
        assert!(!measure(&types).is_small());
        let elements = measure(&format!("(func $f) (elem func {})", "$f ".repeat(4097)));
        assert!(!elements.is_small() && elements.why_too_complex().is_none());
        let constant = measure(&format!("(global i32 (i32.const 0) {})", "(i32.const 0) i32.add ".repeat(200_000)));
        assert!(!constant.is_small());
        let memories = measure(&"(memory 1)".repeat(9));
        assert!(!memories.is_small() && memories.why_too_complex().is_none());
    }
}
