//! Counts what a component instantiates and declares.
//!
//! A nested component can be instantiated any number of times, by others that are instantiated many times too: 30 short
//! definitions can stand for 2^30 instances, and the engine compiles code for each function that one of them lowers. So
//! the definitions are evaluated as the engine does it, and counted.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Instance as CoreInstance, Parser, Payload,
};

/// Where counting stops: more than may be compiled at all.
const MOST: u64 = 1 << 18;
/// The deepest nesting of instantiations. The engine has no such limit, and no tool comes near this one.
const MAX_DEPTH: usize = 64;

/// The counts of a component, with each definition counted as often as it is instantiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Instances {
    /// Instances of core modules and of components.
    pub(super) instances: u64,
    /// Definitions: types, imports, exports, aliases, functions and the arguments of instances.
    pub(super) declarations: u64,
    /// Functions that are lowered where they can be lifted functions of another component: the engine generates adapter
    /// code for them.
    pub(super) adapters: u64,
}

/// A definition of a component, as far as it matters for instantiation.
enum Definition<'a> {
    Component(usize),
    Outer { count: u32, index: u32 },
    OfInstance { kind: ComponentExternalKind, instance: u32, name: &'a str },
    Import { name: &'a str, kind: ComponentExternalKind },
    Export(Item<'a>),
    Instantiate { component: u32, arguments: Vec<Item<'a>> },
    Made(Vec<Item<'a>>),
    CoreInstance { arguments: usize },
    Lower,
    Other,
}

/// A named reference to a definition.
struct Item<'a> {
    name: &'a str,
    kind: ComponentExternalKind,
    index: u32,
}

/// A value that is tracked: a component, or an instance with the components that it exports.
#[derive(Clone)]
enum Thing<'a> {
    Component(Option<Closure>),
    Instance(Rc<HashMap<&'a str, Thing<'a>>>),
}

/// A component, and the scope that it is defined in.
#[derive(Clone, Copy)]
struct Closure {
    component: usize,
    scope: Option<usize>,
}

/// The index spaces of a component that is being instantiated.
#[derive(Default)]
struct Scope<'a> {
    parent: Option<usize>,
    components: Vec<Option<Closure>>,
    instances: Vec<Rc<HashMap<&'a str, Thing<'a>>>>,
    exports: HashMap<&'a str, Thing<'a>>,
}

#[derive(Default)]
struct Evaluation<'a> {
    components: Vec<Vec<Definition<'a>>>,
    scopes: Vec<Scope<'a>>,
    /// Whether a nested component lifts or lowers functions.
    has_adapters: bool,
    found: Instances,
}

impl Instances {
    /// Counts what a valid component instantiates. Counting stops beyond all limits.
    pub(super) fn count(component: &[u8]) -> Result<Instances, BinaryReaderError> {
        let mut evaluation = Evaluation::default();
        evaluation.read(component)?;
        evaluation.instantiate(Closure { component: 0, scope: None }, &HashMap::new(), 0);
        let Evaluation { has_adapters, found, .. } = evaluation;
        Ok(Instances { adapters: if has_adapters { found.adapters } else { 0 }, ..found })
    }
}

impl<'a> Evaluation<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), BinaryReaderError> {
        // The enclosing components, innermost last; `None` for a core module.
        let mut open: Vec<Option<usize>> = Vec::new();
        self.components.push(Vec::new());
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::Version { .. } if open.is_empty() => open.push(Some(0)),
                Payload::End(_) => _ = open.pop(),
                Payload::ModuleSection { .. } => open.push(None),
                Payload::ComponentSection { .. } => {
                    let nested = self.components.len();
                    if let Some(Some(component)) = open.last() {
                        self.components[*component].push(Definition::Component(nested));
                    }
                    self.components.push(Vec::new());
                    open.push(Some(nested));
                }
                _ => {
                    if let Some(Some(component)) = open.last().copied() {
                        self.section(component, payload)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn section(&mut self, component: usize, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        let definitions = &mut self.components[component];
        let others = |count: u32| (0..count).map(|_| Definition::Other);
        match payload {
            Payload::InstanceSection(section) => {
                for item in section {
                    let arguments = match item? {
                        CoreInstance::Instantiate { args, .. } => Definition::CoreInstance { arguments: args.len() },
                        CoreInstance::FromExports(_) => Definition::Other,
                    };
                    definitions.push(arguments);
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for item in section {
                    definitions.push(match item? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            let items = args.iter();
                            let items = items.map(|of| Item { name: of.name, kind: of.kind, index: of.index });
                            Definition::Instantiate { component: component_index, arguments: items.collect() }
                        }
                        ComponentInstance::FromExports(items) => {
                            let items = items.iter();
                            let items = items.map(|of| Item { name: of.name.name, kind: of.kind, index: of.index });
                            Definition::Made(items.collect())
                        }
                    });
                }
            }
            Payload::ComponentAliasSection(section) => {
                for item in section {
                    definitions.push(match item? {
                        ComponentAlias::InstanceExport { kind, instance_index, name } => {
                            Definition::OfInstance { kind, instance: instance_index, name }
                        }
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            Definition::Outer { count, index }
                        }
                        _ => Definition::Other,
                    });
                }
            }
            Payload::ComponentImportSection(section) => {
                for item in section {
                    let item = item?;
                    definitions.push(match item.ty {
                        ComponentTypeRef::Component(_) => {
                            Definition::Import { name: item.name.name, kind: ComponentExternalKind::Component }
                        }
                        ComponentTypeRef::Instance(_) => {
                            Definition::Import { name: item.name.name, kind: ComponentExternalKind::Instance }
                        }
                        _ => Definition::Other,
                    });
                }
            }
            Payload::ComponentExportSection(section) => {
                for item in section {
                    let item = item?;
                    definitions.push(Definition::Export(Item {
                        name: item.name.name,
                        kind: item.kind,
                        index: item.index,
                    }));
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for item in section {
                    let item = item?;
                    let (lowers, lifts) = (
                        matches!(item, CanonicalFunction::Lower { .. }),
                        matches!(item, CanonicalFunction::Lift { .. }),
                    );
                    self.has_adapters |= component != 0 && (lowers || lifts);
                    definitions.push(if lowers { Definition::Lower } else { Definition::Other });
                }
            }
            Payload::ComponentTypeSection(section) => definitions.extend(others(section.count())),
            Payload::CoreTypeSection(section) => definitions.extend(others(section.count())),
            _ => {}
        }
        Ok(())
    }

    fn is_beyond(&self) -> bool {
        self.found.instances.max(self.found.declarations) > MOST
    }

    /// Evaluates the definitions of a component, and returns its exports. `None` if counting has stopped.
    fn instantiate(
        &mut self,
        closure: Closure,
        arguments: &HashMap<&str, Thing<'a>>,
        depth: usize,
    ) -> Option<HashMap<&'a str, Thing<'a>>> {
        if depth > MAX_DEPTH {
            self.found.instances = self.found.instances.saturating_add(MOST);
        }
        if self.is_beyond() {
            return None;
        }
        let scope = self.scopes.len();
        self.scopes.push(Scope { parent: closure.scope, ..Scope::default() });
        let definitions = std::mem::take(self.components.get_mut(closure.component)?);
        for definition in &definitions {
            self.define(scope, definition, arguments, depth);
            if self.is_beyond() {
                break;
            }
        }
        self.components[closure.component] = definitions;
        Some(std::mem::take(&mut self.scopes[scope].exports))
    }

    fn define(
        &mut self,
        scope: usize,
        definition: &Definition<'a>,
        arguments: &HashMap<&str, Thing<'a>>,
        depth: usize,
    ) {
        self.found.declarations += 1;
        match definition {
            Definition::Component(component) => {
                let closure = Closure { component: *component, scope: Some(scope) };
                self.scopes[scope].components.push(Some(closure));
            }
            Definition::Outer { count, index } => {
                let mut outer = Some(scope);
                for _ in 0..*count {
                    outer = outer.and_then(|outer| self.scopes[outer].parent);
                }
                let found = outer.and_then(|outer| self.scopes[outer].components.get(*index as usize).copied());
                self.scopes[scope].components.push(found.flatten());
            }
            Definition::OfInstance { kind, instance, name } => {
                let instance = self.scopes[scope].instances.get(*instance as usize);
                let thing = instance.and_then(|instance| instance.get(name)).cloned();
                self.scopes[scope].put(*kind, thing);
            }
            Definition::Import { name, kind } => self.scopes[scope].put(*kind, arguments.get(name).cloned()),
            Definition::Export(item) => {
                let thing = self.scopes[scope].get(item);
                self.scopes[scope].put(item.kind, thing.clone());
                thing.and_then(|thing| self.scopes[scope].exports.insert(item.name, thing));
            }
            Definition::Instantiate { component, arguments } => {
                self.found.instances += 1;
                self.found.declarations += arguments.len() as u64;
                let given = self.scopes[scope].named(arguments);
                let closure = self.scopes[scope].components.get(*component as usize).copied().flatten();
                let exports = closure.and_then(|closure| self.instantiate(closure, &given, depth + 1));
                self.scopes[scope].instances.push(Rc::new(exports.unwrap_or_default()));
            }
            Definition::Made(items) => {
                self.found.declarations += items.len() as u64;
                let made = self.scopes[scope].named(items);
                self.scopes[scope].instances.push(Rc::new(made));
            }
            Definition::CoreInstance { arguments } => {
                self.found.instances += 1;
                self.found.declarations += *arguments as u64;
            }
            Definition::Lower => self.found.adapters += 1,
            Definition::Other => {}
        }
    }
}

impl<'a> Scope<'a> {
    fn get(&self, item: &Item<'_>) -> Option<Thing<'a>> {
        let index = item.index as usize;
        match item.kind {
            ComponentExternalKind::Component => self.components.get(index).copied().map(Thing::Component),
            ComponentExternalKind::Instance => self.instances.get(index).cloned().map(Thing::Instance),
            _ => None,
        }
    }

    fn named(&self, items: &[Item<'a>]) -> HashMap<&'a str, Thing<'a>> {
        items.iter().filter_map(|item| Some((item.name, self.get(item)?))).collect()
    }

    /// Gives a thing the next index of its kind. An unknown thing counts as empty.
    fn put(&mut self, kind: ComponentExternalKind, thing: Option<Thing<'a>>) {
        match (kind, thing) {
            (ComponentExternalKind::Component, Some(Thing::Component(closure))) => self.components.push(closure),
            (ComponentExternalKind::Component, _) => self.components.push(None),
            (ComponentExternalKind::Instance, Some(Thing::Instance(exports))) => self.instances.push(exports),
            (ComponentExternalKind::Instance, _) => self.instances.push(Rc::default()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Instances {
        Instances::count(&wat::parse_str(text).unwrap()).unwrap()
    }

    /// `count` components, each of which instantiates the one before it `times`.
    fn tower(count: usize, times: usize) -> String {
        let mut text = "(component (component $c0 (core module $m) (core instance (instantiate $m)))".to_string();
        for level in 1..count {
            let (before, again) = (level - 1, "(instance (instantiate $below))".repeat(times));
            text += &format!("(component $c{level} (alias outer 1 $c{before} (component $below)) {again})");
        }
        format!("{text} (instance (instantiate $c{})))", count - 1)
    }

    #[test]
    fn counts_each_instantiation() {
        assert_eq!(count("(component)"), Instances::default());
        assert_eq!(count("(component (core module $m) (core instance (instantiate $m)))").instances, 1);
        // One of a component and one of its module, at each end of the tower; two of components at each level below.
        assert_eq!(count(&tower(1, 2)).instances, 2);
        assert_eq!(count(&tower(4, 2)).instances, 1 + 2 + 4 + 8 + 8);
        let many = count(&tower(40, 2));
        assert!(many.instances > 100_000 && many.declarations > MOST, "it ends, and is beyond all limits: {many:?}");
        assert!(count(&tower(MAX_DEPTH + 2, 1)).instances > MOST);
    }

    /// Components go through arguments and exports.
    #[test]
    fn follows_components_passed_as_arguments() {
        let text = "(component
            (component $leaf (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))
            (component $exports (alias outer 1 $leaf (component $of)) (export \"of\" (component $of)))
            (instance $made (instantiate $exports))
            (alias export $made \"of\" (component $given))
            (component $twice (import \"of\" (component $of)) (instance (instantiate $of)) (instance (instantiate $of)))
            (instance (instantiate $twice (with \"of\" (component $given)))))";
        assert_eq!(count(text).instances, 2 + 2 * (1 + 2));
    }

    #[test]
    fn counts_functions_between_components() {
        let within = "(component $c (import \"f\" (func $f)) (core func (canon lower (func $f))) (core func (canon lower (func $f))))";
        let text = format!(
            "(component (import \"f\" (func $f)) {within} (instance (instantiate $c (with \"f\" (func $f)))) \
             (instance (instantiate $c (with \"f\" (func $f)))))"
        );
        assert_eq!(count(&text).adapters, 4);
        assert_eq!(count("(component (import \"f\" (func $f)) (core func (canon lower (func $f))))").adapters, 0);
    }
}
