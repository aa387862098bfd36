//! What a component is, told from its binary: its kind, its world and what it can do with payloads. Nothing is compiled
//! or run for it.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use wit_parser::{Resolve, TypeDefKind, TypeId, World as WitWorld, WorldItem, WorldKey};

use crate::analysis::Copying;
use crate::error::{Error, LoadError};

mod foreign;

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
    /// A processor that writes payloads.
    Transform,
    /// A source.
    DataSource,
    /// A sink.
    DataSink,
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
            World::Transform => "transform",
            World::DataSource => "data-source",
            World::DataSink => "data-sink",
        })
    }
}

impl World {
    /// The narrowest one for what a stage does. Of sources and of sinks there is one each.
    pub fn narrowest(kind: Kind, reads: bool, writes: bool) -> World {
        match (kind, reads, writes) {
            (Kind::Source, ..) => World::DataSource,
            (Kind::Sink, ..) => World::DataSink,
            (Kind::Processor, _, true) => World::Transform,
            (Kind::Processor, true, false) => World::Inspector,
            (Kind::Processor, false, false) => World::Router,
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
    /// The functions it imports that copy payload bytes.
    pub copying: Vec<Copying>,
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
        let imports = Imports::of(&resolve, world)?;
        match kind {
            Kind::Source if imports.reads => {
                return Err(LoadError::world(kind, "a source that imports `payload-read`"));
            }
            Kind::Sink if imports.writes => {
                return Err(LoadError::world(kind, "a sink that imports `payload-write`"));
            }
            _ => {}
        }
        let world = World::narrowest(kind, imports.reads, imports.writes);
        Ok(Profile { kind, world, copying: imports.copying, other_imports: imports.others, size: bytes.len() as u64 })
    }
}

/// Reads the file at `path`, of at most `max_size` bytes.
pub(crate) fn read(path: &Path, max_size: u64) -> Result<Vec<u8>, Error> {
    let io = |error| Error::load(path, LoadError::Io(error));
    let file = std::fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
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
    let missing = |what: &str| LoadError::World {
        expected: format!("a component that exports {what} of {CONTRACT}"),
        found: foreign::exporting(&exports),
    };
    let kind = found.ok_or_else(|| missing("`source`, `processor` or `sink`"))?;
    let lifecycle = full_name("lifecycle");
    if exports.contains(&lifecycle) { Ok(kind) } else { Err(missing("`lifecycle`")) }
}

#[derive(Default)]
struct Imports {
    reads: bool,
    writes: bool,
    copying: Vec<Copying>,
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
                Some((interface @ ("payload-read" | "payload-write"), _)) => {
                    imports.reads |= interface == "payload-read" && functions > 0;
                    imports.writes |= interface == "payload-write" && functions > 0;
                    imports.copying.extend(copying(resolve, item));
                }
                Some(("types", _)) => {}
                Some(_) => {
                    return Err(LoadError::World {
                        expected: format!("a component for {CONTRACT}"),
                        found: format!("one that imports `{name}`"),
                    });
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

/// The functions of an interface that copy.
fn copying(resolve: &Resolve, item: &WorldItem) -> Vec<Copying> {
    let WorldItem::Interface { id, .. } = item else { return Vec::new() };
    let function = |name: &String| match name.as_str() {
        "read" => Some(Copying::Read),
        "read-all" => Some(Copying::ReadAll),
        "emit-all" => Some(Copying::EmitAll),
        _ => None,
    };
    resolve.interfaces[*id].functions.keys().filter_map(function).collect()
}
