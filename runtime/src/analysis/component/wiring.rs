//! How a component is composed: which core modules are instantiated, what each of their imports resolves to, and which
//! core function each export resolves to. The definitions of the component and its nested components are evaluated as
//! an engine does it; names within the component have no meaning.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, ExternalKind, Instance as CoreInstanceItem,
};

use super::definitions::{Definition, Definitions};
use super::limits::{MAX_DEPTH, MAX_FUNCTIONS, MAX_INSTANCES, Stop, find};
use super::module::{Item, Module};
use crate::contract::{NAMESPACE, TrackedImport};

/// What a function resolves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A tracked import.
    TrackedImport(TrackedImport),
    /// Another function of the host or the engine, which calls nothing in the component.
    Host,
    /// The built-in that drops a handle, and may call a destructor.
    Drop,
    /// A function that a core module defines, by instance and function index.
    Wasm { instance: u32, function: u32 },
    /// A lifted function of this component, by number.
    Lifted(u32),
}

/// An instance of a core module.
pub(super) struct Instance {
    pub(super) module: usize,
    /// The imported functions.
    pub(super) imports: Vec<Target>,
    /// The tables, by their numbers in the component.
    pub(super) tables: Vec<u32>,
}

/// A function lifted from core code.
pub(super) struct Lift {
    pub(super) core: Target,
    pub(super) post_return: Option<Target>,
}

/// A composed component.
#[derive(Default)]
pub(super) struct Wiring<'a> {
    pub(super) modules: Vec<Module<'a>>,
    pub(super) instances: Vec<Instance>,
    pub(super) tables: u32,
    pub(super) lifts: Vec<Lift>,
    /// The functions that the engine allocates with, in any call.
    pub(super) reallocs: Vec<Target>,
    pub(super) destructors: Vec<Target>,
    /// The functions of the exported interfaces.
    pub(super) exports: HashMap<(String, String), Target>,
    /// Features that the analysis does not support, as phrases.
    pub(super) unsupported: Vec<String>,
}

#[derive(Clone)]
enum Entity {
    Function(Target),
    Instance(Rc<Exports>),
    Component(Closure),
    Module(usize),
    Other,
}

/// A component that can be instantiated, and the scope that it is defined in.
#[derive(Clone, Copy)]
struct Closure {
    component: usize,
    scope: Option<usize>,
}

enum Exports {
    /// A function of the host.
    Imported(String),
    Defined(Defined),
}

/// Exports by name, and how deeply instances are nested in them.
#[derive(Default)]
struct Defined {
    entities: HashMap<String, Entity>,
    depth: usize,
}

enum CoreExports {
    Instance(u32),
    Listed(HashMap<String, CoreEntity>),
}

#[derive(Clone, Copy)]
enum CoreEntity {
    Function(Target),
    Table(u32),
}

/// The index spaces of a component that is being instantiated.
#[derive(Default)]
struct Scope {
    parent: Option<usize>,
    core_functions: Vec<Target>,
    core_tables: Vec<u32>,
    core_instances: Vec<CoreExports>,
    functions: Vec<Target>,
    instances: Vec<Rc<Exports>>,
    components: Vec<Closure>,
    modules: Vec<usize>,
    exports: Defined,
}

struct Evaluation<'a> {
    wiring: Wiring<'a>,
    components: Vec<Vec<Definition<'a>>>,
    scopes: Vec<Scope>,
    functions: usize,
}

impl<'a> Wiring<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Wiring<'a>, Stop> {
        let Definitions { components, modules, unsupported } = Definitions::parse(bytes)?;
        let wiring = Wiring { modules, unsupported, ..Wiring::default() };
        let mut evaluation = Evaluation { wiring, components, scopes: Vec::new(), functions: 0 };
        let root = evaluation.instantiate(Closure { component: 0, scope: None }, None, 0)?;
        let exports = std::mem::take(&mut evaluation.scopes[root].exports);
        let mut wiring = evaluation.wiring;
        for (interface, entity) in exports.entities {
            let Entity::Instance(instance) = entity else { continue };
            let Exports::Defined(functions) = &*instance else { continue };
            for (name, entity) in &functions.entities {
                if let Entity::Function(target) = entity {
                    wiring.exports.insert((interface.clone(), name.clone()), *target);
                }
            }
        }
        wiring.unsupported.sort_unstable();
        wiring.unsupported.dedup();
        Ok(wiring)
    }

    /// The module of an instance.
    pub(super) fn module_of(&self, instance: u32) -> Result<&Module<'a>, Stop> {
        let instance = find(&self.instances, instance)?;
        self.modules.get(instance.module).ok_or_else(Stop::inconsistent)
    }

    /// What a function index of an instance resolves to.
    pub(super) fn function(&self, instance: u32, function: u32) -> Result<Target, Stop> {
        let imports = &find(&self.instances, instance)?.imports;
        Ok(imports.get(function as usize).copied().unwrap_or(Target::Wasm { instance, function }))
    }
}

impl<'a> Evaluation<'a> {
    /// Evaluates the definitions of a component. The outermost one has no arguments.
    fn instantiate(
        &mut self,
        closure: Closure,
        arguments: Option<&HashMap<&str, Entity>>,
        depth: usize,
    ) -> Result<usize, Stop> {
        if self.scopes.len() >= MAX_INSTANCES || depth >= MAX_DEPTH {
            return Err(Stop::beyond("it contains too many components"));
        }
        let scope = self.scopes.len();
        self.scopes.push(Scope { parent: closure.scope, ..Scope::default() });
        let definitions = std::mem::take(self.components.get_mut(closure.component).ok_or_else(Stop::inconsistent)?);
        for definition in &definitions {
            self.define(scope, definition, arguments, depth)?;
        }
        self.components[closure.component] = definitions;
        Ok(scope)
    }

    fn define(
        &mut self,
        scope: usize,
        definition: &Definition<'a>,
        arguments: Option<&HashMap<&str, Entity>>,
        depth: usize,
    ) -> Result<(), Stop> {
        let current = &mut self.scopes[scope];
        match definition {
            Definition::Module(module) => current.modules.push(*module),
            Definition::Component(component) => {
                current.components.push(Closure { component: *component, scope: Some(scope) });
            }
            Definition::CoreInstance(item) => {
                let exports = self.core_instance(scope, item)?;
                self.scopes[scope].core_instances.push(exports);
            }
            Definition::Instance(ComponentInstance::FromExports(items)) => {
                let mut exports = Defined::default();
                for item in items {
                    exports.insert(item.name.name, current.get(item.kind, item.index)?)?;
                }
                current.instances.push(Rc::new(Exports::Defined(exports)));
            }
            Definition::Instance(ComponentInstance::Instantiate { component_index, args }) => {
                let closure = *find(&current.components, *component_index)?;
                let mut given = HashMap::new();
                for argument in args {
                    given.insert(argument.name, current.get(argument.kind, argument.index)?);
                }
                let nested = self.instantiate(closure, Some(&given), depth + 1)?;
                let exports = std::mem::take(&mut self.scopes[nested].exports);
                self.scopes[scope].instances.push(Rc::new(Exports::Defined(exports)));
            }
            Definition::Alias(alias) => self.alias(scope, alias)?,
            Definition::Canonical(canonical) => self.canonical(scope, canonical)?,
            Definition::Import(name, ty) => {
                let entity = match arguments {
                    Some(arguments) => arguments.get(name).cloned(),
                    None => match ty {
                        ComponentTypeRef::Instance(_) => {
                            Some(Entity::Instance(Rc::new(Exports::Imported((*name).to_string()))))
                        }
                        ComponentTypeRef::Func(_) => Some(Entity::Function(Target::Host)),
                        ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_) => {
                            return Err(Stop::beyond(format!("it imports a module or a component, `{name}`")));
                        }
                        ComponentTypeRef::Type(_) | ComponentTypeRef::Value(_) => Some(Entity::Other),
                    },
                };
                let is_type = matches!(ty, ComponentTypeRef::Type(_) | ComponentTypeRef::Value(_));
                current.add(entity.or(is_type.then_some(Entity::Other)).ok_or_else(Stop::inconsistent)?);
            }
            Definition::Export(name, kind, index) => {
                let entity = current.get(*kind, *index)?;
                current.add(entity.clone());
                current.exports.insert(name, entity)?;
            }
            Definition::Destructor(function) => {
                let target = *find(&current.core_functions, *function)?;
                self.wiring.destructors.push(target);
            }
        }
        Ok(())
    }

    fn alias(&mut self, scope: usize, alias: &ComponentAlias<'a>) -> Result<(), Stop> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let current = &mut self.scopes[scope];
                let entity = match &**find(&current.instances, *instance_index)? {
                    Exports::Defined(exports) => exports.entities.get(*name).cloned(),
                    Exports::Imported(interface) => match kind {
                        ComponentExternalKind::Func => Some(Entity::Function(imported(interface, name))),
                        ComponentExternalKind::Instance => {
                            Some(Entity::Instance(Rc::new(Exports::Imported(format!("{interface}/{name}")))))
                        }
                        ComponentExternalKind::Type | ComponentExternalKind::Value => Some(Entity::Other),
                        ComponentExternalKind::Module | ComponentExternalKind::Component => {
                            return Err(Stop::beyond(format!("it imports a module or a component, `{interface}`")));
                        }
                    },
                };
                let is_type = matches!(kind, ComponentExternalKind::Type | ComponentExternalKind::Value);
                current.add(entity.or(is_type.then_some(Entity::Other)).ok_or_else(Stop::inconsistent)?);
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                if !matches!(kind, ExternalKind::Func | ExternalKind::FuncExact | ExternalKind::Table) {
                    return Ok(());
                }
                let exports = find(&self.scopes[scope].core_instances, *instance_index)?;
                match self.core_export(exports, name)? {
                    CoreEntity::Function(target) => self.scopes[scope].core_functions.push(target),
                    CoreEntity::Table(table) => self.scopes[scope].core_tables.push(table),
                }
            }
            ComponentAlias::Outer { kind, count, index } => {
                let mut outer = scope;
                for _ in 0..*count {
                    outer = self.scopes[outer].parent.ok_or_else(Stop::inconsistent)?;
                }
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let module = *find(&self.scopes[outer].modules, *index)?;
                        self.scopes[scope].modules.push(module);
                    }
                    ComponentOuterAliasKind::Component => {
                        let component = *find(&self.scopes[outer].components, *index)?;
                        self.scopes[scope].components.push(component);
                    }
                    ComponentOuterAliasKind::Type | ComponentOuterAliasKind::CoreType => {}
                }
            }
        }
        Ok(())
    }

    fn canonical(&mut self, scope: usize, canonical: &CanonicalFunction) -> Result<(), Stop> {
        let current = &mut self.scopes[scope];
        let target = match canonical {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let core = *find(&current.core_functions, *core_func_index)?;
                let post_return = self.options(scope, options)?;
                let current = &mut self.scopes[scope];
                current.functions.push(Target::Lifted(self.wiring.lifts.len() as u32));
                self.wiring.lifts.push(Lift { core, post_return });
                return Ok(());
            }
            CanonicalFunction::Lower { func_index, options } => {
                let function = *find(&current.functions, *func_index)?;
                self.options(scope, options)?;
                function
            }
            CanonicalFunction::ResourceDrop { .. } => Target::Drop,
            CanonicalFunction::ResourceNew { .. } | CanonicalFunction::ResourceRep { .. } => Target::Host,
            _ => {
                self.wiring.unsupported.push("it uses asynchronous calls or threads".to_string());
                Target::Host
            }
        };
        self.scopes[scope].core_functions.push(target);
        Ok(())
    }

    /// Records the functions that the engine calls for a lifted or lowered function. Returns its post-return function.
    fn options(&mut self, scope: usize, options: &[CanonicalOption]) -> Result<Option<Target>, Stop> {
        let functions = &self.scopes[scope].core_functions;
        let mut post_return = None;
        for option in options {
            match option {
                CanonicalOption::Realloc(function) => self.wiring.reallocs.push(*find(functions, *function)?),
                CanonicalOption::PostReturn(function) => post_return = Some(*find(functions, *function)?),
                CanonicalOption::Async | CanonicalOption::Callback(_) => {
                    self.wiring.unsupported.push("it uses asynchronous calls or threads".to_string());
                }
                _ => {}
            }
        }
        Ok(post_return)
    }

    fn core_instance(&mut self, scope: usize, item: &CoreInstanceItem<'a>) -> Result<CoreExports, Stop> {
        let current = &self.scopes[scope];
        let (module_index, arguments) = match item {
            CoreInstanceItem::FromExports(items) => {
                let mut exports = HashMap::new();
                for item in items {
                    let entity = match item.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            CoreEntity::Function(*find(&current.core_functions, item.index)?)
                        }
                        ExternalKind::Table => CoreEntity::Table(*find(&current.core_tables, item.index)?),
                        _ => continue,
                    };
                    exports.insert(item.name.to_string(), entity);
                }
                return Ok(CoreExports::Listed(exports));
            }
            CoreInstanceItem::Instantiate { module_index, args } => (*find(&current.modules, *module_index)?, args),
        };
        if self.wiring.instances.len() >= MAX_INSTANCES {
            return Err(Stop::beyond("it instantiates too many core modules"));
        }
        let arguments: HashMap<&str, u32> = arguments.iter().map(|argument| (argument.name, argument.index)).collect();
        let module = self.wiring.modules.get(module_index).ok_or_else(Stop::inconsistent)?;
        if module.exceptions {
            self.wiring.unsupported.push("it uses exceptions".to_string());
        }
        let mut instance = Instance { module: module_index, imports: Vec::new(), tables: Vec::new() };
        for import in &module.imports {
            let argument = *arguments.get(import.module).ok_or_else(Stop::inconsistent)?;
            match self.core_export(find(&current.core_instances, argument)?, import.name)? {
                CoreEntity::Function(target) => instance.imports.push(target),
                CoreEntity::Table(table) => instance.tables.push(table),
            }
        }
        while instance.tables.len() < module.tables as usize {
            instance.tables.push(self.wiring.tables);
            self.wiring.tables += 1;
        }
        self.functions += module.functions.len()
            + module.segments.iter().map(|segment| segment.functions.len()).sum::<usize>()
            + module.code.iter().map(|code| code.calls.len()).sum::<usize>()
            + module.taken.len();
        if self.functions > MAX_FUNCTIONS {
            return Err(Stop::beyond("it has too many functions to analyse"));
        }
        self.wiring.instances.push(instance);
        Ok(CoreExports::Instance(self.wiring.instances.len() as u32 - 1))
    }

    fn core_export(&self, exports: &CoreExports, name: &str) -> Result<CoreEntity, Stop> {
        match exports {
            CoreExports::Listed(exports) => exports.get(name).copied().ok_or_else(Stop::inconsistent),
            CoreExports::Instance(instance) => match self.wiring.module_of(*instance)?.exports.get(name) {
                Some(Item::Function(function)) => self.wiring.function(*instance, *function).map(CoreEntity::Function),
                Some(Item::Table(table)) => {
                    let tables = &find(&self.wiring.instances, *instance)?.tables;
                    find(tables, *table).map(|table| CoreEntity::Table(*table))
                }
                None => Err(Stop::inconsistent()),
            },
        }
    }
}

impl Defined {
    fn insert(&mut self, name: &str, entity: Entity) -> Result<(), Stop> {
        if let Entity::Instance(instance) = &entity
            && let Exports::Defined(within) = &**instance
        {
            self.depth = self.depth.max(within.depth + 1);
        }
        if self.depth > MAX_DEPTH {
            return Err(Stop::beyond("instances are nested too deeply"));
        }
        self.entities.insert(name.to_string(), entity);
        Ok(())
    }
}

impl Scope {
    fn get(&self, kind: ComponentExternalKind, index: u32) -> Result<Entity, Stop> {
        Ok(match kind {
            ComponentExternalKind::Func => Entity::Function(*find(&self.functions, index)?),
            ComponentExternalKind::Instance => Entity::Instance(find(&self.instances, index)?.clone()),
            ComponentExternalKind::Component => Entity::Component(*find(&self.components, index)?),
            ComponentExternalKind::Module => Entity::Module(*find(&self.modules, index)?),
            ComponentExternalKind::Type | ComponentExternalKind::Value => Entity::Other,
        })
    }

    /// Gives an entity the next index of its kind.
    fn add(&mut self, entity: Entity) {
        match entity {
            Entity::Function(function) => self.functions.push(function),
            Entity::Instance(instance) => self.instances.push(instance),
            Entity::Component(component) => self.components.push(component),
            Entity::Module(module) => self.modules.push(module),
            Entity::Other => {}
        }
    }
}

/// What a function of an imported interface resolves to.
fn imported(interface: &str, name: &str) -> Target {
    let interface = interface.split_once('@').map_or(interface, |(interface, _)| interface);
    let own = interface.strip_prefix(NAMESPACE);
    own.and_then(|own| TrackedImport::from_path(own, name)).map_or(Target::Host, Target::TrackedImport)
}
