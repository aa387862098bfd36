//! Proves what a stage can do from the WIT of its world, without a build.
//!
//! A world without an import of `payload-read` proves that no component built for it reads payloads, in whatever
//! language. `packages` reads the WIT, `selection` finds the world. Only the world is judged here: whether a component
//! was built for a wider world than the declared one is judged from its binary.

use std::ops::Range;
use std::path::{Path, PathBuf};

use packages::Packages;
use serde::Serialize;
use trace::{Half, Target};
use wit_parser::{InterfaceId, PackageName, TypeDefKind, WorldId, WorldItem, WorldKey};

use crate::contract::{ATTRIBUTES, Bound, Bounds, CONTRACT, Kind, Payloads, Proof, full_name};

pub use error::{ContractError, Reason};

mod error;
mod known;
mod packages;
mod selection;
#[cfg(test)]
mod tests;
mod trace;

/// What the declared world of a stage allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The full name of the world: `torvyn:streaming/router@0.2.0`.
    pub world: String,
    /// The kind of stage.
    pub kind: Kind,
    /// The payload interfaces that the world imports.
    pub payloads: Payloads,
    /// Whether the world imports `attributes`.
    pub attributes: bool,
    /// All other imports: interfaces with functions or resources, such as `wasi:clocks/monotonic-clock@0.2.6`, and
    /// items that the world imports under a name of its own. Interfaces that contain only types are not listed.
    pub capabilities: Vec<String>,
    /// The declaration of the world, and the lines that add its imports. The lines for one import lead from the world,
    /// through included worlds, to the `import` itself.
    pub places: Vec<Place>,
    /// The texts of the files that `places` refer to.
    pub files: Vec<File>,
}

/// A place in WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What is at the place.
    pub what: What,
    /// The file.
    pub file: PathBuf,
    /// The range in its text, in bytes.
    pub span: Range<usize>,
}

/// What is at a place in WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The name of the world in its declaration.
    World,
    /// The `import` of this item.
    Import(String),
    /// The `include` of a world that imports this item.
    Include(String),
    /// The `import`, `use` or `export` of an item that uses types of this interface, which imports the whole interface.
    Uses(String),
    /// The place of an error.
    Fault,
}

/// A WIT file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path, as in [`Place::file`].
    pub path: PathBuf,
    /// The text.
    pub text: String,
}

impl Contract {
    /// Loads the world of a stage from WIT.
    ///
    /// `wit` is the folder `wit` of a package, or one file. `world` is a full name, or a short name of a world of the
    /// package or else of the contract. If it is `None`, the package must have exactly one world.
    ///
    /// # Errors
    ///
    /// [`ContractError`] if the WIT is missing or not valid, there is no such world, it is not the world of a stage, or
    /// the WIT has a different package under the name of the contract.
    pub fn load(wit: &Path, world: Option<&str>) -> Result<Contract, ContractError> {
        let packages = Packages::load(wit)?;
        let judged = packages.select(world).and_then(|world| {
            packages.check_contract()?;
            packages.judge(world)
        });
        judged.map_err(|error| error.with_file(&packages.files))
    }

    /// The bounds that the world proves. An imported function can be called any number of times. A source writes each
    /// element that it makes: exactly once, unless it can write piece by piece.
    pub fn bounds(&self) -> Bounds {
        let Payloads { read, write, view, buffer, lease } = self.payloads;
        let unless = |can: bool| if can { Bound::unknown() } else { Bound::never(Proof::Contract) };
        Bounds {
            reads: unless(read),
            writes: match self.kind {
                Kind::Source if write && !buffer => Bound::exactly(1, Proof::Contract),
                _ => unless(write || buffer),
            },
            pieces: unless(buffer),
            // Held elements can be forwarded and joined any number of times.
            views: unless(view || lease),
        }
    }

    /// Whether the world allows holding payloads after the call that lent them.
    pub fn retains(&self) -> bool {
        self.payloads.lease
    }

    /// The lines that add an import, starting with the one in the declaration of the world. `import` is one of
    /// [`capabilities`](Contract::capabilities), or the full name of an interface of the contract.
    pub fn places_of<'a>(&'a self, import: &'a str) -> impl Iterator<Item = &'a Place> {
        self.places.iter().filter(move |place| match &place.what {
            What::Import(name) | What::Include(name) | What::Uses(name) => name == import,
            What::World | What::Fault => false,
        })
    }
}

impl Packages {
    fn judge(&self, world: WorldId) -> Result<Contract, ContractError> {
        let kind = self.kind(world)?;
        let mut contract = Contract {
            world: self.world_name(world),
            kind,
            payloads: Payloads::default(),
            attributes: false,
            capabilities: Vec::new(),
            places: Vec::new(),
            files: Vec::new(),
        };
        let declared = self.declaration(world).into_iter();
        contract.places.extend(declared.map(|(file, span)| Place { what: What::World, file, span }));
        for (key, item) in &self.resolve.worlds[world].imports {
            let name = match item {
                WorldItem::Interface { id, .. } if self.of_contract(*id).is_some() => self.resolve.id_of(*id),
                _ => None,
            };
            let name = name.unwrap_or_else(|| self.resolve.name_world_key(key));
            match item {
                WorldItem::Interface { id, .. } => match self.of_contract(*id) {
                    // Every stage may call the functions of `types`: they append outputs, and make no elements.
                    Some("types") => continue,
                    Some(ATTRIBUTES) => contract.attributes |= self.has_functions(*id),
                    own => match own.and_then(Payloads::from_name) {
                        Some(one) if self.has_functions(*id) => contract.payloads = contract.payloads.union(one),
                        Some(_) => {}
                        None if !self.has_functions(*id) && !self.has_resources(*id) => continue,
                        None => contract.capabilities.push(name.clone()),
                    },
                },
                WorldItem::Function(function) if function.kind.resource().is_some() => continue,
                WorldItem::Type { id, .. } if self.resolve.types[*id].kind != TypeDefKind::Resource => continue,
                WorldItem::Function(_) | WorldItem::Type { .. } => contract.capabilities.push(name.clone()),
            }
            let target = match (key, item) {
                (WorldKey::Name(own), _) => Target::Own(own),
                (WorldKey::Interface(id), _) => Target::Interface(*id),
            };
            contract.places.extend(self.trace(world, Half::Imports, target, &name));
        }
        if let Some((interface, why)) = contract.payloads.foreign_to(kind) {
            let message = format!("world `{}` is a {kind} that imports `{interface}`", contract.world);
            let place = contract.places_of(&full_name(interface)).next().cloned();
            let error = ContractError::new(Reason::NotAStage, message).at(place.map(|place| (place.file, place.span)));
            return Err(error.help(format!("remove the import: {why}")));
        }
        let pointed_into = |file: &&File| contract.places.iter().any(|place| place.file == file.path);
        contract.files = self.files.iter().filter(pointed_into).cloned().collect();
        Ok(contract)
    }

    /// The kind of stage, judged by the exports of the world. Also checks that all interfaces of the contract, imports
    /// included, have the supported version.
    fn kind(&self, world: WorldId) -> Result<Kind, ContractError> {
        let items = &self.resolve.worlds[world];
        for (half, items) in [(Half::Exports, &items.exports), (Half::Imports, &items.imports)] {
            for item in items.values() {
                if let WorldItem::Interface { id, .. } = item {
                    self.check_version(world, half, *id)?;
                }
            }
        }
        // The host does not find an interface that is exported under a name of its own.
        let exported = items.exports.keys().filter_map(|key| match key {
            WorldKey::Interface(id) => self.of_contract(*id),
            WorldKey::Name(_) => None,
        });
        let exported = exported.collect::<Vec<_>>();
        let roles = [("source", Kind::Source), ("processor", Kind::Processor), ("sink", Kind::Sink)];
        let roles = roles.into_iter().filter(|(role, _)| exported.contains(role)).collect::<Vec<_>>();
        match roles[..] {
            [(_, kind)] if exported.contains(&"lifecycle") => return Ok(kind),
            _ => {}
        }
        let names = items.exports.keys().map(|key| format!("`{}`", self.resolve.name_world_key(key)));
        let exports = match names.collect::<Vec<_>>() {
            names if names.is_empty() => "nothing".to_string(),
            names => names.join(", "),
        };
        let message = format!("world `{}` is not a stage: it exports {exports}", self.world_name(world));
        Err(ContractError::new(Reason::NotAStage, message).at(self.declaration(world)).help(format!(
            "a stage exports `lifecycle` and one of `source`, `processor` and `sink` of `{CONTRACT}`; the shortest way is \
             to include a world of the contract: `include torvyn:streaming/router@0.2.0;`"
        )))
    }

    fn check_version(&self, world: WorldId, half: Half, interface: InterfaceId) -> Result<(), ContractError> {
        let Some(package) = self.resolve.interfaces[interface].package else { return Ok(()) };
        let package = &self.resolve.packages[package].name;
        if !is_contract(package) || package.to_string() == CONTRACT {
            return Ok(());
        }
        let name = self.resolve.id_of(interface).unwrap_or_default();
        let mut places = self.trace(world, half, Target::Interface(interface), &name).into_iter();
        let place = places.next().map(|place| (place.file, place.span));
        let message = format!("expected `{CONTRACT}`, found `{name}` in world `{}`", self.world_name(world));
        let error = ContractError::new(Reason::Version { found: package.to_string() }, message);
        Err(error.at(place.or_else(|| self.declaration(world))).help(format!("use the WIT of `{CONTRACT}`")))
    }

    /// The short name of an interface, if it belongs to the supported version of the contract.
    fn of_contract(&self, interface: InterfaceId) -> Option<&str> {
        let interface = &self.resolve.interfaces[interface];
        let package = &self.resolve.packages[interface.package?].name;
        (package.to_string() == CONTRACT).then_some(interface.name.as_deref()?)
    }

    fn functions(&self, interface: InterfaceId) -> impl Iterator<Item = &str> {
        self.resolve.interfaces[interface].functions.keys().map(String::as_str)
    }

    fn has_functions(&self, interface: InterfaceId) -> bool {
        self.functions(interface).next().is_some()
    }

    fn has_resources(&self, interface: InterfaceId) -> bool {
        let mut types = self.resolve.interfaces[interface].types.values();
        types.any(|id| self.resolve.types[*id].kind == TypeDefKind::Resource)
    }
}

/// Whether this is the package of the contract, in any version.
fn is_contract(package: &PackageName) -> bool {
    package.namespace == "torvyn" && package.name == "streaming"
}
