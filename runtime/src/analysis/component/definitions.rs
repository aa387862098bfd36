//! Reads the definitions of a component and its nested components, in the order of the binary.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentType, ComponentTypeRef,
    Encoding, Instance as CoreInstanceItem, Parser, Payload,
};

use super::limits::{MAX_DEPTH, Stop};
use super::module::{Module, Signatures};

/// A definition in a component, in order.
pub(super) enum Definition<'a> {
    Module(usize),
    Component(usize),
    CoreInstance(CoreInstanceItem<'a>),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Canonical(CanonicalFunction),
    Import(&'a str, ComponentTypeRef),
    Export(&'a str, ComponentExternalKind, u32),
    Destructor(u32),
}

/// All components of a binary, the outermost one first, and all core modules.
#[derive(Default)]
pub(super) struct Definitions<'a> {
    pub(super) components: Vec<Vec<Definition<'a>>>,
    pub(super) modules: Vec<Module<'a>>,
    /// Features that the analysis does not support, as phrases.
    pub(super) unsupported: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Reads all definitions, and all core modules.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Definitions<'a>, Stop> {
        let mut all = Definitions::default();
        let mut signatures = Signatures::default();
        // The enclosing components, innermost last; `None` for a core module, which is read as a whole.
        let mut open: Vec<Option<usize>> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match payload {
                Payload::Version { encoding: Encoding::Component, .. } if open.is_empty() => {
                    open.push(Some(0));
                    all.components.push(Vec::new());
                    continue;
                }
                Payload::End(_) => {
                    open.pop();
                    continue;
                }
                _ => {}
            }
            let Some(Some(component)) = open.last().copied() else { continue };
            let nested = all.components.len();
            let definitions = all.components.get_mut(component).ok_or_else(Stop::inconsistent)?;
            match payload {
                Payload::ModuleSection { unchecked_range, .. } => {
                    open.push(None);
                    definitions.push(Definition::Module(all.modules.len()));
                    let module = Module::parse(bytes, unchecked_range, &mut signatures)?;
                    all.modules.push(module);
                }
                Payload::ComponentSection { .. } => {
                    if open.len() >= MAX_DEPTH {
                        return Err(Stop::beyond("components are nested too deeply"));
                    }
                    definitions.push(Definition::Component(nested));
                    open.push(Some(nested));
                    all.components.push(Vec::new());
                }
                Payload::InstanceSection(section) => {
                    for item in section {
                        definitions.push(Definition::CoreInstance(item?));
                    }
                }
                Payload::ComponentInstanceSection(section) => {
                    for item in section {
                        definitions.push(Definition::Instance(item?));
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for item in section {
                        definitions.push(Definition::Alias(item?));
                    }
                }
                Payload::ComponentCanonicalSection(section) => {
                    for item in section {
                        definitions.push(Definition::Canonical(item?));
                    }
                }
                Payload::ComponentImportSection(section) => {
                    for item in section {
                        let item = item?;
                        definitions.push(Definition::Import(item.name.name, item.ty));
                    }
                }
                Payload::ComponentExportSection(section) => {
                    for item in section {
                        let item = item?;
                        definitions.push(Definition::Export(item.name.name, item.kind, item.index));
                    }
                }
                Payload::ComponentTypeSection(section) => {
                    for item in section {
                        if let ComponentType::Resource { dtor: Some(dtor), .. } = item? {
                            definitions.push(Definition::Destructor(dtor));
                        }
                    }
                }
                Payload::ComponentStartSection { .. } => {
                    all.unsupported.push("the component has a start function".to_string());
                }
                _ => {}
            }
        }
        Ok(all)
    }
}
