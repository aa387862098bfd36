//! Selects a world: by its full name, by its short name in the package or the contract, or as the only world of the
//! package.

use wit_parser::{PackageId, PackageName, ParsedUsePath, WorldId};

use super::error::{ContractError, Reason};
use super::is_contract;
use super::packages::Packages;
use crate::contract::CONTRACT;

impl Packages {
    pub(super) fn select(&self, wanted: Option<&str>) -> Result<WorldId, ContractError> {
        let Some(wanted) = wanted else { return self.only_world() };
        match wit_parser::parse_use_path(wanted) {
            Ok(ParsedUsePath::Name(name)) => self.by_name(&name),
            Ok(ParsedUsePath::Package(package, name)) => self.by_full_name(wanted, &package, &name),
            Err(_) => Err(self
                .unknown(format!("`{}` is not a valid world name", wanted.escape_debug()))
                .help("write a name such as `router` or, in full, `torvyn:streaming/router@0.2.0`")),
        }
    }

    fn only_world(&self) -> Result<WorldId, ContractError> {
        let main = &self.resolve.packages[self.main];
        let mut worlds = main.worlds.values();
        match (worlds.next(), worlds.next()) {
            (Some(only), None) => Ok(*only),
            (first, _) => {
                let known = main.worlds.keys().cloned().collect::<Vec<_>>();
                let found = if first.is_none() { "declares no world" } else { "declares several worlds" };
                let message = format!("package `{}` {found}, and `world` is not set", main.name);
                let named = known.first().map_or("router", String::as_str);
                let error = ContractError::new(Reason::NoWorld { known: known.clone() }, message);
                Err(error.help(format!("name the world of the stage: `world = \"{named}\"`")))
            }
        }
    }

    /// A world of the package takes precedence over a world of the contract.
    fn by_name(&self, name: &str) -> Result<WorldId, ContractError> {
        let contracts = self.packages(|package| is_contract(package) && package.to_string() == CONTRACT);
        let found = [self.main].into_iter().chain(contracts).find_map(|id| self.resolve.packages[id].worlds.get(name));
        if let Some(world) = found {
            return Ok(*world);
        }
        let message = format!("no world `{}` in the WIT", name.escape_debug());
        let elsewhere = self.resolve.worlds.iter().find(|(_, world)| world.name == name);
        Err(match elsewhere {
            Some((world, _)) if self.package_of(world).is_some_and(is_contract) => {
                let found = self.package_of(world).map(PackageName::to_string).unwrap_or_default();
                let message = format!("expected world `{name}` of `{CONTRACT}`, found that of `{found}`");
                let error = ContractError::new(Reason::Version { found }, message).at(self.declaration(world));
                error.help(format!("use the WIT of `{CONTRACT}`"))
            }
            Some((world, _)) => self.unknown(message).help(format!(
                "write the full name of a world of another package: `world = \"{}\"`",
                self.world_name(world)
            )),
            None => self.unknown(message),
        })
    }

    fn by_full_name(&self, wanted: &str, package: &PackageName, name: &str) -> Result<WorldId, ContractError> {
        let same = |other: &PackageName| other.namespace == package.namespace && other.name == package.name;
        let versions = self.packages(same);
        let meant = versions
            .iter()
            .copied()
            .filter(|id| package.version.is_none() || self.resolve.packages[*id].name.version == package.version);
        let meant = meant.collect::<Vec<_>>();
        match meant[..] {
            [] => {
                let found = versions.iter().map(|id| format!("`{}`", self.resolve.packages[*id].name));
                let found = found.collect::<Vec<_>>().join(" and ");
                let help = if found.is_empty() {
                    format!("put the WIT of `{package}` into the folder `deps` beside the `.wit` files")
                } else {
                    format!("there is {found}")
                };
                Err(self.unknown(format!("no package `{package}` in the WIT")).help(help))
            }
            [id] => self.resolve.packages[id].worlds.get(name).copied().ok_or_else(|| {
                self.unknown(format!("no world `{name}` in package `{}`", self.resolve.packages[id].name))
            }),
            _ => {
                let full = meant.iter().map(|id| format!("`{}`", self.resolve.id_of_name(*id, name)));
                let full = full.collect::<Vec<_>>().join(" or ");
                Err(self.unknown(format!("`{wanted}` matches several worlds")).help(format!("write {full}")))
            }
        }
    }

    fn packages(&self, wanted: impl Fn(&PackageName) -> bool) -> Vec<PackageId> {
        let packages = self.resolve.packages.iter().filter(|(_, package)| wanted(&package.name));
        packages.map(|(id, _)| id).collect()
    }

    fn package_of(&self, world: WorldId) -> Option<&PackageName> {
        self.resolve.worlds[world].package.map(|package| &self.resolve.packages[package].name)
    }

    /// An error that lists all worlds: those of the package and the contract by short name, all others by full name.
    fn unknown(&self, message: String) -> ContractError {
        let mut known = Vec::new();
        for (id, world) in &self.resolve.worlds {
            let near = world.package == Some(self.main) || self.package_of(id).is_some_and(is_contract);
            known.push(if near { world.name.clone() } else { self.world_name(id) });
        }
        known.sort();
        known.dedup();
        ContractError::new(Reason::UnknownWorld { known }, message)
    }
}
