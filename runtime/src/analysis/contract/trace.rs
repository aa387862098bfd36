//! Finds the lines of WIT that add an import to a world.

use std::collections::HashSet;

use wit_parser::{InterfaceId, WorldId, WorldItem, WorldKey};

use super::packages::{Item, Name, Packages};
use super::{Place, What};

/// The two halves of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Imports,
    Exports,
}

/// The item to look for in a world.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    Interface(InterfaceId),
    /// An item with a name of its own in the world.
    Own(&'a str),
}

impl Packages {
    /// The lines of a world that add `target`; each `include` is followed by the lines of the included world. The
    /// places call the target `name`.
    pub(super) fn trace(&self, world: WorldId, half: Half, target: Target<'_>, name: &str) -> Vec<Place> {
        let mut places = Vec::new();
        self.trace_into(world, half, target, name, &mut HashSet::new(), &mut places);
        places
    }

    fn trace_into(
        &self,
        world: WorldId,
        half: Half,
        target: Target<'_>,
        name: &str,
        seen: &mut HashSet<WorldId>,
        places: &mut Vec<Place>,
    ) {
        if !seen.insert(world) {
            return;
        }
        for line in self.statements(world) {
            let place = |what: fn(String) -> What| {
                let (file, span) = line.location.clone();
                Place { what: what(name.to_string()), file, span }
            };
            match (&line.item, half) {
                (Item::Include(included, renamed), _) => {
                    let Some(included) = self.world(included) else { continue };
                    let there = target.renamed(renamed);
                    if self.has(included, half, there) {
                        places.push(place(What::Include));
                        self.trace_into(included, half, there, name, seen, places);
                    }
                }
                (Item::Import(own), Half::Imports) | (Item::Export(own), Half::Exports) if self.is(own, target) => {
                    places.push(place(What::Import));
                }
                (item @ (Item::Import(_) | Item::Export(_)), Half::Imports) if self.uses(world, item, target) => {
                    places.push(place(What::Uses));
                }
                (Item::Import(_) | Item::Export(_), _) => {}
            }
        }
    }

    fn has(&self, world: WorldId, half: Half, target: Target<'_>) -> bool {
        let world = &self.resolve.worlds[world];
        let items = if half == Half::Imports { &world.imports } else { &world.exports };
        match target {
            Target::Own(own) => items.contains_key(&WorldKey::Name(own.to_string())),
            Target::Interface(target) => {
                items.values().any(|item| matches!(item, WorldItem::Interface { id, .. } if *id == target))
            }
        }
    }

    fn is(&self, name: &Name, target: Target<'_>) -> bool {
        match (name, target) {
            (Name::Own(name), Target::Own(target)) => name == target,
            (Name::Interface(name), Target::Interface(target)) => self.resolve.id_of(target).as_ref() == Some(name),
            _ => false,
        }
    }

    /// Whether a line needs types of an interface: that imports the whole interface.
    fn uses(&self, world: WorldId, item: &Item, target: Target<'_>) -> bool {
        let Target::Interface(target) = target else { return false };
        let mut left = match (self.interface(world, item), item) {
            (None, _) => return false,
            (Some(interface), Item::Export(_)) => self.resolve.interface_direct_deps(interface).collect(),
            (Some(interface), _) => vec![interface],
        };
        let mut seen = HashSet::new();
        while let Some(interface) = left.pop() {
            if interface == target {
                return true;
            }
            if seen.insert(interface) {
                left.extend(self.resolve.interface_direct_deps(interface));
            }
        }
        false
    }
}

impl<'a> Target<'a> {
    /// The same target in an included world, before the `include` renames these items.
    fn renamed(self, renamed: &'a [(String, String)]) -> Target<'a> {
        match self {
            Target::Own(here) => {
                Target::Own(renamed.iter().find(|(_, new)| new == here).map_or(here, |(original, _)| original))
            }
            interface @ Target::Interface(_) => interface,
        }
    }
}
