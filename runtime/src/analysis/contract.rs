//! What a stage can do, proven from the WIT of its world, without a build. A world without an import of `payload-read`
//! proves that nothing built for it reads, in whatever language. `packages` reads the WIT, `selection` finds the world.
//!
//! It is the world that is judged, not what was built: a component that was built for a wider world than the declared
//! one is told from its binary.

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

/// What its declared world lets a stage do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The full name of the world, `torvyn:streaming/router@0.2.0`.
    pub world: String,
    /// Its role.
    pub kind: Kind,
    /// The interfaces to payloads that it imports.
    pub payloads: Payloads,
    /// Whether it imports `attributes`.
    pub attributes: bool,
    /// What else it imports: interfaces with functions or resources in them, `wasi:clocks/monotonic-clock@0.2.6`, and
    /// by their own names what the world imports itself. Interfaces of types alone are not told.
    pub capabilities: Vec<String>,
    /// The declaration of the world, and the lines that bring in what it imports. The lines of one import go from the
    /// world to the `import` itself, through what is included.
    pub places: Vec<Place>,
    /// The texts of the files that the places point into.
    pub files: Vec<File>,
}

/// A place in WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What is there.
    pub what: What,
    /// The file.
    pub file: PathBuf,
    /// Bytes of its text.
    pub span: Range<usize>,
}

/// What is at a place in WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The name of the world, where it is declared.
    World,
    /// The `import` of this.
    Import(String),
    /// The `include` of a world that imports this.
    Include(String),
    /// The `import`, `use` or `export` of something that is made of types of this interface, which brings in the whole
    /// of it.
    Uses(String),
    /// What an error is about.
    Fault,
}

/// A WIT file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, as places name it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Contract {
    /// Tells what a world lets a stage do. `wit` is the folder `wit` of a package, or one file. `world` is a name of the
    /// package's own or, where it has none of this name, of the contract; or a full name. Without it the package must
    /// have just one.
    ///
    /// # Errors
    ///
    /// [`ContractError`] where the WIT is missing or wrong, there is no such world, it is not one of a stage, or the WIT has
    /// another contract under the name of this one.
    pub fn load(wit: &Path, world: Option<&str>) -> Result<Contract, ContractError> {
        let packages = Packages::load(wit)?;
        let judged = packages.select(world).and_then(|world| {
            packages.check_contract()?;
            packages.judge(world)
        });
        judged.map_err(|error| error.with(&packages.files))
    }

    /// What it can do at most, as far as the world tells: what it imports may be called any number of times. A source
    /// writes each element that it makes, once where it cannot do it piece by piece.
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
            // What is held can be passed on and joined again and again.
            views: unless(view || lease),
        }
    }

    /// Whether it can hold payloads after the call that lent them, as far as the world tells.
    pub fn retains(&self) -> bool {
        self.payloads.lease
    }

    /// The lines that bring in an import, the one in the declaration of the world first. `import` is one of
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
                    // Every stage may call what is in it: that puts together what was made, and makes nothing.
                    Some("types") => continue,
                    Some(ATTRIBUTES) => contract.attributes |= self.has_functions(*id),
                    own => match own.and_then(Payloads::named) {
                        Some(one) if self.has_functions(*id) => contract.payloads = contract.payloads.and(one),
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

    /// The role that the world has by its exports; its imports are of no other version of the contract either.
    fn kind(&self, world: WorldId) -> Result<Kind, ContractError> {
        let items = &self.resolve.worlds[world];
        for (half, items) in [(Half::Exports, &items.exports), (Half::Imports, &items.imports)] {
            for item in items.values() {
                if let WorldItem::Interface { id, .. } = item {
                    self.check_version(world, half, *id)?;
                }
            }
        }
        // Under a name of its own an interface is not what the host looks for.
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
            "a stage exports `lifecycle` and one of `source`, `processor`, `sink` of `{CONTRACT}`; \
             `include torvyn:streaming/router@0.2.0;` is the shortest way to that"
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
        Err(error.at(place.or_else(|| self.declaration(world))).help(format!("take the WIT of `{CONTRACT}`")))
    }

    /// The name of an interface of the contract, in the version that this runtime runs.
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

/// Whether it is the package of the contract, in any version.
fn is_contract(package: &PackageName) -> bool {
    package.namespace == "torvyn" && package.name == "streaming"
}
