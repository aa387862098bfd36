//! [`Profile`]: the kind and the world of a component, and what it can do with payloads, read from its binary. Nothing
//! is compiled or run for it.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use wit_parser::{Resolve, TypeDefKind, TypeId, World as WitWorld, WorldItem, WorldKey};

use crate::base::regular_file;
use crate::contract::{
    ATTRIBUTES, CONTRACT, Kind, NAMESPACE, Payloads, TrackedImport, VERSION, World, full_name, split_contract_name,
};
use crate::error::{Error, LoadError};

pub(crate) use foreign::check_sections;

mod foreign;

/// The kind and the imports of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// The kind of stage.
    pub kind: Kind,
    /// The narrowest world that the component fits.
    pub world: World,
    /// The payload interfaces from which the component imports a function.
    pub payloads: Payloads,
    /// Whether it imports a function of `attributes`.
    pub attributes: bool,
    /// The imported functions that proofs are about.
    pub tracked_imports: Vec<TrackedImport>,
    /// The imported interfaces outside the contract, such as `wasi:cli/stdout@0.2.6`.
    pub other_imports: Vec<String>,
    /// The size of the binary in bytes, debug information included.
    pub size: u64,
}

impl Profile {
    /// Reads the profile of the component in `bytes`.
    ///
    /// # Errors
    ///
    /// Why the component is not a stage that this runtime can run.
    pub fn parse(bytes: &[u8]) -> Result<Profile, LoadError> {
        let (resolve, world) = foreign::decode(bytes)?;
        let world = &resolve.worlds[world];
        let kind = kind(&resolve, world)?;
        let Imports { payloads, attributes, tracked_imports, others: other_imports } = Imports::of(&resolve, world)?;
        if let Some((interface, _)) = payloads.foreign_to(kind) {
            return Err(LoadError::world(kind, &format!("a {kind} that imports `{interface}`")));
        }
        let world = World::narrowest(kind, payloads);
        Ok(Profile { kind, world, payloads, attributes, tracked_imports, other_imports, size: bytes.len() as u64 })
    }
}

/// Reads the file at `path`, which may have at most `max_size` bytes.
pub(crate) fn read(path: &Path, max_size: u64) -> Result<Vec<u8>, Error> {
    let io = |error| Error::load(path, LoadError::Io(error));
    let file = regular_file::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(max_size.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > max_size {
        return Err(Error::load(path, LoadError::TooLarge { limit: max_size }));
    }
    Ok(bytes)
}

fn name(resolve: &Resolve, key: &WorldKey) -> String {
    match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(id) => resolve.id_of(*id).unwrap_or_else(|| "an unnamed interface".to_string()),
    }
}

fn kind(resolve: &Resolve, world: &WitWorld) -> Result<Kind, LoadError> {
    let exports: Vec<String> = world.exports.keys().map(|key| name(resolve, key)).collect();
    let roles = [("source", Kind::Source), ("processor", Kind::Processor), ("sink", Kind::Sink)];
    let mut found = None;
    for export in &exports {
        let Some((interface, version)) = split_contract_name(export) else { continue };
        if version != VERSION {
            return Err(LoadError::World {
                expected: format!("a component for {CONTRACT}"),
                found: format!("one for {NAMESPACE}{interface}@{version}"),
            });
        }
        let role = roles.iter().find(|(role, _)| *role == interface);
        if role.is_some_and(|(_, kind)| found.replace(*kind).is_some()) {
            return Err(LoadError::World {
                expected: "a component that exports only one of `source`, `processor` and `sink`".to_string(),
                found: foreign::describe_exports(&exports),
            });
        }
    }
    let missing = |what: &str| {
        let expected = format!("a component that exports {what} of {CONTRACT}");
        match exports.is_empty() {
            true => LoadError::NoExports { expected },
            false => LoadError::World { expected, found: foreign::describe_exports(&exports) },
        }
    };
    let kind = found.ok_or_else(|| missing("`source`, `processor` or `sink`"))?;
    let lifecycle = full_name("lifecycle");
    if exports.contains(&lifecycle) { Ok(kind) } else { Err(missing("`lifecycle`")) }
}

#[derive(Default)]
struct Imports {
    payloads: Payloads,
    attributes: bool,
    tracked_imports: Vec<TrackedImport>,
    others: Vec<String>,
}

impl Imports {
    /// Interfaces of which no function is imported do not count: their types alone copy nothing.
    fn of(resolve: &Resolve, world: &WitWorld) -> Result<Imports, LoadError> {
        let mut imports = Imports::default();
        for (key, item) in &world.imports {
            let name = name(resolve, key);
            if split_contract_name(&name).is_none() && has_types_only(resolve, item) {
                continue;
            }
            let functions = match item {
                WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.len(),
                WorldItem::Function(_) => 1,
                WorldItem::Type { .. } => 0,
            };
            match split_contract_name(&name) {
                Some((_, version)) if version != VERSION => {
                    return Err(LoadError::World {
                        expected: format!("a component for {CONTRACT}"),
                        found: format!("one that imports `{name}`"),
                    });
                }
                Some(("types", _)) => {}
                Some((ATTRIBUTES, _)) => imports.attributes |= functions > 0,
                Some((interface, _)) => {
                    let Some(one) = Payloads::from_name(interface) else {
                        return Err(LoadError::World {
                            expected: format!("a component for {CONTRACT}"),
                            found: format!("one that imports `{name}`"),
                        });
                    };
                    if functions > 0 {
                        imports.payloads = imports.payloads.union(one);
                        imports.tracked_imports.extend(tracked_imports(resolve, interface, item));
                    }
                }
                None if name.starts_with("wasi:") => imports.others.push(name),
                None => {
                    return Err(LoadError::World {
                        expected: format!("a component that imports only {CONTRACT} and WASI 0.2"),
                        found: format!("one that imports `{name}`"),
                    });
                }
            }
        }
        Ok(imports)
    }
}

/// Whether an import contains nothing that the host would have to provide.
fn has_types_only(resolve: &Resolve, item: &WorldItem) -> bool {
    let is_resource = |id: &TypeId| resolve.types[*id].kind == TypeDefKind::Resource;
    match item {
        WorldItem::Interface { id, .. } => {
            let interface = &resolve.interfaces[*id];
            interface.functions.is_empty() && !interface.types.values().any(is_resource)
        }
        WorldItem::Function(_) => false,
        WorldItem::Type { id, .. } => !is_resource(id),
    }
}

/// The functions of an interface that proofs are about.
fn tracked_imports(resolve: &Resolve, interface: &str, item: &WorldItem) -> Vec<TrackedImport> {
    let WorldItem::Interface { id, .. } = item else { return Vec::new() };
    resolve.interfaces[*id]
        .functions
        .keys()
        .filter_map(|function| TrackedImport::from_path(interface, function))
        .collect()
}
