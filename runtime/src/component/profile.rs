//! What a component is, told from its binary: its kind, its world and what it can do with payloads. Nothing is compiled
//! or run for it.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use wit_parser::{Resolve, TypeDefKind, TypeId, World as WitWorld, WorldItem, WorldKey};

use crate::analysis::Door;
use crate::base::regular_file;
use crate::error::{Error, LoadError};

pub(crate) use foreign::check_sections;

mod foreign;

/// The interface to what elements carry besides their payloads.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// The contract that this runtime runs.
pub const CONTRACT: &str = "torvyn:streaming@0.2.0";
pub(crate) const NAMESPACE: &str = "torvyn:streaming/";
pub(crate) const VERSION: &str = "0.2.0";

/// The role of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It exports `source`.
    Source,
    /// It exports `processor`.
    Processor,
    /// It exports `sink`.
    Sink,
}

/// The narrowest world of the contract that a component fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// A processor that neither reads nor writes payloads.
    Router,
    /// A processor that reads payloads.
    Inspector,
    /// A processor that makes several elements of one without a copy, and neither reads nor writes payloads.
    Chunker,
    /// A processor that reads payloads, and makes several elements of one without a copy.
    Slicer,
    /// A processor that writes payloads, and reads none.
    Replacer,
    /// A processor that reads and writes payloads.
    Transform,
    /// A processor that keeps payloads beyond the call that lent them, and neither reads nor writes any.
    Holder,
    /// A processor that keeps payloads and reads them, and writes none.
    Collector,
    /// A processor that keeps payloads and also writes or cuts, that cuts and writes them, or that writes them piece by
    /// piece.
    Windowed,
    /// A source.
    DataSource,
    /// A source that writes payloads piece by piece.
    BulkSource,
    /// A sink that reads payloads.
    DataSink,
    /// A sink that reads none.
    MetadataSink,
}

/// What a component can do with payloads, by the functions its binary imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It can neither read nor write: no payload byte crosses its boundary.
    HandlePass,
    /// It can read.
    ReadOnly,
    /// It can write.
    Rewrite,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Source => "source",
            Kind::Processor => "processor",
            Kind::Sink => "sink",
        })
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            World::Router => "router",
            World::Inspector => "inspector",
            World::Chunker => "chunker",
            World::Slicer => "slicer",
            World::Replacer => "replacer",
            World::Transform => "transform",
            World::Holder => "holder",
            World::Collector => "collector",
            World::Windowed => "windowed",
            World::DataSource => "data-source",
            World::BulkSource => "bulk-source",
            World::DataSink => "data-sink",
            World::MetadataSink => "metadata-sink",
        })
    }
}

/// The interfaces of the contract that let a stage do something with payloads: those that are imported, or used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Payloads {
    /// `payload-read`
    pub read: bool,
    /// `payload-write`
    pub write: bool,
    /// `payload-view`
    pub view: bool,
    /// `payload-buffer`
    pub buffer: bool,
    /// `payload-lease`
    pub lease: bool,
}

impl Payloads {
    /// The names of these interfaces, with whether each is meant; in the order of the contract.
    pub fn interfaces(self) -> [(&'static str, bool); 5] {
        [
            ("payload-read", self.read),
            ("payload-write", self.write),
            ("payload-view", self.view),
            ("payload-buffer", self.buffer),
            ("payload-lease", self.lease),
        ]
    }

    /// Those of `other` as well.
    #[must_use]
    pub fn and(self, other: Payloads) -> Payloads {
        Payloads {
            read: self.read || other.read,
            write: self.write || other.write,
            view: self.view || other.view,
            buffer: self.buffer || other.buffer,
            lease: self.lease || other.lease,
        }
    }

    /// Those that `other` has not.
    #[must_use]
    pub fn without(self, other: Payloads) -> Payloads {
        Payloads {
            read: self.read && !other.read,
            write: self.write && !other.write,
            view: self.view && !other.view,
            buffer: self.buffer && !other.buffer,
            lease: self.lease && !other.lease,
        }
    }

    /// The one of this name, without its package; none where it is no interface to payloads.
    pub(crate) fn named(interface: &str) -> Option<Payloads> {
        let mut one = Payloads::default();
        let place = match interface {
            "payload-read" => &mut one.read,
            "payload-write" => &mut one.write,
            "payload-view" => &mut one.view,
            "payload-buffer" => &mut one.buffer,
            "payload-lease" => &mut one.lease,
            _ => return None,
        };
        *place = true;
        Some(one)
    }

    /// The first of them that a stage of this kind has nothing to do with, and why: no world of the contract has it, and
    /// none may.
    pub(crate) fn foreign_to(self, kind: Kind) -> Option<(&'static str, &'static str)> {
        let foreign = FOREIGN.iter().filter(|(role, ..)| *role == kind);
        let mut foreign = foreign.map(|(_, interface, why)| (*interface, *why));
        foreign.find(|foreign| self.interfaces().contains(&(foreign.0, true)))
    }
}

const FOREIGN: [(Kind, &str, &str); 7] = [
    (Kind::Source, "payload-read", "a source is lent no elements, so it has none to read"),
    (Kind::Source, "payload-view", "a source is lent no elements, so it has none to make others of"),
    (Kind::Source, "payload-lease", "a source is lent no elements, so it has none to hold"),
    (Kind::Sink, "payload-write", "a sink has no output that could take what it writes"),
    (Kind::Sink, "payload-view", "a sink has no output that could take what it makes"),
    (Kind::Sink, "payload-buffer", "a sink has no output that could take what it writes"),
    (Kind::Sink, "payload-lease", "a sink has no output that could take what it holds"),
];

impl World {
    /// The narrowest one for what a stage does.
    pub fn narrowest(kind: Kind, payloads: Payloads) -> World {
        let Payloads { read, write, view, buffer, lease } = payloads;
        match kind {
            Kind::Source if buffer => World::BulkSource,
            Kind::Source => World::DataSource,
            Kind::Sink if read => World::DataSink,
            Kind::Sink => World::MetadataSink,
            Kind::Processor if buffer || (lease && (write || view)) || (view && write) => World::Windowed,
            Kind::Processor if lease && read => World::Collector,
            Kind::Processor if lease => World::Holder,
            Kind::Processor if write && read => World::Transform,
            Kind::Processor if write => World::Replacer,
            Kind::Processor if view && read => World::Slicer,
            Kind::Processor if view => World::Chunker,
            Kind::Processor if read => World::Inspector,
            Kind::Processor => World::Router,
        }
    }

    /// The interfaces to payloads that it imports.
    pub fn payloads(self) -> Payloads {
        let none = Payloads::default();
        match self {
            World::Router | World::MetadataSink => none,
            World::Inspector | World::DataSink => Payloads { read: true, ..none },
            World::Chunker => Payloads { view: true, ..none },
            World::Slicer => Payloads { read: true, view: true, ..none },
            World::Transform => Payloads { read: true, write: true, ..none },
            World::Holder => Payloads { lease: true, ..none },
            World::Collector => Payloads { read: true, lease: true, ..none },
            World::Windowed => Payloads { read: true, write: true, view: true, buffer: true, lease: true },
            World::DataSource | World::Replacer => Payloads { write: true, ..none },
            World::BulkSource => Payloads { write: true, buffer: true, ..none },
        }
    }
}

/// The full name of a world or an interface of the contract: `torvyn:streaming/router@0.2.0`.
pub fn full_name(name: &str) -> String {
    format!("{NAMESPACE}{name}@{VERSION}")
}

/// The name of a world or an interface that is of the contract by its full name.
pub fn short_name(full: &str) -> Option<&str> {
    of_contract(full).filter(|(_, version)| *version == VERSION).map(|(name, _)| name)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::HandlePass => "handle-pass",
            Verdict::ReadOnly => "read-only",
            Verdict::Rewrite => "rewrite",
        })
    }
}

/// What a component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Its role.
    pub kind: Kind,
    /// The narrowest world it fits.
    pub world: World,
    /// The interfaces to payloads of which it imports a function.
    pub payloads: Payloads,
    /// Whether it imports a function of `attributes`.
    pub attributes: bool,
    /// The functions it imports that proofs are about.
    pub doors: Vec<Door>,
    /// The interfaces it imports besides those of the contract, `wasi:cli/stdout@0.2.6` and such.
    pub other_imports: Vec<String>,
    /// Bytes of the binary, debug information included.
    pub size: u64,
}

impl Profile {
    /// Tells what the component in `bytes` is.
    ///
    /// # Errors
    ///
    /// Why it is none that this runtime runs.
    pub fn parse(bytes: &[u8]) -> Result<Profile, LoadError> {
        let (resolve, world) = foreign::decode(bytes)?;
        let world = &resolve.worlds[world];
        let kind = kind(&resolve, world)?;
        let Imports { payloads, attributes, doors, others: other_imports } = Imports::of(&resolve, world)?;
        if let Some((interface, _)) = payloads.foreign_to(kind) {
            return Err(LoadError::world(kind, &format!("a {kind} that imports `{interface}`")));
        }
        let world = World::narrowest(kind, payloads);
        Ok(Profile { kind, world, payloads, attributes, doors, other_imports, size: bytes.len() as u64 })
    }
}

/// Reads the file at `path`, of at most `max_size` bytes.
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
        WorldKey::Interface(id) => resolve.id_of(*id).unwrap_or_else(|| "an interface without a name".to_string()),
    }
}

/// `torvyn:streaming/sink@0.2.0` as ("sink", "0.2.0").
fn of_contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(NAMESPACE)?.split_once('@')
}

fn kind(resolve: &Resolve, world: &WitWorld) -> Result<Kind, LoadError> {
    let exports: Vec<String> = world.exports.keys().map(|key| name(resolve, key)).collect();
    let roles = [("source", Kind::Source), ("processor", Kind::Processor), ("sink", Kind::Sink)];
    let mut found = None;
    for export in &exports {
        let Some((interface, version)) = of_contract(export) else { continue };
        if version != VERSION {
            return Err(LoadError::World {
                expected: format!("a component for {CONTRACT}"),
                found: format!("one for {NAMESPACE}{interface}@{version}"),
            });
        }
        let role = roles.iter().find(|(role, _)| *role == interface);
        if role.is_some_and(|(_, kind)| found.replace(*kind).is_some()) {
            return Err(LoadError::World {
                expected: "a component of one role".to_string(),
                found: foreign::exporting(&exports),
            });
        }
    }
    let missing = |what: &str| {
        let expected = format!("a component that exports {what} of {CONTRACT}");
        match exports.is_empty() {
            true => LoadError::NoExports { expected },
            false => LoadError::World { expected, found: foreign::exporting(&exports) },
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
    doors: Vec<Door>,
    others: Vec<String>,
}

impl Imports {
    /// Interfaces without a function that is used do not count: their types alone copy nothing.
    fn of(resolve: &Resolve, world: &WitWorld) -> Result<Imports, LoadError> {
        let mut imports = Imports::default();
        for (key, item) in &world.imports {
            let name = name(resolve, key);
            if of_contract(&name).is_none() && is_types_alone(resolve, item) {
                continue;
            }
            let functions = match item {
                WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.len(),
                WorldItem::Function(_) => 1,
                WorldItem::Type { .. } => 0,
            };
            match of_contract(&name) {
                Some((_, version)) if version != VERSION => {
                    return Err(LoadError::World {
                        expected: format!("a component for {CONTRACT}"),
                        found: format!("one that imports `{name}`"),
                    });
                }
                Some(("types", _)) => {}
                Some((ATTRIBUTES, _)) => imports.attributes |= functions > 0,
                Some((interface, _)) => {
                    let Some(one) = Payloads::named(interface) else {
                        return Err(LoadError::World {
                            expected: format!("a component for {CONTRACT}"),
                            found: format!("one that imports `{name}`"),
                        });
                    };
                    if functions > 0 {
                        imports.payloads = imports.payloads.and(one);
                        imports.doors.extend(doors(resolve, interface, item));
                    }
                }
                None if name.starts_with("wasi:") => imports.others.push(name),
                None => {
                    return Err(LoadError::World {
                        expected: format!("a component that imports nothing but {CONTRACT} and wasi 0.2"),
                        found: format!("one that imports `{name}`"),
                    });
                }
            }
        }
        Ok(imports)
    }
}

/// Whether an import has nothing that the host would have to provide.
fn is_types_alone(resolve: &Resolve, item: &WorldItem) -> bool {
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
fn doors(resolve: &Resolve, interface: &str, item: &WorldItem) -> Vec<Door> {
    let WorldItem::Interface { id, .. } = item else { return Vec::new() };
    resolve.interfaces[*id].functions.keys().filter_map(|function| Door::named(interface, function)).collect()
}
