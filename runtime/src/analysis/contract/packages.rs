//! Reads, parses and resolves the WIT packages of a folder, and records the statements of each world with their places.
//! `wit_parser` drops the places when it resolves, so they are recorded before.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use wit_parser::decoding::DecodedWasm;
use wit_parser::{
    AstItem, InterfaceId, PackageId, PackageName, ParseError, ParseErrorKind, Resolve, ResolveError, ResolveErrorKind,
    SourceMap, Span, UnresolvedPackage, UnresolvedPackageGroup, WorldId, WorldItem, WorldKey,
};

use super::File;
use super::error::{ContractError, Reason};
use crate::base::regular_file;
use crate::component::profile::check_sections;

/// A file, and a range of its text in bytes.
pub(super) type Location = (PathBuf, Range<usize>);

/// All packages of a WIT folder.
pub(super) struct Packages {
    pub(super) resolve: Resolve,
    /// The package of the folder itself; all others are dependencies.
    pub(super) main: PackageId,
    pub(super) files: Vec<File>,
    /// The statements of each world, by its full name.
    statements: HashMap<String, Vec<Statement>>,
}

/// A statement in the declaration of a world.
pub(super) struct Statement {
    pub(super) item: Item,
    pub(super) location: Location,
}

/// What a statement of a world adds.
pub(super) enum Item {
    Import(Name),
    Export(Name),
    /// A world, by its full name, and the items that are renamed: the name there, and the name here.
    Include(String, Vec<(String, String)>),
}

/// The name of an import or export in a world.
pub(super) enum Name {
    /// A name of its own: functions, types, interfaces declared in place.
    Own(String),
    /// The full name of an interface.
    Interface(String),
}

impl Packages {
    /// Reads `wit`: one file, or a folder with `.wit` files and optionally a folder `deps`. Other folders are ignored.
    pub(super) fn load(wit: &Path) -> Result<Packages, ContractError> {
        let mut reader = Reader::default();
        reader.load(wit).map_err(|error| error.with_file(&reader.files)).map(|(resolve, main)| Packages {
            resolve,
            main,
            files: reader.files,
            statements: reader.statements,
        })
    }

    /// The full name of a world: `torvyn:streaming/router@0.2.0`.
    pub(super) fn world_name(&self, world: WorldId) -> String {
        let world = &self.resolve.worlds[world];
        match world.package {
            Some(package) => self.resolve.id_of_name(package, &world.name),
            None => world.name.clone(),
        }
    }

    /// The world with this full name.
    pub(super) fn world(&self, name: &str) -> Option<WorldId> {
        self.resolve.worlds.iter().map(|(id, _)| id).find(|id| self.world_name(*id) == name)
    }

    /// The statements of a world. There are none if it comes from a binary package.
    pub(super) fn statements(&self, world: WorldId) -> &[Statement] {
        self.statements.get(&self.world_name(world)).map_or(&[], Vec::as_slice)
    }

    /// Where a world is declared.
    pub(super) fn declaration(&self, world: WorldId) -> Option<Location> {
        self.location(self.resolve.worlds[world].span)
    }

    /// The place of a span in the files; `None` if it comes from a binary package.
    pub(super) fn location(&self, span: Span) -> Option<Location> {
        location(&self.resolve.source_map, span)
    }

    /// The interface that a statement of a world imports, exports or uses types from.
    pub(super) fn interface(&self, world: WorldId, item: &Item) -> Option<InterfaceId> {
        let world = &self.resolve.worlds[world];
        let (name, items) = match item {
            Item::Import(name) => (name, &world.imports),
            Item::Export(name) => (name, &world.exports),
            Item::Include(..) => return None,
        };
        match name {
            Name::Interface(full) => {
                let mut interfaces = self.resolve.interfaces.iter().map(|(id, _)| id);
                interfaces.find(|id| self.resolve.id_of(*id).as_ref() == Some(full))
            }
            Name::Own(own) => match items.get(&WorldKey::Name(own.clone()))? {
                WorldItem::Interface { id, .. } => Some(*id),
                WorldItem::Type { id, .. } => self.used(*id),
                WorldItem::Function(_) => None,
            },
        }
    }

    /// The interface that a type is used from.
    fn used(&self, ty: wit_parser::TypeId) -> Option<InterfaceId> {
        use wit_parser::{Type, TypeDefKind, TypeOwner};
        let TypeDefKind::Type(Type::Id(original)) = self.resolve.types[ty].kind else { return None };
        match self.resolve.types[original].owner {
            TypeOwner::Interface(interface) => Some(interface),
            TypeOwner::World(_) | TypeOwner::None => None,
        }
    }
}

#[derive(Default)]
struct Reader {
    files: Vec<File>,
    packages: Vec<PackageName>,
    statements: HashMap<String, Vec<Statement>>,
}

impl Reader {
    fn load(&mut self, wit: &Path) -> Result<(Resolve, PackageId), ContractError> {
        let missing = |error| unreadable(wit, &error);
        // Items behind feature gates are included: a proof of absence must hold for those who enable the feature, too.
        let mut resolve = Resolve { all_features: true, ..Resolve::default() };
        let mut dependencies = Vec::new();
        let main = if fs::metadata(wit).map_err(missing)?.is_dir() {
            let main = self.folder(wit)?;
            let deps = wit.join("deps");
            if deps.is_dir() {
                self.dependencies(&deps, &mut resolve, &mut dependencies)?;
            }
            main
        } else {
            self.parse(&[wit.to_path_buf()])?
        };
        match resolve.push_groups(main, dependencies) {
            Ok(main) => Ok((resolve, main)),
            Err(error) => Err(self.unresolved(&resolve, &error)),
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<UnresolvedPackageGroup, ContractError> {
        let files = entries(folder)?.into_iter().filter(|path| extension(path) == "wit" && path.is_file());
        let files = files.collect::<Vec<_>>();
        if files.is_empty() {
            let message = format!("`{}` contains no `.wit` file", folder.display());
            return Err(ContractError::new(Reason::Missing, message));
        }
        self.parse(&files)
    }

    /// Each entry of the folder `deps` is a package: a folder of files, a `.wit` file, or a binary package.
    fn dependencies(
        &mut self,
        deps: &Path,
        resolve: &mut Resolve,
        parsed: &mut Vec<UnresolvedPackageGroup>,
    ) -> Result<(), ContractError> {
        for path in entries(deps)? {
            if path.is_dir() {
                parsed.push(self.folder(&path)?);
            } else if extension(&path) == "wit" {
                parsed.push(self.parse(&[path])?);
            } else if extension(&path) == "wasm" {
                let broken = |found: &str| {
                    let message = format!("expected a WIT package, found {found}");
                    ContractError::new(Reason::Syntax, message).at(Some((path.clone(), 0..0)))
                };
                let bytes = regular_file::read(&path).map_err(|error| unreadable(&path, &error))?;
                let decoded = check_sections(&bytes).map_err(Into::into);
                match decoded.and_then(|()| wit_parser::decoding::decode(&bytes)) {
                    Ok(DecodedWasm::WitPackage(package, _)) => {
                        resolve
                            .merge(package)
                            .map_err(|error| broken(&format!("one that cannot be merged: {error:#}")))?;
                    }
                    Ok(DecodedWasm::Component(..)) => return Err(broken("a component")),
                    Err(error) => return Err(broken(&format!("an invalid file: {error:#}"))),
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, paths: &[PathBuf]) -> Result<UnresolvedPackageGroup, ContractError> {
        let mut sources = SourceMap::new();
        for path in paths {
            let text = regular_file::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            sources.push(path, text.as_str());
            self.files.push(File { path: path.clone(), text });
        }
        let group = sources.parse().map_err(|(sources, error)| syntax(&sources, &error, &paths[0]))?;
        for package in group.nested.iter().chain([&group.main]) {
            self.record_statements(package, &group.source_map);
        }
        Ok(group)
    }

    /// Records the statements of all worlds of a package.
    fn record_statements(&mut self, package: &UnresolvedPackage, sources: &SourceMap) {
        self.packages.push(package.name.clone());
        let mut interfaces = HashMap::new();
        let mut worlds = HashMap::new();
        let mut foreign_worlds = Vec::new();
        for (name, items) in &package.foreign_deps {
            for (item, (id, _)) in items {
                match id {
                    AstItem::Interface(id) => drop(interfaces.insert(*id, name.interface_id(item))),
                    AstItem::World(id) => {
                        foreign_worlds.push(*id);
                        worlds.insert(*id, name.interface_id(item));
                    }
                }
            }
        }
        for (id, interface) in &package.interfaces {
            if let Some(name) = &interface.name {
                interfaces.entry(id).or_insert_with(|| package.name.interface_id(name));
            }
        }
        for (id, world) in &package.worlds {
            worlds.entry(id).or_insert_with(|| package.name.interface_id(&world.name));
        }
        let name = |key: &WorldKey| match key {
            WorldKey::Name(name) => Some(Name::Own(name.clone())),
            WorldKey::Interface(id) => interfaces.get(id).cloned().map(Name::Interface),
        };
        for (id, world) in package.worlds.iter().filter(|(id, _)| !foreign_worlds.contains(id)) {
            let imports = world.imports.iter().map(|(key, item)| (name(key).map(Item::Import), item.span()));
            let exports = world.exports.iter().map(|(key, item)| (name(key).map(Item::Export), item.span()));
            let includes = world.includes.iter().map(|line| {
                let renamed = line.names.iter().map(|name| (name.name.clone(), name.as_.clone())).collect();
                (worlds.get(&line.id).map(|world| Item::Include(world.clone(), renamed)), line.span)
            });
            let statements = imports
                .chain(exports)
                .chain(includes)
                .filter_map(|(item, span)| Some(Statement { item: item?, location: location(sources, span)? }));
            self.statements.insert(worlds[&id].clone(), statements.collect());
        }
    }

    /// The help for a missing package. The error itself knows only packages that were resolved before.
    fn help_for_missing(&self, package: &PackageName, resolve: &Resolve) -> String {
        let known = self.packages.iter().chain(resolve.package_names.keys());
        let mut known = known
            .filter(|known| known.namespace == package.namespace && known.name == package.name)
            .map(|known| format!("`{known}`"))
            .collect::<Vec<_>>();
        known.sort();
        known.dedup();
        if known.is_empty() {
            format!("put the WIT of `{package}` into the folder `deps` beside the `.wit` files")
        } else {
            format!("there is {}", known.join(" and "))
        }
    }

    fn unresolved(&self, resolve: &Resolve, error: &ResolveError) -> ContractError {
        let kind = error.kind();
        let location = location(&resolve.source_map, kind.span());
        let text = location
            .as_ref()
            .and_then(|(path, span)| self.files.iter().find(|file| file.path == *path)?.text.get(span.clone()));
        let (message, help) = match kind {
            ResolveErrorKind::PackageNotFound { requested, .. } => {
                (format!("no package `{requested}` in the WIT"), Some(self.help_for_missing(requested, resolve)))
            }
            ResolveErrorKind::Semantic { message, .. } => match (message.as_str(), text) {
                ("interface not found in package", Some(name)) => {
                    (format!("no interface `{name}` in the package"), None)
                }
                ("world not found in package", Some(name)) => (format!("no world `{name}` in the package"), None),
                _ => (one_line(message), None),
            },
            kind => (one_line(&kind.to_string()), None),
        };
        ContractError { help, ..ContractError::new(Reason::Unresolved, message).at(location) }
    }
}

fn syntax(sources: &SourceMap, error: &ParseError, first: &Path) -> ContractError {
    let location = location(sources, error.kind().span()).or_else(|| Some((first.to_path_buf(), 0..0)));
    let (reason, message, help) = match error.kind() {
        ParseErrorKind::ItemNotFound { kind, name, hint, .. } => {
            (Reason::Unresolved, format!("{kind} `{name}` does not exist"), hint.clone())
        }
        ParseErrorKind::TypeCycle { .. } => (Reason::Unresolved, one_line(&error.to_string()), None),
        _ => (Reason::Syntax, one_line(&error.to_string()), None),
    };
    ContractError { help, ..ContractError::new(reason, message).at(location) }
}

/// Joins the lines of a message of the parser.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn location(sources: &SourceMap, span: Span) -> Option<Location> {
    sources.resolve_span(span).map(|at| (PathBuf::from(at.path), at.range))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ContractError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(|error| unreadable(folder, &error))?;
    entries.sort();
    Ok(entries)
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn unreadable(path: &Path, error: &io::Error) -> ContractError {
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("`{}` does not exist", path.display()),
        io::ErrorKind::InvalidData => format!("`{}` is not UTF-8", path.display()),
        _ => format!("cannot read `{}`: {error}", path.display()),
    };
    ContractError::new(Reason::Missing, message)
}
